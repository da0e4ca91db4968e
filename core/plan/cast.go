package plan

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
)

// castable says whether values of one type can be brought to another; if not,
// what to write instead, or "".
func castable(from, to record.Type, unit string) (ok bool, hint string) {
	numeric := from.Kind == record.Int || from.Kind == record.Uint || from.Kind == record.Decimal
	scalarText := from.Kind == record.String || from.Kind == record.JSON
	switch to.Kind {
	case record.Bool:
		return from.Kind == record.Bool || scalarText, ""
	case record.Int:
		return numeric || scalarText || from.Kind == record.Float || from.Kind == record.Timestamp, ""
	case record.Uint, record.Float, record.Decimal:
		return numeric || scalarText || from.Kind == record.Float, ""
	case record.Timestamp:
		switch {
		case unit == "" && (numeric || from.Kind == record.Float):
			return false, "say what the number counts: timestamp(s), timestamp(ms), timestamp(us) or timestamp(ns)"
		case unit != "" && from.Kind == record.Float:
			return false, "make it a decimal(p,s) first"
		case unit != "":
			return numeric || scalarText, ""
		}
		return scalarText || from.Kind == record.Timestamp, ""
	case record.String, record.JSON:
		return true, ""
	case record.Bytes:
		return from.Kind == record.Bytes || from.Kind == record.String, ""
	}
	return from.Equal(to), ""
}

// cast evaluates a cast that castable allows. Exact, or the row is bad; only
// floats round, and times drop what is below a microsecond.
func (m *machine) cast(e *expr, v, a *vec) {
	v.strict(a)
	k := a.mask()
	if e.typ.Kind == a.Type.Kind && e.typ.Kind == record.Decimal && e.typ.Scale == a.Type.Scale && e.typ.Precision >= a.Type.Precision {
		for i := range v.Decimals {
			v.Decimals[i] = a.Decimals[i&k]
		}
		return
	}
	for i := range v.Len {
		var c cause
		isText := v.isText()
		if !v.Column.Null(i) {
			switch e.typ.Kind {
			case record.Bool:
				var b bool
				b, c = m.toBool(a, i&k)
				v.Bits[i>>6] &^= 1 << (uint(i) & 63)
				v.Bits[i>>6] |= bit(b) << (uint(i) & 63)
			case record.Int:
				v.Ints[i], c = m.toInt(a, i&k)
			case record.Uint:
				v.Uints[i], c = m.toUint(a, i&k)
			case record.Float:
				v.Floats[i], c = m.toFloat(a, i&k)
			case record.Decimal:
				v.Decimals[i], c = m.toDec(a, i&k, int(e.typ.Precision), int(e.typ.Scale))
			case record.Timestamp:
				v.Ints[i], c = m.toTime(a, i&k, e.unit)
			default:
				before := len(v.Data)
				if v.Data, c = m.appendAs(v.Data, e.typ.Kind, a, i&k); c != fine {
					v.Data = v.Data[:before]
				}
			}
		}
		if isText {
			v.endText(i, e)
		}
		v.settle(i, e, c)
	}
	if v.Type.Kind == record.Bool {
		v.maskBits()
	}
}

// scalar is the text of a number or word in row i of a String or JSON: JSON
// strings without their quotes.
func (m *machine) scalar(a *vec, i int) ([]byte, cause) {
	text := a.Column.Bytes(i)
	if a.Type.Kind == record.String {
		return text, fine
	}
	return m.jsonScalar(text)
}

func (m *machine) toBool(a *vec, i int) (bool, cause) {
	if a.Type.Kind == record.Bool {
		return a.Column.Bool(i), fine
	}
	text, c := m.scalar(a, i)
	switch {
	case c != fine:
		return false, c
	case string(text) == "true":
		return true, fine
	case string(text) == "false":
		return false, fine
	}
	return false, notBool
}

func (m *machine) toInt(a *vec, i int) (int64, cause) {
	if a.Type.Kind == record.Int || a.Type.Kind == record.Timestamp {
		return a.Ints[i], fine
	}
	d, c := m.toInteger(a, i)
	if c != fine {
		return 0, c
	}
	n, ok := d.Int()
	if !ok {
		return 0, outOfRange
	}
	return n, fine
}

func (m *machine) toUint(a *vec, i int) (uint64, cause) {
	if a.Type.Kind == record.Uint {
		return a.Uints[i], fine
	}
	d, c := m.toInteger(a, i)
	if c != fine {
		return 0, c
	}
	n, ok := d.Uint()
	switch {
	case d.Sign() < 0:
		return 0, notUint
	case !ok:
		return 0, outOfRange
	}
	return n, fine
}

// toInteger is a number without a fraction; a float with one is not rounded.
func (m *machine) toInteger(a *vec, i int) (record.Dec, cause) {
	if a.Type.Kind == record.Float && math.Trunc(a.Floats[i]) != a.Floats[i] {
		if math.IsNaN(a.Floats[i]) {
			return record.Dec{}, notFinite
		}
		return record.Dec{}, notInteger
	}
	d, c := m.toDec(a, i, record.MaxPrecision, 0)
	if c == losesDigits || c == notNumber {
		c = notInteger
	}
	return d, c
}

func (m *machine) toFloat(a *vec, i int) (float64, cause) {
	switch a.Type.Kind {
	case record.Float:
		return a.Floats[i], fine
	case record.Int:
		return float64(a.Ints[i]), fine
	case record.Uint:
		return float64(a.Uints[i]), fine
	case record.Decimal:
		return a.Decimals[i].Float(int(a.Type.Scale)), fine
	}
	text, c := m.scalar(a, i)
	if c != fine {
		return 0, c
	}
	for _, b := range text { // ParseFloat knows words, hexadecimals and underscores as well
		if (b < '0' || b > '9') && b != '-' && b != '+' && b != '.' && b != 'e' && b != 'E' {
			return 0, notNumber
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	switch {
	case err == nil:
		return f, fine
	case math.IsInf(f, 0):
		return 0, outOfRange
	}
	return 0, notNumber
}

// toDec rounds only floats: half to even, from the float's exact value.
func (m *machine) toDec(a *vec, i, precision, scale int) (record.Dec, cause) {
	var d record.Dec
	var err error
	switch a.Type.Kind {
	case record.Int:
		d, err = record.DecFromInt(a.Ints[i]).Rescale(0, scale)
	case record.Uint:
		d, err = record.DecFromUint(a.Uints[i]).Rescale(0, scale)
	case record.Decimal:
		d, err = a.Decimals[i].Rescale(int(a.Type.Scale), scale)
	case record.Float:
		return m.floatToDec(a.Floats[i], precision, scale)
	default:
		text, c := m.scalar(a, i)
		if c != fine {
			return d, c
		}
		d, err = record.ParseDec(text, precision, scale)
	}
	switch {
	case err == record.ErrDecScale:
		return d, losesDigits
	case err == record.ErrDecSyntax:
		return d, notNumber
	case err != nil || !d.Fits(precision):
		return d, outOfRange
	}
	return d, fine
}

// floatToDec rounds to the scale, half to even as the text of a float does.
func (m *machine) floatToDec(f float64, precision, scale int) (record.Dec, cause) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return record.Dec{}, notFinite
	case math.Abs(f) > 1e38: // the float nearest to 10^38 is below it, and has 38 digits
		return record.Dec{}, outOfRange
	}
	m.text = strconv.AppendFloat(m.text[:0], f, 'f', scale, 64)
	d, err := record.ParseDec(m.text, precision, scale)
	if err != nil {
		return d, outOfRange
	}
	return d, fine
}

// perSecond is how many of a unit a second has, as a power of ten.
func perSecond(unit string) int {
	return map[string]int{"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
}

// toTime reads RFC 3339, or a number of units since 1970.
func (m *machine) toTime(a *vec, i int, unit string) (int64, cause) {
	if a.Type.Kind == record.Timestamp {
		return a.Ints[i], fine
	}
	if unit != "" {
		return m.unitsToMicros(a, i, unit)
	}
	text, c := m.scalar(a, i)
	if c != fine {
		return 0, c
	}
	return parseTime(text)
}

// parseTime reads RFC 3339, dropping what is below a microsecond.
func parseTime(text []byte) (int64, cause) {
	var t time.Time
	if len(text) > 64 || t.UnmarshalText(text) != nil {
		return 0, notTimestamp
	}
	return t.UnixMicro(), fine
}

// unitsToMicros drops what is below a microsecond, towards the past.
func (m *machine) unitsToMicros(a *vec, i int, unit string) (int64, cause) {
	n := perSecond(unit)
	scale := 0 // digits behind the point that the number may have
	switch a.Type.Kind {
	case record.Decimal:
		scale = int(a.Type.Scale)
	case record.String, record.JSON:
		scale = 12
	}
	d, c := m.toDec(a, i, record.MaxPrecision, scale)
	if c != fine {
		return 0, c
	}
	if below := scale + n - 6; below > 0 {
		d = d.Floor(below, 0)
	} else if up, err := d.Rescale(0, -below); err == nil {
		d = up
	} else {
		return 0, outOfRange
	}
	t, ok := d.Int()
	if !ok {
		return 0, outOfRange
	}
	return t, fine
}

// appendAs appends row i as a String, Bytes or JSON.
func (m *machine) appendAs(dst []byte, to record.Kind, a *vec, i int) ([]byte, cause) {
	switch {
	case to == a.Type.Kind, to == record.Bytes:
		return append(dst, a.Column.Bytes(i)...), fine
	case to == record.JSON:
		return appendJSON(dst, &a.Column, i)
	case a.Type.Kind == record.JSON:
		text, c := m.jsonText(a.Column.Bytes(i))
		return append(dst, text...), c
	}
	return appendText(dst, a, i)
}

// appendText is a value as text: numbers in digits, times in RFC 3339, lists
// and maps as JSON.
func appendText(dst []byte, a *vec, i int) ([]byte, cause) {
	switch a.Type.Kind {
	case record.Bytes:
		if b := a.Column.Bytes(i); !utf8.Valid(b) {
			return dst, notUTF8
		}
		fallthrough
	case record.String:
		return append(dst, a.Column.Bytes(i)...), fine
	case record.Timestamp:
		return appendTime(dst, a.Ints[i])
	case record.Float:
		return appendFloat(dst, a.Floats[i]), fine
	}
	return appendJSON(dst, &a.Column, i)
}

// appendTime writes RFC 3339 in UTC, with as many fractional digits as it has.
func appendTime(dst []byte, micros int64) ([]byte, cause) {
	t := time.UnixMicro(micros).UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return dst, outOfRange
	}
	return t.AppendFormat(dst, "2006-01-02T15:04:05.999999Z"), fine
}

// appendFloat writes the shortest text that reads back as f.
func appendFloat(dst []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}
