// Package pipeline assembles a stream: it joins the consumer group, reads and
// decodes the partitions that it is given, and runs a lane for every sink and
// slot.
//
// What comes in: a stream's options and its opened events, sinks with their
// plans. What goes out: nothing but what the sinks write; Run blocks.
//
// # The way of the data
//
// One Partition per partition held fetches and decodes, once for all sinks,
// as long as some lane wants what comes next, and keeps the newest chunks in a
// window. A lane whose position is in the window takes them from there; one
// that has fallen behind fetches and decodes for itself until it has caught
// up. So a slow or dead sink never slows another.
//
// # Memory
//
// Every decoded chunk is charged to one budget, and is given back when the
// window and all lanes have dropped it; chunks and fetch buffers are then used
// again.
//
// # Goroutines
//
// Run starts, and waits for: one per lane, one per partition, one for the
// ledger's writer, one that watches the topic's metadata. Nothing is running
// when it returns.
package pipeline
