// Package discard is a sink that keeps nothing: it counts rows and forgets
// them. It measures what Sluice itself takes, without a destination.
//
// What comes in: chunks, which it does not read. What goes out: a count of
// rows, at Commit. It keeps no memory between commits and starts no
// goroutines.
//
// Its delivery is at_least_once: a repeated batch is counted twice, and having
// no marks it could not tell a new sink from an old one.
package discard
