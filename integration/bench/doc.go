// Command bench measures Sluice into ClickHouse against a program that does
// nothing but fetch, decode and insert (the ceiling), side by side in one run.
//
// What comes in: flags. What goes out: a table (or JSON) with rows per second,
// CPU seconds per million events and peak memory of each, and their ratios.
//
// Both read the same topics of the same Kafka, 4 partitions of ad events with 22
// fields, lz4, and write 10 columns into MergeTree ORDER BY (type,
// campaign_id, time) of the same ClickHouse. T1 takes all events, T2 clicks and
// conversions only (10 %). Sluice runs with every guarantee on: ledger in Kafka,
// deduplication tokens, provenance columns. The ceiling has no commits, no
// retries, no checks, and its decoder is written by hand for this one schema.
//
// CPU and memory are what the operating system counted for the child process
// from its start to its end. The rate is that of rows arriving in the table, from
// the first that are seen to nine tenths; of T2 there is none, since its few rows
// are one block. The machine is shared with both servers, so only ratios mean
// anything, and CPU is steadier than time.
//
// The ceiling runs as a child of this program (bench ceiling …), with a
// goroutine per partition that owns its buffers, columns and connections.
package main
