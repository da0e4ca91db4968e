// Package ledger keeps what is durable about a stream's sinks: per slot and
// sink the position, and the cut that may have been committed but is not known
// to be. It lives in the metadata of offset commits of the stream's consumer
// group, so the coordinator refuses it from a member that has been replaced,
// and the next owner of the slot reads it back.
//
// # What comes in, what goes out
//
// In: entries, by Put (wait until stored) and Note (store soon). Out: one
// OffsetCommit at a time through a Group, and after a Load the entries that
// earlier owners left. From Load on, the Writer's memory is the record: nothing
// is fetched again in this membership, because two fetches could not be ordered
// against a commit that is still on its way.
//
// # Layout
//
// A sink's entry lies whole on one partition of its slot, its home: the first
// that had room when the entry was made. Every partition of the slot carries a
// text, also one that is home to nothing, and every text holds the offset that
// was committed with it and the number of the write that it belongs to. So a
// reset of any partition by another tool is seen at the next Load, also one that
// keeps the metadata. The offset committed to Kafka is the lowest position of
// the sinks that this member runs: a hint for lag monitors, not the truth.
//
// # What holds
//
//   - Never two OffsetCommits in flight (I10).
//   - One without an answer ends the membership before anything else is
//     written: it could be applied late, over a newer one of the same generation.
//   - A refused one, of which nothing was stored, fails its Puts and no more.
//   - Nothing is sent after Run has returned.
//   - When the group goes on to its next generation, what was refused for it is
//     kept, and nothing is sent until Renew has found the records unchanged.
//   - Sizes are checked before sending: Kafka stores the other partitions of a
//     request when it refuses one as too long.
//
// # Memory and goroutines
//
// The package starts no goroutines. Run sends, on the goroutine that calls it;
// all methods of a Writer may be called from any goroutine. Entries are copied
// on their way in and out.
package ledger
