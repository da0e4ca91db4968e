package native

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Type is a type of ClickHouse as a table declares it.
type Type struct {
	Text string // as the server writes it
	Name string // Int64, Nullable, Array, …
	Args []Type // Nullable, LowCardinality, Array, Map, Tuple
	// Names are those of a named Tuple's elements, "" where they have none.
	Names []string
	Size  int       // FixedString: bytes. DateTime64: digits of the fraction. Decimal: precision
	Scale int       // Decimal
	Enum  []EnumOne // Enum8, Enum16
}

// EnumOne is one value of an enumeration.
type EnumOne struct {
	Name  string
	Value int16
}

// maxTypeDepth bounds how deep types lie in each other: what a server sends is
// not trusted.
const maxTypeDepth = 16

// ParseType reads a type as system.columns shows it.
func ParseType(text string) (Type, error) {
	p := typeParser{rest: text}
	t, err := p.parse(0)
	if err == nil && p.space() != "" {
		err = errors.New("it goes on behind its end")
	}
	if err != nil {
		return Type{}, fmt.Errorf("type %q: %w", text, err)
	}
	return t, nil
}

type typeParser struct{ rest string }

func (p *typeParser) space() string {
	p.rest = strings.TrimLeft(p.rest, " \n\t")
	return p.rest
}

func (p *typeParser) take(mark byte) bool {
	if s := p.space(); s != "" && s[0] == mark {
		p.rest = s[1:]
		return true
	}
	return false
}

// word takes an identifier, which may stand in backquotes.
func (p *typeParser) word() (string, error) {
	s := p.space()
	if s != "" && s[0] == '`' {
		return p.quoted('`')
	}
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n] >= 'A' && s[n] <= 'Z' || s[n] >= 'a' && s[n] <= 'z') {
		n++
	}
	if n == 0 {
		return "", errors.New("a name is missing")
	}
	p.rest = s[n:]
	return s[:n], nil
}

// quoted takes a text between two marks, in which a backslash escapes.
func (p *typeParser) quoted(mark byte) (string, error) {
	if !p.take(mark) {
		return "", fmt.Errorf("a %c is missing", mark)
	}
	var b strings.Builder
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '\\' && i+1 < len(p.rest):
			i++
			b.WriteByte(unescape(p.rest[i]))
		case c == mark:
			p.rest = p.rest[i+1:]
			return b.String(), nil
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("a closing %c is missing", mark)
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case '0':
		return 0
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return c
}

func (p *typeParser) number() (int, error) {
	s := p.space()
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || n == 0 && s[n] == '-') {
		n++
	}
	v, err := strconv.Atoi(s[:n])
	if err != nil {
		return 0, errors.New("a number is missing")
	}
	p.rest = s[n:]
	return v, nil
}

func (p *typeParser) parse(depth int) (t Type, err error) {
	if depth > maxTypeDepth {
		return t, fmt.Errorf("it is nested more than %d deep", maxTypeDepth)
	}
	began := p.space()
	if t.Name, err = p.word(); err != nil {
		return t, err
	}
	if p.take('(') {
		if err = p.arguments(&t, depth); err != nil {
			return t, err
		}
	}
	t.Text = strings.TrimSpace(began[:len(began)-len(p.rest)])
	return t, t.normal()
}

// arguments reads what stands in the brackets, the closing one included.
func (p *typeParser) arguments(t *Type, depth int) (err error) {
	switch t.Name {
	case "FixedString", "DateTime64", "Decimal":
		if t.Size, err = p.number(); err != nil {
			return err
		}
		if p.take(',') && t.Name == "Decimal" {
			if t.Scale, err = p.number(); err != nil {
				return err
			}
		}
		return p.skip()
	case "Decimal32", "Decimal64", "Decimal128", "Decimal256":
		if t.Scale, err = p.number(); err != nil {
			return err
		}
		return p.skip()
	case "Enum8", "Enum16":
		return p.enum(t)
	case "Nullable", "LowCardinality", "Array", "Map", "Tuple", "Nested":
		return p.nested(t, depth)
	case "SimpleAggregateFunction":
		if _, err = p.word(); err != nil { // the function; the value is stored as its type
			return err
		}
		if !p.take(',') {
			return errors.New("a type is missing")
		}
		return p.nested(t, depth)
	}
	return p.skip() // DateTime('zone'), JSON(…), and what is refused by its name
}

// skip reads up to the bracket that closes, whatever it is.
func (p *typeParser) skip() error {
	for open := 1; p.rest != ""; {
		switch c := p.rest[0]; c {
		case '\'', '`':
			if _, err := p.quoted(c); err != nil {
				return err
			}
			continue
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				p.rest = p.rest[1:]
				return nil
			}
		}
		p.rest = p.rest[1:]
	}
	return errors.New("a closing bracket is missing")
}

func (p *typeParser) enum(t *Type) error {
	for {
		name, err := p.quoted('\'')
		if err != nil {
			return err
		}
		if !p.take('=') {
			return errors.New("a value of the enumeration has no number")
		}
		n, err := p.number()
		if err != nil {
			return err
		}
		if half := 1 << (enumBits(t.Name) - 1); n < -half || n >= half {
			return errors.New("a number of the enumeration is out of its range")
		}
		t.Enum = append(t.Enum, EnumOne{name, int16(n)})
		if p.take(')') {
			return nil
		}
		if !p.take(',') {
			return errors.New("the enumeration does not end")
		}
	}
}

// enumBits is how many an enumeration is stored in.
func enumBits(name string) int {
	if name == "Enum8" {
		return 8
	}
	return 16
}

func (p *typeParser) nested(t *Type, depth int) error {
	for {
		name := ""
		if t.Name == "Tuple" || t.Name == "Nested" {
			// Names are optional: a name is followed by a type, a type is not.
			back := p.rest
			word, err := p.word()
			if err != nil {
				return err
			}
			if s := p.space(); s != "" && s[0] != ',' && s[0] != ')' && s[0] != '(' {
				name = word
			} else {
				p.rest = back
			}
		}
		arg, err := p.parse(depth + 1)
		if err != nil {
			return err
		}
		t.Args, t.Names = append(t.Args, arg), append(t.Names, name)
		if p.take(')') {
			return nil
		}
		if !p.take(',') {
			return errors.New("a closing bracket is missing")
		}
	}
}

// normal brings types that are written in several ways to one.
func (t *Type) normal() error {
	want := map[string]int{"Nullable": 1, "LowCardinality": 1, "Array": 1, "SimpleAggregateFunction": 1, "Map": 2}
	if n, ok := want[t.Name]; ok && len(t.Args) != n {
		return fmt.Errorf("%s has %d arguments, want %d", t.Name, len(t.Args), n)
	}
	switch t.Name {
	case "Decimal32":
		t.Name, t.Size = "Decimal", 9
	case "Decimal64":
		t.Name, t.Size = "Decimal", 18
	case "Decimal128":
		t.Name, t.Size = "Decimal", 38
	case "Decimal256":
		t.Name, t.Size = "Decimal", 76
	case "SimpleAggregateFunction":
		text := t.Text
		*t = t.Args[0]
		t.Text = text
	}
	none := false
	switch t.Name {
	case "Decimal":
		none = t.Size < 1 || t.Size > 76 || t.Scale < 0 || t.Scale > t.Size
	case "FixedString":
		none = t.Size < 1 || t.Size > maxFixedString
	case "DateTime64":
		none = t.Size < 0 || t.Size > 9
	case "Enum8", "Enum16":
		none = len(t.Enum) == 0 // its first value stands for null
	}
	if none {
		return fmt.Errorf("%s(%d) is none", t.Name, t.Size)
	}
	return nil
}

// maxFixedString is the server's own limit.
const maxFixedString = 0xFFFFFF

// Nullable says whether a column of the type takes null, and gives the type of
// what is not null.
func (t Type) Nullable() (of Type, nullable bool) {
	if t.Name == "LowCardinality" {
		of, nullable = t.Args[0].Nullable()
		return of, nullable
	}
	if t.Name == "Nullable" {
		return t.Args[0], true
	}
	return t, false
}
