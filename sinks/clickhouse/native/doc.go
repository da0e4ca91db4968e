// Package native speaks ClickHouse's native protocol as far as an exact insert
// needs it: a block of columns in the server's own layout, and a connection on
// which one INSERT is opened, waits, and is then sent or given up.
//
// clickhouse-go, which the sink uses for everything else, cannot do this: it
// opens an INSERT and sends its block in one piece of work, takes another
// connection by itself where one has died, and boxes values. Here the columns of
// a chunk are copied as slices into the layout of the wire (Column), which keeps
// its memory from block to block, and nothing is ever sent twice.
//
// What comes in: record columns, and SQL. What goes out: bytes. A Column and a
// Block belong to one caller, as does a Conn. No goroutine runs here but, while
// a call is under way, the one that ends it with its context.
package native
