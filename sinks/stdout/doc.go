// Package stdout is a sink that prints rows as JSON lines.
//
// What comes in: chunks. What goes out: at Commit, all lines of the batch in
// one write, so that those of several writers do not mix. Nothing is printed
// before.
//
// Its delivery is at_least_once: a terminal does not say what it has shown, so
// a batch that is repeated is printed twice.
//
// A Writer holds the encoded rows of its batch, and reports their bytes, until
// Commit. The package starts no goroutines. While whoever reads the output
// does not, Commit blocks, and only the end of the reader or of the program
// ends it: a write to a pipe cannot be taken back.
package stdout
