// Package settle is what a person decides where a sink cannot go on by itself:
// it shows a group's records and what the destinations say, works out what a
// decision changes and what is lost or doubled by it, and carries it out.
//
// What comes in: a stream's topics and group, its sinks, and a decision. What
// goes out: a Plan, in words, and, once Apply is called, the changed records in
// the group's offsets and the changed positions at Atomic destinations.
//
// # Safety
//
// Nobody may be in the group: a member's memory is the record, and would be
// written over what is decided here. Read finds out who is in it, Apply looks
// again and compares all that it is about to replace with what was shown, and the
// coordinator refuses the write if somebody has joined since. All of a plan's
// records go in one request, which the coordinator stores as a whole.
//
// A destination's own position is moved first: if the record is not stored
// then, the sink goes on from there all the same, and the decision can be made
// again.
//
// A decision by which records that are still there would not be written, or be
// written twice, is refused unless the caller insists; what that means is said
// per partition. Records that are gone from the topic are named, but need no
// insisting: nobody can write them.
//
// Goroutines: none. Memory: a View owns all that it holds.
package settle
