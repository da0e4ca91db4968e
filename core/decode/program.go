package decode

import "github.com/sluicekit/sluice/core/record"

// program is what a writer's schema compiles to: steps that are run over a
// record's bytes from first to last. It belongs to one decoder.
type program struct {
	ops    []op
	bound  int64  // the binding that the steps' columns are from
	sites  []site // per op
	tables [][]int32
	nodes  []*node
	consts [][]byte // Avro encodings of defaults
	picks  []pick
	texts  []*extractor
	notes  []string // why a value cannot become what is wanted
	marks  int      // positions to remember
	large  bool     // it has more steps than one may have, and is not to be run
}

// site is what a step that fails needs to know.
type site struct {
	field string // for messages
	node  *node  // the writer's type of the value that the step reads,
	depth int    // and how deep it lies
	cols  []int  // opText: the columns that the value is for
}

// op is one step. What col, n and ref mean depends on the code.
type op struct {
	dst  *record.Column // column col of the chunk: see machine.load
	code opcode
	col  int32 // the column that is appended to
	n    int32
	ref  int32
}

// pick takes single entries out of an array or map.
type pick struct {
	node    *node
	depth   int
	entries []entry
}

type entry struct {
	name   string
	index  int
	found  int32 // pc of the steps for the entry's value
	absent int32 // pc of the steps when there is no such entry
}

type opcode uint8

const (
	opEnd       opcode = iota
	opJump             // to n
	opMark             // remember the position as ref
	opReturn           // go back to position ref
	opSkip             // n bytes
	opSkipInts         // n varints
	opSkipTexts        // n values that start with their length
	opSkipNode         // a value of nodes[ref] at depth n
	opNullable         // a union of two; ref is null's branch, n where to go then
	opUnion            // go to where tables[ref] says
	opNull
	opConst    // run n over consts[ref]
	opMismatch // a value that cannot become what is wanted: notes[ref] says why
	opDeep     // a value nested deeper than the limit
	opStop     // a prefilter's value was read: the run may go on at resume
	opPick     // picks[ref]
	opText     // JSON text, for texts[ref]
	opString   // UTF-8
	opLong
	opDouble
	opBool
	opInt // within 32 bits
	opIntFloat
	opLongFloat
	opFloat
	opMillis
	opNanos
	opDate
	opBytes
	opFixed        // n bytes
	opUUID         // 16 bytes, as text
	opEnum         // nodes[ref]
	opDecimal      // nodes[ref], of scale n
	opDecimalFixed // the same
	opJSON         // nodes[ref] at depth n
	opList         // body at n, elements in column ref
	opMap          // body at n, values in column ref, keys in column ref+1
)

// fault is why a record is bad.
type fault uint8

const (
	faultNone fault = iota
	faultTruncated
	faultTrailing
	faultVarint
	faultLength
	faultBranch
	faultCount
	faultDepth
	faultUTF8
	faultSymbol
	faultBool
	faultRange
	faultDigits
	faultNanos
	faultYear
	faultLong
	faultFull
	faultMismatch
	faultSyntax
	faultControl
	faultEscape
	faultSurrogate
	faultKind
	faultInteger
	faultNumber
	faultScale
	faultTime
	faultUnit
	faultBase64
	faultObject
)

var faultTexts = [...]string{
	faultTruncated: "the data end too early",
	faultTrailing:  "more data behind the event",
	faultVarint:    "an integer longer than its type",
	faultLength:    "a length below zero",
	faultBranch:    "a union branch that the schema does not have",
	faultCount:     "more entries than the limit, or a wrong block size",
	faultDepth:     "nested deeper than the limit",
	faultUTF8:      "not valid UTF-8",
	faultSymbol:    "an enum symbol that the schema does not have",
	faultBool:      "a boolean that is neither 0 nor 1",
	faultRange:     "a number outside the range of its type",
	faultDigits:    "more digits than the column has",
	faultNanos:     "a time with parts of a microsecond",
	faultYear:      "a time outside the years 0 to 9999",
	faultLong:      "longer than the limit",
	faultMismatch:  "written with another type",
	faultSyntax:    "not valid JSON",
	faultControl:   "a control character in a JSON string",
	faultEscape:    "an invalid escape in a JSON string",
	faultSurrogate: "half a surrogate pair in a JSON string",
	faultKind:      "a JSON value of another type",
	faultInteger:   "not a whole number",
	faultNumber:    "not a number",
	faultScale:     "more decimal places than the column has",
	faultTime:      "not a time as RFC 3339 writes it",
	faultUnit:      "a time as a number, with no unit declared",
	faultBase64:    "not base64",
	faultObject:    "the event is not a JSON object",
}
