// Package nearest guesses which column of a table, or which field of a sink, was
// meant by a name that is not there.
//
// What comes in: a name, and those that are there. What goes out: one of them, or
// none. Nothing is kept, and no goroutines run.
package nearest
