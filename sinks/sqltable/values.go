package sqltable

import (
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/clock"
)

// The first and the last microsecond of the years that a timestamp's text may
// have: four digits, so that texts sort as times do.
const (
	MinTime = -62135596800_000000 // 0001-01-01 00:00:00
	MaxTime = clock.Next - 1      // 9999-12-31 23:59:59.999999
)

// Kinds are those that a column of an SQL database holds: all but lists and maps.
func Kinds() []record.Kind {
	return []record.Kind{record.Bool, record.Int, record.Uint, record.Float, record.Decimal,
		record.Timestamp, record.String, record.Bytes, record.JSON}
}

// The functions below are what a Binding's Value is for most columns: a value as
// every driver takes it.

// BoolValue is 1 or 0.
func BoolValue(c *record.Column, row int) any {
	if c.Bool(row) {
		return int64(1)
	}
	return int64(0)
}

// IntValue is an Int, or the microseconds of a Timestamp.
func IntValue(c *record.Column, row int) any { return c.Ints[row] }

// FloatValue is a Float.
func FloatValue(c *record.Column, row int) any { return c.Floats[row] }

// DecimalValue is the text of a Decimal, always with scale digits behind the point,
// so that equal values are equal texts.
func DecimalValue(scale int) func(c *record.Column, row int) any {
	return func(c *record.Column, row int) any { return c.Decimals[row].String(scale) }
}

// TimeValue is the text of a Timestamp between MinTime and MaxTime, UTC, which
// both databases read.
func TimeValue(c *record.Column, row int) any {
	var room [32]byte
	return string(clock.Append(room[:0], c.Ints[row], ' '))
}

// TextValue is a String or a JSON.
func TextValue(c *record.Column, row int) any { return string(c.Bytes(row)) }

// BytesValue is a Bytes; drivers take nil for null.
func BytesValue(c *record.Column, row int) any {
	if b := c.Bytes(row); len(b) > 0 {
		return b
	}
	return []byte{}
}
