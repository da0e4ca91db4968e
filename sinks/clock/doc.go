// Package clock writes timestamps as the text that databases and JSON take.
//
// What comes in: microseconds since 1970, UTC. What goes out: text, appended to
// the caller's slice, always with six digits behind the point, so that texts sort
// as times do. Nothing is kept, and no goroutines run.
package clock
