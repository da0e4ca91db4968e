// Package clickhouse is the sink for ClickHouse: one batch is one INSERT of one
// block under one insert_deduplication_token, which names the batch, so that the
// server takes it once however often it comes.
//
// What comes in: chunks of rows, which the writer lays out in the server's own
// format as they come. What goes out: blocks, on connections of the native
// protocol (package native), and questions about tables, which clickhouse-go
// asks.
//
// # Why it is exact
//
// Stage opens the INSERT: the server has the query, the token and the settings,
// and waits for the block. Core then stores the intent and has its heartbeat
// answered. Commit sends the block on that connection and on no other. So a
// writer that was paused between the two wakes up with a connection on which it
// may send one block, under the token of its own batch, until the server's
// max_execution_time, which is that of the attempt: what comes later is refused
// by the server.
//
// The server remembers tokens for as many parts as the table's deduplication
// window has. Open refuses a table without one. Before a batch is repeated, Stage
// asks the table how many parts were inserted since the batch was first tried;
// where that is too near to the window, it looks for the batch's rows by the
// columns that say where each row comes from, and sends those that are missing.
// Without these columns it says that it cannot know.
//
// # Memory and goroutines
//
// A writer holds the rows of one batch in the layout of the wire, and keeps that
// memory for the next; of a batch that is repeated it holds the rows twice. A
// connection holds a frame of 1 MiB. No goroutine runs between calls;
// clickhouse-go's run within a call and end with it.
package clickhouse
