package decode

import (
	"encoding/base64"
	"math"
	"strconv"

	"github.com/sluicekit/sluice/core/record"
)

// extractor takes the wanted values out of JSON documents: first it finds them
// all, then it appends them, so that equal keys and any order of keys give one
// row.
type extractor struct {
	scan    scanner
	target  *target
	cols    []int32 // per span
	units   []string
	elems   []int32 // per span: the column of its elements
	limits  Limits
	scratch []byte
	entry   scanner    // of the entries of a list, one at a time,
	part    target     // which is what it looks for
	filter  *prefilter // nil without one
}

func newExtractor(t *tree, l layout, limits Limits, show func(*tree) string, unit func(col int) string) *extractor {
	x := &extractor{limits: limits}
	x.target, x.cols = newTarget(t, show)
	for _, col := range x.cols {
		x.units = append(x.units, unit(int(col)))
		x.elems = append(x.elems, l.elems[col])
	}
	x.scan = scanner{spans: make([]span, len(x.cols)), depth: limits.Depth}
	x.entry = scanner{spans: make([]span, 1), depth: limits.Depth}
	x.part.spans = []int{0}
	return x
}

// find checks a document and finds its values. skip: the prefilter refuses it.
func (x *extractor) find(b []byte) (skip bool, f fault) {
	x.scan.round++
	x.scan.fault, x.scan.at = 0, nil
	clear(x.scan.spans)
	if !x.scan.document(b, x.target) {
		return false, x.scan.fault
	}
	return x.filter != nil && x.filter.refusesSpan(x, b), 0
}

// store appends the values that find has found in b, and adds those that do
// not fit their columns to bad. The fault is faultFull or none; after it the
// columns hold a part of the row.
func (x *extractor) store(b []byte, cols []*record.Column, bad []badValue) ([]badValue, fault) {
	for k := range x.scan.spans {
		if x.filter != nil && k == x.filter.span {
			continue
		}
		v := &x.scan.spans[k]
		c := cols[x.cols[k]]
		if v.form <= formNull {
			c.AppendNull()
			continue
		}
		src := b
		if v.inner {
			src = x.scan.text
		}
		f := v.fault
		if f == 0 {
			f = x.value(c, v, src, k, cols)
		}
		switch {
		case f == faultFull:
			return bad, f
		case f != 0:
			c.Settle()
			c.AppendNull()
			at := x.scan.textAt // of a text that is no JSON
			if v.fault == 0 {
				at = x.target.holder(k)
			}
			bad = append(bad, badValue{col: x.cols[k], field: at.path, cause: faultTexts[f]})
		}
	}
	return bad, 0
}

// holder is the target that span k belongs to.
func (t *target) holder(k int) *target {
	for _, own := range t.spans {
		if own == k {
			return t
		}
	}
	for _, list := range [][]*target{t.kids, t.items} {
		for _, kid := range list {
			if k >= kid.low && k < kid.high {
				return kid.holder(k)
			}
		}
	}
	return t
}

// value appends one value to its column.
func (x *extractor) value(c *record.Column, v *span, b []byte, k int, cols []*record.Column) fault {
	switch c.Type.Kind {
	case record.List, record.Map:
		return x.list(c, v, b, k, cols)
	case record.JSON:
		first, next := v.first, v.next
		if v.form == formString || v.form == formEscaped {
			first, next = first-1, next+1
		}
		return x.bytes(c, b[first:next])
	}
	return x.scalar(c, v, b[v.first:v.next], x.units[k])
}

func (x *extractor) scalar(c *record.Column, v *span, text []byte, unit string) fault {
	switch c.Type.Kind {
	case record.String:
		switch v.form {
		case formString:
			return x.bytes(c, text)
		case formEscaped:
			x.scratch = unescape(x.scratch[:0], text)
			return x.bytes(c, x.scratch)
		}
		return faultKind
	case record.Int:
		n, f := parseInt(v.form, text)
		if f != 0 {
			return f
		}
		c.Ints = append(c.Ints, n)
		valid(c)
	case record.Float:
		n, f := parseFloat(v.form, text)
		if f != 0 {
			return f
		}
		c.Floats = append(c.Floats, n)
		valid(c)
	case record.Timestamp:
		n, f := parseTimestamp(v.form, text, unit)
		if f != 0 {
			return f
		}
		c.AppendInt(n)
	case record.Bool:
		if v.form != formTrue && v.form != formFalse {
			return faultKind
		}
		c.AppendBool(v.form == formTrue)
	default:
		return x.exact(c, v, text)
	}
	return 0
}

func (x *extractor) exact(c *record.Column, v *span, text []byte) fault {
	switch c.Type.Kind {
	case record.Uint:
		n, f := parseUint(v.form, text)
		if f != 0 {
			return f
		}
		c.AppendUint(n)
	case record.Decimal:
		if v.form == formString && isNumber(text) {
			v.form = formNumber
		}
		if v.form != formInteger && v.form != formNumber {
			return faultKind
		}
		d, err := record.ParseDec(text, int(c.Type.Precision), int(c.Type.Scale))
		if err != nil {
			return decimalFault(err)
		}
		c.AppendDec(d)
	case record.Bytes:
		return x.base64(c, v, text)
	default:
		return faultKind
	}
	return 0
}

func (x *extractor) bytes(c *record.Column, v []byte) fault {
	if len(v) > x.limits.String {
		return faultLong
	}
	if !appendBytes(c, v) {
		return faultFull
	}
	return 0
}

func (x *extractor) base64(c *record.Column, v *span, text []byte) fault {
	switch v.form {
	case formEscaped:
		x.scratch = unescape(x.scratch[:0], text)
		text = x.scratch
	case formString:
	default:
		return faultKind
	}
	for _, b := range text {
		if b == '\n' || b == '\r' { // which the decoder would pass over
			return faultBase64
		}
	}
	if len(text) > x.limits.String {
		return faultLong
	}
	if len(c.Data)+len(text) > maxData {
		return faultFull
	}
	var err error
	if c.Data, err = base64.StdEncoding.Strict().AppendDecode(c.Data, text); err != nil {
		return faultBase64
	}
	c.AppendData()
	return 0
}

// list appends an array, or an object as a map.
func (x *extractor) list(c *record.Column, v *span, b []byte, k int, cols []*record.Column) fault {
	if c.Type.Kind == record.List && v.form != formArray || c.Type.Kind == record.Map && v.form != formObject {
		return faultKind
	}
	elems := cols[x.elems[k]]
	entry := &x.entry
	i := space(b, int(v.first)+1)
	for n := 0; b[i] != ']' && b[i] != '}'; n++ {
		if n == x.limits.Items {
			return faultCount
		}
		if b[i] == ',' {
			i = space(b, i+1)
		}
		if c.Type.Kind == record.Map {
			next, escaped := entry.quoted(b, i+1, nil)
			key := b[i+1 : next-1]
			if escaped {
				x.scratch = unescape(x.scratch[:0], key)
				key = x.scratch
			}
			keys := cols[x.elems[k]+1]
			if len(keys.Data)+len(key) > maxData {
				return faultFull
			}
			keys.AppendBytes(key)
			i = space(b, space(b, next)+1)
		}
		next := entry.value(b, i, &x.part, 0)
		e := &entry.spans[0]
		if e.form == formNull {
			elems.AppendNull()
		} else if f := x.scalar(elems, e, b[e.first:e.next], x.units[k]); f != 0 {
			return f
		}
		i = space(b, next)
	}
	c.AppendElems()
	return 0
}

func isNumber(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	var s scanner
	_, end := s.number(text, 0)
	return end == len(text)
}

// parseInt takes 12, -12, and 1.0 or 1e3 too: whole numbers, however written.
func parseInt(f form, text []byte) (int64, fault) {
	if f == formInteger && len(text) <= 18 {
		digits := text
		if text[0] == '-' {
			digits = text[1:]
		}
		var n int64
		for _, c := range digits {
			n = n*10 + int64(c-'0')
		}
		if text[0] == '-' {
			n = -n
		}
		return n, 0
	}
	d, err := wholeNumber(f, text)
	if err != 0 {
		return 0, err
	}
	n, ok := d.Int()
	if !ok {
		return 0, faultRange
	}
	return n, 0
}

func parseUint(f form, text []byte) (uint64, fault) {
	d, err := wholeNumber(f, text)
	if err != 0 {
		return 0, err
	}
	n, ok := d.Uint()
	if !ok {
		return 0, faultRange
	}
	return n, 0
}

func wholeNumber(f form, text []byte) (record.Dec, fault) {
	if f != formInteger && f != formNumber {
		return record.Dec{}, faultKind
	}
	d, err := record.ParseDec(text, 20, 0)
	switch err {
	case nil:
		return d, 0
	case record.ErrDecScale:
		return d, faultInteger
	}
	return d, faultRange
}

var floatPow10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// parseFloat rounds to the nearest float. Where digits and power of ten are
// both exact floats one operation does it; otherwise strconv does.
func parseFloat(f form, text []byte) (float64, fault) {
	if f != formInteger && f != formNumber {
		return 0, faultKind
	}
	var mant uint64
	frac, point, i := 0, false, 0
	if text[0] == '-' {
		i++
	}
	if len(text) <= 17 {
		for ; i < len(text); i++ {
			c := text[i]
			if c == '.' {
				point = true
				continue
			}
			if c > '9' {
				break
			}
			mant = mant*10 + uint64(c-'0')
			if point {
				frac++
			}
		}
		if i == len(text) && mant < 1<<53 {
			v := float64(mant) / floatPow10[frac]
			if text[0] == '-' {
				v = -v
			}
			return v, 0
		}
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, faultRange
	}
	return v, 0
}
