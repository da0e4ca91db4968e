// Package plan turns what a sink asks for (where, fields, casts, aggregate)
// into rows.
package plan
