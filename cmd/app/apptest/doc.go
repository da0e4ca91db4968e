// Package apptest runs `sluice run` within a test's own process, for the tests of
// cmd/app and of integration: what it says can be read while it runs, what it
// serves can be asked for, and the race detector sees all of it.
//
// A test's arguments come in; what the program said, served and ended with goes
// out. Each Program has one goroutine, which is gone when End has returned; the
// test's cleanup calls End.
package apptest
