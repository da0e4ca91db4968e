package sqlite

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// What a column does with a value, by SQLite's rules of affinity. In a STRICT
// table "any" changes nothing, and elsewhere that is what blob does; there, a
// BLOB takes bytes and nothing else.
const (
	integer  = "integer"
	text     = "text"
	blob     = "blob"
	onlyBlob = "blob of a strict table"
	floats   = "real"
	numeric  = "numeric"
)

func affinity(declared string, strict bool) string {
	d := strings.ToUpper(declared)
	switch {
	case strict && d == "ANY":
		return blob
	case strings.Contains(d, "INT"):
		return integer
	case strings.Contains(d, "CHAR"), strings.Contains(d, "CLOB"), strings.Contains(d, "TEXT"):
		return text
	case strict && d == "BLOB":
		return onlyBlob
	case strings.Contains(d, "BLOB"), d == "":
		return blob
	case strings.Contains(d, "REAL"), strings.Contains(d, "FLOA"), strings.Contains(d, "DOUB"):
		return floats
	}
	return numeric
}

// Declare is the type of a created column; the tables are STRICT.
func (dialect) Declare(t record.Type, _ bool) string {
	switch t.Kind {
	case record.Bool, record.Int, record.Uint:
		return "INTEGER"
	case record.Float:
		return "REAL"
	case record.Bytes:
		return "BLOB"
	}
	return "TEXT"
}

// Bind says how a field is stored in a column.
func (dialect) Bind(t record.Type, c *sqltable.Column) (sqltable.Binding, error) {
	switch t.Kind {
	case record.Bool:
		return bindWhole(c, nil, sqltable.BoolValue)
	case record.Int:
		return bindWhole(c, nil, sqltable.IntValue)
	case record.Uint:
		return bindWhole(c, func(c *record.Column, row int) string {
			if c.Uints[row] > math.MaxInt64 {
				return "larger than 9223372036854775807, SQLite's largest integer"
			}
			return ""
		}, func(c *record.Column, row int) any { return int64(c.Uints[row]) })
	case record.Float:
		return bindFloat(c)
	case record.Decimal:
		return bindDecimal(int(t.Scale), c)
	case record.Timestamp:
		return bindTime(c)
	case record.String, record.JSON:
		return bindText(t.Kind, c)
	case record.Bytes:
		if c.Base != blob && c.Base != onlyBlob {
			return sqltable.Binding{}, errors.New("bytes need a BLOB column")
		}
		return sqltable.Binding{Value: sqltable.BytesValue}, nil
	}
	return sqltable.Binding{}, errors.New("SQLite has no column for it")
}

func bindWhole(c *sqltable.Column, check func(*record.Column, int) string, value func(*record.Column, int) any) (sqltable.Binding, error) {
	switch c.Base {
	case integer, numeric, blob:
		return sqltable.Binding{Check: check, Value: value}, nil
	}
	return sqltable.Binding{}, errors.New("it needs an INTEGER column")
}

func bindFloat(c *sqltable.Column) (sqltable.Binding, error) {
	if c.Base != floats && c.Base != numeric && c.Base != blob {
		return sqltable.Binding{}, errors.New("it needs a REAL column")
	}
	return sqltable.Binding{
		Check: func(c *record.Column, row int) string {
			if math.IsNaN(c.Floats[row]) {
				return "not a number, which SQLite would store as null"
			}
			return ""
		},
		Value: sqltable.FloatValue,
	}, nil
}

// bindDecimal stores exact decimals: as text, since SQLite's own numbers are
// binary; as an integer where the column is one and the scale is 0.
func bindDecimal(scale int, c *sqltable.Column) (sqltable.Binding, error) {
	switch {
	case c.Base == text || c.Base == blob:
		return sqltable.Binding{Value: sqltable.DecimalValue(scale)}, nil
	case c.Base == integer && scale == 0:
		return sqltable.Binding{
			Check: func(c *record.Column, row int) string {
				if _, ok := c.Decimals[row].Int(); !ok {
					return "beyond 64 bits, SQLite's largest integer"
				}
				return ""
			},
			Value: func(c *record.Column, row int) any {
				v, _ := c.Decimals[row].Int()
				return v
			},
		}, nil
	}
	return sqltable.Binding{}, errors.New("SQLite would store it as a binary number and lose digits; it needs a TEXT column")
}

// bindTime stores UTC as text that SQLite's own functions read and that sorts
// as time does, or microseconds since 1970 in an integer column.
func bindTime(c *sqltable.Column) (sqltable.Binding, error) {
	switch c.Base {
	case integer:
		return sqltable.Binding{Value: sqltable.IntValue}, nil
	case floats, onlyBlob:
		return sqltable.Binding{}, errors.New("it needs a TEXT column, or an INTEGER column for microseconds since 1970")
	}
	return sqltable.Binding{
		Check: func(c *record.Column, row int) string {
			if c.Ints[row] < sqltable.MinTime || c.Ints[row] > sqltable.MaxTime {
				return "outside of the years 1 to 9999"
			}
			return ""
		},
		Value: sqltable.TimeValue,
	}, nil
}

func bindText(kind record.Kind, c *sqltable.Column) (sqltable.Binding, error) {
	if c.Base != text && c.Base != blob {
		return sqltable.Binding{}, errors.New("it needs a TEXT column: another would turn texts that look like numbers into numbers")
	}
	return sqltable.Binding{
		Check: func(c *record.Column, row int) string {
			v := c.Bytes(row)
			if !utf8.Valid(v) {
				return "not UTF-8"
			}
			if kind == record.JSON && !json.Valid(v) {
				return "not JSON"
			}
			return ""
		},
		Value: sqltable.TextValue,
	}, nil
}
