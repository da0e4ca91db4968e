package record

import "fmt"

// Kind is the closed set of kinds of value that a column can hold.
type Kind uint8

// The kinds. A new one needs an answer in every switch over Kind; the tests of
// this package and the conformance kit list them all.
const (
	Invalid   Kind = iota
	Bool           // Bits
	Int            // Ints, 64 bits, signed
	Uint           // Uints, 64 bits, unsigned
	Float          // Floats, 64 bits, IEEE 754
	Decimal        // Decimals, 128 bits, exact: an integer divided by 10^Scale
	Timestamp      // Ints, microseconds since 1970-01-01T00:00:00Z
	String         // Offsets and Data, UTF-8
	Bytes          // Offsets and Data
	List           // Offsets into Elems
	Map            // Offsets into Keys (String) and Elems
	JSON           // Offsets and Data, one JSON value as text
)

var kindNames = [...]string{"invalid", "bool", "int", "uint", "float", "decimal", "timestamp", "string", "bytes", "list", "map", "json"}

// String is the name of a kind as the YAML writes it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Kinds lists every valid kind.
func Kinds() []Kind {
	return []Kind{Bool, Int, Uint, Float, Decimal, Timestamp, String, Bytes, List, Map, JSON}
}

// Type is a kind with its parameters.
type Type struct {
	Kind      Kind
	Precision uint8 // Decimal: digits in all, 1 to 38
	Scale     uint8 // Decimal: digits after the point, 0 to Precision
	Elem      *Type // List: its elements; Map: its values. Keys of a map are strings.
}

// String is the type as the YAML writes it: int, decimal(18,6), list(string).
func (t Type) String() string {
	switch t.Kind {
	case Decimal:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case List, Map:
		if t.Elem != nil {
			return t.Kind.String() + "(" + t.Elem.String() + ")"
		}
	}
	return t.Kind.String()
}

// Equal says whether two types are the same, elements included.
func (t Type) Equal(o Type) bool {
	if t.Kind != o.Kind || t.Precision != o.Precision || t.Scale != o.Scale {
		return false
	}
	if t.Elem == nil || o.Elem == nil {
		return t.Elem == o.Elem
	}
	return t.Elem.Equal(*o.Elem)
}

// Field is one named column of a schema.
type Field struct {
	Name     string
	Type     Type
	Nullable bool

	// Merge says how a grouped row joins the row that the destination already
	// has under the same keys; Replace where there is no aggregate.
	Merge Merge
	// Order names the column that decides for MergeLast; that column is
	// MergeMax of the same schema.
	Order string
}

// Merge is how a column of a grouped row joins what is stored.
type Merge uint8

// The ways to merge.
const (
	Replace   Merge = iota
	MergeKey        // a grouping column
	MergeAdd        // sum, count: stored + new
	MergeMin        // the smaller; null gives way
	MergeMax        // the larger; null gives way
	MergeLast       // the value whose Order column is larger; at a tie the new one
)

// Schema is the ordered list of columns of a chunk. It is not changed once a
// chunk or a sink has it.
type Schema struct {
	Fields []Field
}

// Index is the position of the named field, or -1.
func (s *Schema) Index(name string) int {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
	}
	return -1
}
