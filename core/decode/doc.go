// Package decode turns the bytes of events into columns.
//
// What comes in: record values as Kafka holds them, JSON or Avro, and the list
// of values that the stream's sinks want. What goes out: one row per event in
// a [record.Chunk], with a column per wanted value; events that cannot be read
// are noted in the chunk's Bad.
//
// # Paths
//
// A path starts with a role of the envelope (id, time, type, server, payload)
// or with another top-level field by its own name. Options.Envelope says where
// in the raw event a role lies; by default a role is the field of the same
// name. What an event lacks is null.
//
// # What makes a record bad, and what makes a value bad
//
// A record is judged by its structure. That is checked to the last byte, and
// the same way whatever is wanted of it: truncated data, trailing bytes,
// lengths and union branches that cannot be, nesting and counts beyond Limits,
// the size, and in JSON the whole grammar. A record whose structure is broken is
// bad for all (chunk.Bad).
//
// A wanted value that is not sound in itself (UTF-8, the range of an int, an
// enum's symbol, a payload text that is no JSON) or does not fit its column is
// a bad value (chunk.BadValues): it is null in its column, and the reading goes
// on behind it. Who wants that column decides what it means; others do not see
// it. Nothing is ever rounded, cut or replaced. Values that nobody wants are
// walked over; what is in them is not looked at.
//
// So a stream's rows, as each sink gets them, do not depend on the other sinks:
// a batch that is repeated after a sink was added is the same batch. Whoever
// adds a way to read less (an early stop, a filter) has to keep that: a record
// may be passed over only once its structure was checked to its end, and only if
// no sink could find it bad. For Avro the judge is walk.go: reading a value must
// accept in structure exactly what skipping it does (see machine.mend).
//
// Only an unknown schema id is judged by something other than the bytes
// (record.Bad.Outside), and a schema id whose program would be too large for what
// is wanted of it (see maxSteps). Reasons are for people: the field that a reason names
// for a broken structure may depend on what is wanted.
//
// # Avro
//
// Every schema id has its own program: the writer's schema is resolved against
// the wants once, into a flat list of read and skip steps that is then run over
// the bytes. The reader's schema is the latest one of the subject, or the
// file's, as it was when the stream was opened; it gives types, aliases and
// defaults. Beyond Avro's rules: a field that neither the writer nor a default
// gives is null; enum symbols that the reader does not know pass as written;
// timestamps and decimals are converted exactly between units and scales; a
// path through a union of records reads each branch that has it.
//
// As JSON text, Avro values are written like this: records with their fields in
// the writer's order, unions as the bare value, decimals as exact numbers,
// timestamps as RFC 3339 in UTC with up to 6 digits, dates as 2006-01-02, times
// of day as integers, bytes and fixed as base64, the floats that JSON lacks as
// "NaN", "Infinity" and "-Infinity".
//
// Values of Avro files are read the same way, with Options.Writers in the place of
// the registry. NewMeasure tells where one value ends and the next one starts.
//
// # JSON
//
// One pass finds the wanted values; no tree is built. The event is an object.
// All of it is checked, in UTF-8 and without lone surrogates: to stop behind the
// last wanted value would save a tenth to a half of the time, but a torn event
// would be good for one set of wants and bad for another. Of equal
// keys the last one counts, as in encoding/json; only a Map column has all of
// them, in their order, as it has those of an Avro map. Types come from
// Options.Types, since JSON names none. An int takes whole numbers however they
// are written (1e3), a decimal also a string that holds a number, a timestamp
// RFC 3339 or a number of the declared unit, bytes base64. JSON values are kept
// as they stand. A payload that is a string with JSON in it is read like an
// object when Options.Types declares something below it; in Avro too.
//
// # Skipping
//
// Where every sink asks for certain types of event only, Prefilter makes the
// decoder walk over the others. That saves reading and holding their values. A
// record is skipped only if it is sound and its type was read and is another
// one: that is what where says of it too, whatever else is in it.
//
// # Memory and goroutines
//
// A Decoder copies what it keeps: the value may be reused when Append returns.
// It keeps scratch memory and is used by one goroutine at a time; a Stream may
// be shared. Append calls the registry when it meets an id for the first time;
// only Foresee starts goroutines, a few that ask at once, and waits for them.
package decode
