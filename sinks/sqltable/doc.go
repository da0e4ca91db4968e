// Package sqltable writes rows into tables of SQL databases with
// transactions: the part that the sinks mariadb and sqlite share. It is
// delivery Atomic: the rows of a cut and the position behind it are one
// transaction, and the position is changed by compare-and-set, so an equal cut
// is applied once whatever is lost on the way.
//
// What comes in: the schema and the chunks of one sink, and a Dialect, which
// is how one database differs from the other. What goes out: rows of the
// target table, and a row for each partition in the position table.
//
// # The position table
//
// One row per sink (its id, name@connection), incarnation, topic and
// partition: the next offset, and the last committed cut: its first offset on
// that partition, the slot it was cut from, its dead offsets and how many dead
// letters it had. All rows of a slot are written by every commit, also those
// of partitions that had nothing new: so they always describe one cut, and two
// owners of one slot exclude each other even where their cuts do not overlap.
//
// # Why it is exact
//
// A transaction inserts its rows first and moves the positions last:
//
//	UPDATE … SET next_offset = Next WHERE … AND next_offset = First
//
// which must hit exactly one row for each partition (for a slot's first cut an
// INSERT, which fails if somebody else was faster). The database serialises
// writers of one row, so of all transactions that start at First one can
// succeed; every other finds another offset, rolls its rows back with it and
// reports sink.ErrStale.
//
// An answer to COMMIT that was lost is resolved by reading the position on
// another connection, never by running the transaction again (a failed
// COMMIT is often one that succeeded). The read takes a lock, for this reason:
//
//  1. The old transaction changed the position before its COMMIT was sent, so
//     it holds the lock of that row until it ends, whatever its connection
//     does. A locking read waits for that end, and then sees a final state:
//     the cut is there, or it never will be.
//  2. A Claim does the same read, for a transaction that its owner abandoned
//     at COMMIT. It does not wait for one that has not moved the position yet,
//     and need not: such a transaction either lost its client, then nobody can
//     send the UPDATE any more and the server rolls it back; or its owner
//     lives (it was paused, and has been replaced). Then it and the new owner
//     both carry the same First, and only one UPDATE finds it. If the old one
//     wins, the new one gets Stale, claims again and goes on behind it.
//  3. Rows of an unfinished transaction are locked too: a new owner that
//     inserts the same keys waits for it. After its rollback it goes on; after
//     its commit the keys are there, which looks like rows that are doubles.
//     So before a row is blamed the position is read again, locked, and Stale
//     wins over any complaint about rows.
//
// An error before COMMIT was sent is Refused: the server rolls back what it
// was never told to commit. That holds for tables of a transactional engine
// only; others are refused by Open.
//
// # Memory and goroutines
//
// A writer copies the rows it is given and holds them until the commit. The
// package starts no goroutines; database/sql keeps one per pool, and a
// driver some per connection, until Close.
package sqltable
