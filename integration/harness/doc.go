// Package harness runs the built program on real servers, does bad things to
// it, and checks all the while that nothing is missing and nothing doubled.
//
// What comes in: Options, with a seed from which the workload and the faults
// follow (their timing does not: that is the machine's). What goes out: a
// Report, and an error that names the first thing that was wrong; the folder of
// a failed run keeps its configuration, logs, timeline, ledger and, where it has
// come to its end, what the topic's log has.
//
// # The parts
//
// A workload makes events that follow from their ids alone. Producers write
// them in transactions of which some are aborted, and note in a ledger what
// became of each. A truth reads the topic back through another client, so that
// positions can be turned into the exact sums that a database must hold. At the
// end a judge reads the log itself, markers and all, and holds both against it.
// Instances are processes of the program; gates are the proxies between them
// and the servers, with traps for single requests. A store is the server that
// the sinks write to, MariaDB or ClickHouse, and knows what of its protocol a trap
// may be set for, and what must be there to be seen. A director performs the
// faults, storms and rolling restarts; an observer polls the store and compares;
// the evidence is taken from the program's logs and from what the server counts.
//
// # Goroutines
//
// Run starts all of them and waits for all of them. Instances die with it.
package harness
