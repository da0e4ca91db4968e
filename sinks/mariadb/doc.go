// Package mariadb is the sink for MariaDB. Its spec is in spec.go; what it
// shares with sqlite, and why it is exact, in sqltable.
//
// What comes in: chunks of rows; the writer copies them. What goes out: rows
// of one table and the positions, in one transaction. Connections are pooled
// per sink; the driver runs one goroutine for each, which ends with it.
package mariadb
