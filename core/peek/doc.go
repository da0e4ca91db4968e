// Package peek reads a stream to look at it: no group is joined, nothing is
// written, no position moves.
//
// What comes in: a stream's partitions, a plan (all fields, or a sink's), and
// where to begin. What goes out: one Record at a time, a row of the plan or the
// reason why there is none, by ascending time over all partitions and by
// ascending offset within each; for a plan with an aggregate the groups of
// what was read, at the end.
//
// Memory: one answer of the brokers and one decoded chunk per partition, both
// used again; while it looks back, the last Tail rows besides. What Show is given
// is valid until it returns.
//
// Run fetches up to eight partitions at once, each in a goroutine that has
// ended before the rows are shown; Show is called by one goroutine, Run's.
package peek
