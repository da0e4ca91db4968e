// Package telemetry counts what the lanes do, and shows it: as numbers for a
// program (Snapshot), as Prometheus text (WriteTo, Handler), and as logs.
//
// What comes in: calls of the lanes, on every batch. What goes out: copies.
// There is no package-level state: a program makes one Registry and hands it
// down; two of them in one process do not know each other.
//
// # A lane's counters
//
// Registry.Lane gives the Lane of a sink and slot. A lane that is closed and
// opened again (a rebalance, an error) is given the same one, so that counters
// go on. Every record is counted once in Read, and once in Committed, Filtered
// or Dead: at rest Read = Committed + Filtered + Dead (invariant I6). So a
// record that is read again for the repeat of a batch must not be counted as
// read again; the lane sees to that, this package only adds.
//
// # Memory and goroutines
//
// Counters, gauges and histograms are of fixed size, and adding to one is an
// atomic operation that allocates nothing. Values of events are never
// kept, in labels, states or logs. Serve blocks, and everything that it started
// has ended when it returns; nothing else here starts a goroutine.
package telemetry
