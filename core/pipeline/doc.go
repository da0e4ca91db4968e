// Package pipeline assembles a stream: it joins the consumer group, reads and
// decodes the partitions that it is given, and runs a lane for every sink and
// slot.
//
// What comes in: a stream's options and its opened events, sinks with their
// plans. What goes out: nothing but what the sinks write; Run blocks.
//
// # Where records come from
//
// An origin is Kafka (core/source) or files (core/folder). It names partitions,
// hands out a cursor for each reader, stores what the ledger writes, and says
// which slots are ours, and when no more. All else is the same for both. A stream
// of files without follow is finite: Run ends when every lane has settled all.
//
// # The way of the data
//
// One Partition per partition held fetches and decodes, once for all sinks,
// as long as some lane wants what comes next, and keeps the newest chunks in a
// window. A lane whose position is in the window takes them from there; one
// that has fallen behind fetches and decodes for itself until it has caught
// up. So a slow or dead sink never slows another.
//
// # Rebalances
//
// A holding lasts as long as the membership, and generations of the group come
// and go meanwhile. In each the leader says which slots are this member's, and
// which it is to give up; see core/source. Lanes of slots that stay are not
// told. They, and the ledger's writer, work in the old generation until the
// coordinator has left it; then what has to be stored or proved waits until the
// next one was looked at (holding.renew): a slot goes on only if the group
// holds the record that the writer remembers, and lanes with a pending cut only
// if no generation was missed. So nothing rests on what other members say of
// themselves or give up: only on a slot having one owner in each generation,
// and on the coordinator, which refuses what is sent in one that is over. What
// is to be given up is revoked and settled, and
// the member joins again without it; what is lost is cut off.
//
// # Memory
//
// One Budget covers what is fetched, decoded and held. Its first half is for
// reading. An answer of a broker is reserved before it is asked for: one
// request reads many partitions, and there are few requests at a time. Unpacked
// batches and decoded chunks are charged by the memory that they keep, used or
// not. A reader that finds no room first takes back what others can do without:
// chunks that no lane waits for, answers that can be fetched again, chunks that
// a lane is slow to take. Then it waits, in turn.
//
// The second half is for the sinks: the rows of a chunk while they are projected,
// and what writers hold until they commit. A sink may hold twice what it leaves
// free, so a dead one leaves a third to the others; its own lanes wait for each
// other before they take a chunk, and one that holds rows while others wait
// commits early (lane.ErrPressed). A sink that holds nothing is always let in, and
// a batch that is repeated is always read to its end: what passes the budget is
// at most one record, or one repeated batch, for each lane that is at it.
//
// What is in use costs its memory, idle partitions and lanes hold none: decoders,
// readers, chunks and the desks of lanes are lent while they are needed, and what
// nobody has touched for some seconds goes back. A lane costs about 25 KiB all the
// same, most of it the stacks of its goroutines and its meter.
//
// # Goroutines
//
// Run starts, and waits for: one per lane, one per partition, one per slot that
// waits for those, one for the ledger's writer, one that gives idle memory back,
// one that watches for the end of the membership, and one for a rejoin that is
// under way. Nothing is running when it returns.
package pipeline
