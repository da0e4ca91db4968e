// Package sink is the contract between Sluice and a destination. It is all
// that a plugin needs, inside this repository or outside of it.
//
// A plugin is a Spec: its name in the YAML, its options, the kinds of value it
// takes, how it delivers, and Open. Open makes a Sink, one per sink and
// connection of the configuration. A Sink makes Writers, one per slot of the
// stream's topic (a slot is a run of partitions that is always owned as a
// whole). Core then calls, over and over:
//
//	Append, Append, … Stage(cut) Commit(cut)
//
// What comes in: chunks of rows, already filtered and projected to the sink's
// fields, as columns. What goes out: rows at the destination, and what the
// destination remembers of them (Found).
//
// # The promise
//
// Core fixes the bounds of every cut before it is committed, stores them where
// they survive a crash (unless the destination does so itself, see Atomic),
// and repeats a cut whose outcome is unknown with exactly the same bounds and
// rows before it does anything else. So a plugin has one duty:
//
//	an equal cut, committed again, completes the first and changes nothing else.
//
// The rows of a repeated cut are the same, and so is their order within a
// partition; how partitions interleave, and where chunks end, may differ. What
// must not differ (the blocks of a deduplicated insert) must not depend on it.
//
// How it does so is its Delivery: Atomic keeps the position in the same
// transaction as the rows, Replay makes the cut the name of what it writes (a
// deduplication token, a file name, a job name), AtLeastOnce does not.
//
// Where a sink cannot go on by itself a person decides (sluice settle). An Atomic
// sink lets its own position be moved then: Mover. What a Claim finds is what the
// person is told: a High of -1 is taken for not known, and not for nothing.
//
// # Errors
//
// A plugin returns errors and classifies them; it never sleeps, retries, or
// logs an error that it returns. After any error, from any method, the Writer
// is dead: core closes it and claims again. What the error says decides what
// happens then:
//
//   - *RowsError: these records, by offset, cannot be written; the others can.
//     From Append nothing of the chunk was kept. From Stage or Commit it
//     implies Refused.
//   - Refused: nothing of the cut was applied, and nothing of it will be.
//   - Permanent: a person must mend something (no such table, no rights, wrong
//     password). Core retries slowly and says so loudly.
//   - Any other: unknown outcome if it came from Commit; retried soon.
//
// Retry and crash recovery are the same code: Claim, then the pending cut.
//
// # Goroutines and memory
//
// Calls on one Writer never overlap; calls on different Writers of one Sink
// do. A Writer may start goroutines and must have ended them when Close
// returns. A chunk belongs to core: a Writer copies what it keeps before
// Append returns. Every method honours ctx within two seconds.
package sink
