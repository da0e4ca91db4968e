// Package lane carries one sink through one slot: it reads rows, cuts, and
// commits, over and over, and recovers from whatever goes wrong between.
//
// What comes in: decoded chunks of the slot's partitions (from a Feed), and
// what the ledger and the destination remember. What goes out: Append, Stage
// and Commit calls to a sink.Writer, intents and positions to the ledger, and
// letters to the dead letters.
//
// # Two halves
//
// The protocol is the pure function Step: a State and an Event give the next
// State and the Effects to perform. It knows no clock, no I/O and no errors,
// only their classes, and all its values are comparable, so the tests of this
// package explore it exhaustively: every interleaving of two members, kills,
// lost answers and late writes, in several small worlds. Generations of the
// group that begin while a lane keeps its slot are no events: the rules of
// core/pipeline and core/ledger are such that it need not know, and the tests
// explore those rules too.
//
// The loop (Lane.Run) performs effects and turns what happens into events. It
// decides when to cut, how long to wait, and what messages say; nothing that
// is stored depends on that.
//
// # The way of a cut
//
//	Replay       Claim → Read … → Stage → Store intent → Heartbeat → Commit → Letters → Note position
//	Atomic       Claim → Read … → Stage → Commit → Letters → Note position
//	AtLeastOnce  Claim → Read … → Stage → Commit → Letters → Note position
//
// After any error the writer is closed and the lane claims again; a cut that
// may have been committed is then read again with the same bounds and dead
// set, and committed again, before anything else.
//
// A flood of bad records (Config.MaxBad) is judged while a new cut is read,
// before its bounds are fixed, and by offsets alone: it decides whether there is
// a cut, never what is in one, so a repeat is what it was.
//
// Goroutines: Run is one, and starts none that outlives it. Memory: a lane owns
// its projected chunk; a decoded chunk belongs to the feed and is released
// right after it was projected.
package lane
