// Package plan turns what a sink asks for (where, fields, casts, aggregate)
// into rows.
//
// What comes in: the texts of a sink's YAML, what the events of the stream
// hold (Events), and chunks of decoded records, one column per Want. What goes
// out: chunks of rows, one column per field, and for an aggregate one row per
// group. Compile makes a Plan, or reports all problems of the texts at once;
// a Plan makes Projectors and Groupers.
//
// Memory: a Plan does not change and is shared. A Projector and a Grouper own
// scratch memory, read a source chunk only during the call, and copy what they
// append. In steady state they allocate nothing per row. The package starts no
// goroutines.
//
// # The language
//
// The syntax is that of expr-lang/expr, whose parser is used; its checker and
// its machine are not. The checker knows Go's types, which have no decimal and
// no null, and the machine calculates with values of type any, which costs
// some hundred times what a kernel over a column does. So expressions are
// typed here, and every operator is a loop over a whole run of rows.
//
//   - Literals: 12, "text", 'text', true, false, nil. A number with a point or
//     an exponent, 1.50, is an exact decimal. A literal number takes the type
//     of its company: next to a float it is a float, next to a uint a uint.
//   - Paths: payload.items[0].price, payload["odd name"]; a negative index
//     counts from the end. What an event lacks is null.
//   - == != < <= > >= over numbers, strings and bytes (by their bytes), times;
//     bool has only == and !=. x in [a, b], x not in [a, b]. A time is
//     compared with another or with a literal in RFC 3339.
//   - and or not, or && || !. not binds closer than == does.
//   - + - * / %, and + of two strings. startsWith, endsWith, contains.
//   - c ? a : b, a ?? b (b where a is null), of anything but lists and maps.
//   - lower upper trim (ASCII spaces) of a string, len (characters of a string,
//     bytes, elements), abs, round(decimal, digits), year month day hour minute
//     second (of a time, in UTC), truncate(time, "day").
//   - bool int uint float string bytes json of a value, decimal(x, precision,
//     scale), timestamp(x), timestamp(x, "ms").
//
// # Null
//
// An operator or function with a null argument gives null. So does a
// comparison: null == null is null. x == nil and x != nil are never null: they
// ask for it. false and x is false, true or x is true, on either side, also
// where x is null or bad. where selects the rows for which it is true; ?: takes
// its right side unless the condition is true.
//
// # Bad rows
//
// A row is bad where a value does not fit: an integer beyond 64 bits, a decimal
// beyond 38 digits, a division by zero, a cast that would lose something.
// Nothing wraps, and nothing is cut off. A value that the decoder could not
// read (record.BadValue) makes every expression bad that looks at it. What is
// not looked at cannot fail: the branch of ?: that is not taken, the right side
// of ?? where the left is not null, one side of and (or) where the other is
// false (true), and the fields of a row that where does not select. So a plan's
// rows and bad rows depend on the record and the plan, and not on what other
// plans make the decoder read, or on a prefilter for all of them.
//
// # Numbers
//
//   - int with uint is calculated as int; a uint beyond an int makes the row
//     bad. They compare by what they are worth.
//   - int or uint with decimal is a decimal, exactly.
//   - int or uint with float is the nearest float; they compare exactly.
//   - decimal with float is refused when compiled: cast one of them.
//   - + and - of decimals have the larger scale, * the sum of the scales. / of
//     integers and decimals is a decimal with the left side's scale, at least
//     6, rounded half to even. / of floats is a float.
//   - % is for integers; its sign is the left side's.
//   - Floats are IEEE 754: NaN equals nothing, and infinity is a value. Only
//     their division by zero is bad.
//
// # Casts
//
// Casts are exact or make the row bad, except that a float rounds: from any
// number to the nearest float, and from a float to a decimal half to even. A
// time has microseconds: what is below is dropped, towards the past. int of a
// time is its microseconds. string of a decimal has all digits of its scale,
// of a time it is RFC 3339 in UTC, of a list or map it is JSON. A JSON null is
// null, and a JSON string loses its quotes unless it stays JSON.
//
// A path whose type nobody declared (JSON) takes the type of the cast directly
// around it, or of the field's As; a timestamp with a unit is read as an int.
// With two types it is two Wants.
//
// # Aggregates
//
// Rows are grouped by fields, which must not be null (else the row is bad).
// sum of nothing is 0, since a destination adds to what it has; count counts
// rows, or those where a field is not null; min, max and last pass over nulls,
// but last may keep a null value. Sums of integers and decimals are exact, and
// an error if the result does not fit. What a Grouper emits depends only on
// the rows, not on the chunks that they came in or how those of several
// partitions were interleaved.
package plan
