package mariadb

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/clock"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// Declare is the type of a created column. Keys cannot be of unlimited length.
func (d *dialect) Declare(t record.Type, inKey bool) string {
	switch t.Kind {
	case record.Bool:
		return "BOOLEAN"
	case record.Int:
		return "BIGINT"
	case record.Uint:
		return "BIGINT UNSIGNED"
	case record.Float:
		return "DOUBLE"
	case record.Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
	case record.Timestamp:
		return "DATETIME(6)"
	case record.Bytes:
		if inKey {
			return "VARBINARY(255)"
		}
		return "LONGBLOB"
	case record.JSON:
		return "JSON"
	}
	if inKey {
		return "VARCHAR(255)"
	}
	return "LONGTEXT"
}

// Bind says how a field is stored in a column, exactly or not at all.
func (d *dialect) Bind(t record.Type, c *sqltable.Column) (sqltable.Binding, error) {
	switch t.Kind {
	case record.Bool:
		return bindBool(c)
	case record.Int:
		return bindInt(c)
	case record.Uint:
		return bindUint(c)
	case record.Float:
		return bindFloat(c)
	case record.Decimal:
		return bindDecimal(int(t.Scale), c)
	case record.Timestamp:
		return d.bindTime(c)
	case record.String:
		return bindString(c)
	case record.JSON:
		return bindJSON(c)
	case record.Bytes:
		return bindBytes(c)
	}
	return sqltable.Binding{}, errors.New("MariaDB has no column for it")
}

// limits are the integers that a column holds exactly.
func limits(c *sqltable.Column) (lo int64, hi uint64, ok bool) {
	bits := map[string]int{"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}[c.Base]
	switch {
	case bits > 0 && c.Unsigned:
		return 0, math.MaxUint64 >> (64 - bits), true
	case bits > 0:
		return math.MinInt64 >> (64 - bits), math.MaxInt64 >> (64 - bits), true
	}
	switch c.Base {
	case "bit":
		return 0, math.MaxUint64 >> (64 - min(64, max(1, c.Precision))), true
	case "year":
		return 1901, 2155, true
	case "decimal":
		lo, hi = math.MinInt64, math.MaxUint64
		if digits := c.Precision - c.Scale; digits < 20 {
			hi = 1
			for range digits {
				hi *= 10
			}
			if hi--; hi <= math.MaxInt64 {
				lo = -int64(hi)
			}
		}
	case "double":
		lo, hi = -(1 << 53), 1<<53
	case "float":
		lo, hi = -(1 << 24), 1<<24
	default:
		return 0, 0, false
	}
	if rounds(c) {
		return 0, 0, false
	}
	if c.Unsigned {
		lo = 0
	}
	return lo, hi, true
}

// rounds says whether a column of floats rounds to decimal digits: FLOAT(7,2),
// and DOUBLE(9,0), whose scale is that of a plain one.
func rounds(c *sqltable.Column) bool {
	return (c.Base == "double" || c.Base == "float") && strings.Contains(c.Type, "(")
}

const (
	needsInteger = "it needs an integer column"
	outOfRange   = "out of range"
)

func bindBool(c *sqltable.Column) (sqltable.Binding, error) {
	if _, hi, ok := limits(c); !ok || hi < 1 || c.Base == "year" {
		return sqltable.Binding{}, errors.New("it needs a BOOLEAN column")
	}
	return sqltable.Binding{Value: sqltable.BoolValue}, nil
}

func bindInt(c *sqltable.Column) (sqltable.Binding, error) {
	lo, hi, ok := limits(c)
	if !ok {
		return sqltable.Binding{}, errors.New(needsInteger)
	}
	return sqltable.Binding{
		Check: func(c *record.Column, row int) string {
			if v := c.Ints[row]; v < lo || v > 0 && uint64(v) > hi {
				return outOfRange
			}
			return ""
		},
		Value: sqltable.IntValue,
	}, nil
}

func bindUint(c *sqltable.Column) (sqltable.Binding, error) {
	lo, hi, ok := limits(c)
	if !ok {
		return sqltable.Binding{}, errors.New(needsInteger)
	}
	return sqltable.Binding{
		Check: func(c *record.Column, row int) string {
			if v := c.Uints[row]; v > hi || lo > 0 && v < uint64(lo) {
				return outOfRange
			}
			return ""
		},
		Value: func(c *record.Column, row int) any { return c.Uints[row] },
	}, nil
}

// bindFloat rounds to a FLOAT column's 24 bits, as its owner wanted; all else
// is exact.
func bindFloat(c *sqltable.Column) (sqltable.Binding, error) {
	most := math.MaxFloat64
	switch {
	case c.Base != "double" && c.Base != "float":
		return sqltable.Binding{}, errors.New("it needs a DOUBLE column")
	case rounds(c):
		return sqltable.Binding{}, errors.New("the column rounds to decimal digits; it needs a plain DOUBLE")
	case c.Base == "float":
		most = math.MaxFloat32
	}
	unsigned := c.Unsigned
	return sqltable.Binding{
		Check: func(c *record.Column, row int) string {
			switch v := c.Floats[row]; {
			case math.IsNaN(v):
				return "not a number"
			case math.Abs(v) > most || unsigned && v < 0:
				return outOfRange
			}
			return ""
		},
		Value: sqltable.FloatValue,
	}, nil
}

func bindDecimal(scale int, c *sqltable.Column) (sqltable.Binding, error) {
	digits, to := c.Precision, c.Scale
	lo, hi := int64(math.MinInt64), uint64(math.MaxInt64)
	switch c.Base {
	case "decimal":
	case "tinyint", "smallint", "mediumint", "int", "bigint":
		digits, to = 19, 0
		var max uint64
		lo, max, _ = limits(c)
		hi = min(hi, max)
	default:
		return sqltable.Binding{}, errors.New("it needs a DECIMAL column: others are not exact")
	}
	unsigned, whole := c.Unsigned, c.Base != "decimal"
	room := digits - max(0, to-scale) // a finer column has as much less before the point
	return sqltable.Binding{
		Check: func(c *record.Column, row int) string {
			v, err := c.Decimals[row].Rescale(scale, min(scale, to))
			switch {
			case err != nil:
				return fmt.Sprintf("more than %d digits behind the point", to)
			case room <= record.MaxPrecision && !v.Fits(room), unsigned && v.Sign() < 0:
				return outOfRange
			}
			if whole {
				if n, ok := v.Int(); !ok || n < lo || n > 0 && uint64(n) > hi {
					return outOfRange
				}
			}
			return ""
		},
		Value: sqltable.DecimalValue(scale),
	}, nil
}

func (d *dialect) bindTime(c *sqltable.Column) (sqltable.Binding, error) {
	lo, hi := int64(sqltable.MinTime), int64(sqltable.MaxTime)
	unit := int64(1)
	switch c.Base {
	case "datetime", "timestamp":
		for range 6 - c.Scale {
			unit *= 10
		}
		if c.Base == "timestamp" { // 0 stands for no time
			lo, hi = 1_000_000, d.maxTimestamp
		}
	case "date":
		unit = clock.Day
	default:
		return sqltable.Binding{}, errors.New("it needs a DATETIME(6) column")
	}
	return sqltable.Binding{
		Check: func(c *record.Column, row int) string {
			v := c.Ints[row]
			switch {
			case v < lo || v > hi:
				return outOfRange
			case v%unit != 0:
				return "the column is too coarse for the time's fraction; DATETIME(6) holds all"
			}
			return ""
		},
		Value: sqltable.TimeValue,
	}, nil
}

func bindBytes(c *sqltable.Column) (sqltable.Binding, error) {
	length, fixed := c.Length, c.Base == "binary"
	switch c.Base {
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
	default:
		return sqltable.Binding{}, errors.New("it needs a BLOB or VARBINARY column")
	}
	return sqltable.Binding{
		Check: func(c *record.Column, row int) string {
			n := int64(len(c.Bytes(row)))
			switch {
			case n > length:
				return fmt.Sprintf("longer than %d bytes", length)
			case fixed && n < length:
				return fmt.Sprintf("shorter than %d bytes, and the column would fill it up with zeros", length)
			}
			return ""
		},
		Value: sqltable.BytesValue,
	}, nil
}

func bindJSON(c *sqltable.Column) (sqltable.Binding, error) {
	switch c.Base {
	case "varchar", "tinytext", "text", "mediumtext", "longtext":
	default:
		return sqltable.Binding{}, errors.New("it needs a JSON or TEXT column")
	}
	b, err := bindString(c)
	if err != nil {
		return b, err
	}
	check := b.Check
	b.Check = func(c *record.Column, row int) string {
		if !json.Valid(c.Bytes(row)) {
			return "not JSON"
		}
		return check(c, row)
	}
	return b, nil
}
