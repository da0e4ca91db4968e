// Package objects is a sink that keeps every batch as one object of Acme's
// store, which has two requests: PUT an object under a name, GET the names that
// begin with a prefix.
//
// What comes in: chunks. What goes out: objects of JSON lines. It is exact
// (delivery Replay) since an object's name is the batch: the same batch,
// committed again, takes the place of the first.
//
// A Writer holds the encoded rows of one batch. The package starts no
// goroutines; the HTTP client keeps idle connections until Close.
package objects
