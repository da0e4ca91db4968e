// Package sinktest is the conformance kit of sinks.
package sinktest
