// Package jsonl writes rows as JSON lines: one object per row, its members in
// the order of the schema, each line ended by a newline.
//
// What comes in: chunks. What goes out: bytes, appended to the caller's slice;
// equal rows give equal bytes. Rows that JSON cannot hold (a float that is NaN,
// text that is not UTF-8) come back as a *sink.RowsError.
//
//	bool             true, false
//	int, uint        a number, all digits (some readers round beyond 2^53)
//	float            the shortest number that reads back the same
//	decimal          a number with as many digits behind the point as its scale
//	timestamp        "2026-11-22T10:00:00.123456Z", UTC, always microseconds
//	string           a string
//	bytes            a string, base64 with padding (RFC 4648 §4)
//	list             an array
//	map              an object, its members in the order of the column
//	json             the value itself, without its line breaks
//	null             null
//
// Memory: an Encoder keeps only the names of the schema and allocates nothing
// per row. It may be used by one goroutine at a time, and starts none.
package jsonl
