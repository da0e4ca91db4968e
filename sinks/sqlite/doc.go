// Package sqlite is the sink for SQLite files. Its spec is in spec.go; what it
// shares with mariadb, and why it is exact, in sqltable.
//
// What comes in: chunks of rows; the writer copies them. What goes out: rows
// of one table and the positions, in one transaction, written by one
// connection of this process (others wait for it, and for other processes as
// long as timeout says). The driver is pure Go and starts goroutines only
// within a call.
package sqlite
