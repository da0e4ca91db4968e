// Package demo shows the whole story on one machine with nothing installed:
// events go through Kafka into databases, the program is killed twice on the
// way, and afterwards every row is compared with what was produced.
//
// In: a number of events and a folder. Out: a Report. The parent process runs
// an in-process Kafka and schema registry and produces a deterministic stream
// of ad events (Avro, two schema versions); a child process runs `sluice run`
// on YAML files written into the folder, exactly as a user's would.
//
// Goroutines: the producer, one per child that copies its log, and one that
// watches positions; Run waits for all of them.
package demo
