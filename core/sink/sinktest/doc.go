// Package sinktest is the conformance kit of sinks: the contract of core/sink
// as a test. A sink that passes it is exact, as far as a test can tell; one that
// does not is told why in sentences:
//
//	events[3] offset 1204: is at the destination twice (batches [1200,1800) by owner 2, outcome unknown and [1200,1800) by owner 3)
//
// What comes in: a Target, which is the sink's Spec and a way to make empty
// destinations and to read their rows. What goes out: the verdict of the test.
// It imports core/record and core/sink alone, so a sink outside of this
// repository is tested as those within are.
//
// # Use
//
//	func TestConformance(t *testing.T) {
//		sinktest.Run(t, sinktest.Target{
//			Spec:   acme.Spec(),
//			Server: server.Addr(), // the kit puts a proxy before it
//			Load:   func(paths []string) error { _, err := config.Load(paths, []sink.Spec{acme.Spec()}, os.LookupEnv); return err },
//			New: func(t testing.TB, need sinktest.Need) sinktest.Destination {
//				table := newTable(t)
//				return sinktest.Destination{
//					Conn:    &acme.Connection{Address: need.Address},
//					Options: &acme.Options{Table: table},
//					Rows:    func(ctx context.Context) ([]sinktest.Row, error) { return readTable(ctx, table, need.Schema) },
//				}
//			},
//		})
//	}
//
// There is no list of tests to leave out. What a sink cannot do is in its Spec:
// kinds that it does not take, a Delivery that promises less, no aggregates. A
// target without Server (a file, a folder) is crashed by leaving its owner
// behind and by ending its contexts; one with Kill and Start loses its server
// as well. A server that cannot be had is a failure of the test that makes the
// target, never a reason to skip.
//
// SLUICE_SINKTEST_SEED=N repeats a run, SLUICE_SINKTEST_ROUNDS=N makes it
// longer (200 faults if it is not set, 40 with -short).
//
// # What a sink must do
//
// Options. The Spec has all of its parts. Options carry yaml tags in lower case;
// what other sinks have too is called as there: connection, address, database,
// table, username, password, tls, timeout, create. A password is a Secret, and
// no secret is ever in an error, a log or a printed option. Validate blames
// options that exist. The example shows every option and no other, each with a
// comment beside it, above it or on what it belongs to (address, database,
// table, username, password and tls speak for themselves), one key a line, and
// the program loads it as it is. A Spec with a Connection has it first, in a
// part of its own, before a line of ---.
//
// Types. Null, zero, the smallest, the largest and the awkward values of each
// kind of Spec.Kinds come back as they were. What many databases do not have
// (NaN, infinities, a uint above 2^63-1, years before 1970 or after 2099, NUL
// in a text) comes back too, or is refused as a *RowsError with its offset; it is
// never changed. So is a null of the kinds of Spec.NoNull. A field of another kind
// is refused by Open, Permanent, with the names of field and kind.
//
// Rows. What was committed is there once; before Commit nothing is to be seen.
// One row, 200,000 in one batch, 16 MiB in one value, a batch without rows, a
// dead set, slots of one, two and three partitions of which some are idle, two
// slots at the same time, two sinks at one destination, the rows of an
// aggregate. A chunk's memory is overwritten as soon as Append has returned.
//
// Repeats. An equal batch, committed again by the next owner, changes nothing.
// An Atomic sink refuses any other batch that does not begin at its position
// with ErrStale, and writes nothing.
//
// Found. A claim of a new destination finds nothing. Later an Atomic sink finds
// its position and its last batch with dead set and letters, exactly; others at
// most what was sent. A sink that keeps marks (its first claim finds Empty, not
// NoMark) finds itself in any slot, and names another incarnation of the topic.
//
// Old owners. One that was replaced commits its last batch late: right behind
// the new owner, or batches later while others are under way. Nothing changes.
//
// Errors. Refused is only what never appears. A bad row is named by its offset,
// alone, without its content; nothing of its chunk was kept, and the rest of the
// batch goes in without it. A server that is away, silent or killed is no
// Permanent error, and blames no row. An error that is returned is not logged.
// A call returns within two seconds of the end of its context (and a second for
// a busy machine). After Close no goroutine is left.
//
// Crashes. 200 faults, by chance, at every call and within each: the context
// ended before the call, at the n-th look at it, or after some time; the owner
// left behind before or after the call, to wake up later; the server killed;
// and on the network a request that never arrives, or half, an answer that is
// lost, silence, and a request that arrives when its sender has given up and
// another owner goes on. After each, the driver does as core's lane does:
//
//	any error    Close, Claim
//	Atomic       go on from Found.High
//	Replay       Resume if the writer has it (Done: go on; Never: make the batch again), else
//	             Append, Stage, Commit of the same batch, before any other; another one may take
//	             its place if every attempt at it was Refused
//	AtLeastOnce  another batch from the same offset
//
// A repeat has the same rows, in the same order within a partition; how partitions
// interleave and where chunks end is another way each time.
//
// Every ten faults the destination is read: all rows once, none of a refused
// batch, of an Atomic sink no batch in part.
//
// # What it cannot see
//
// Whether what was committed survives the loss of power (fsync), how fast a sink
// is, what the options do beyond their names, a plan that changes under a pending
// batch, and what another program does to the destination. A sink's own tests
// are for that.
//
// # Memory and goroutines
//
// The kit holds the rows that Rows returns, 200,000 at most. It makes each call
// in a goroutine of its own, so that one that hangs is noticed; the proxy has
// one that accepts and two per connection, which end with the test. Nothing of
// the sink is called in two goroutines at once but where that is the test.
package sinktest
