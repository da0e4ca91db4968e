package sinktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/record"
)

// A value that the kit writes is nil, bool, int64, uint64, float64, string
// (string, json, and decimal as its digits), []byte, []any or map[string]any;
// a timestamp is an int64.

// same says whether got, as a Row holds it, is the value want of a type.
func same(t record.Type, want, got any) bool {
	if want == nil || got == nil {
		// JSON has a null of its own, which many destinations take for theirs.
		return want == nil && got == nil || t.Kind == record.JSON && want == "null"
	}
	switch t.Kind {
	case record.Bool:
		return sameBool(want.(bool), got)
	case record.Int:
		text, ok := digits(got)
		return ok && text == strconv.FormatInt(want.(int64), 10)
	case record.Uint:
		text, ok := digits(got)
		return ok && text == strconv.FormatUint(want.(uint64), 10)
	case record.Float:
		return sameFloat(want.(float64), got)
	case record.Decimal:
		return sameNumber(want.(string), got)
	case record.Timestamp:
		micros, ok := moment(got)
		return ok && micros == want.(int64)
	case record.String:
		text, ok := words(got)
		return ok && text == want.(string)
	case record.JSON:
		text, ok := words(got)
		return ok && sameJSON(want.(string), text)
	case record.Bytes:
		text, ok := words(got)
		return ok && text == string(want.([]byte))
	case record.List:
		return sameList(*t.Elem, want.([]any), got)
	case record.Map:
		return sameMap(*t.Elem, want.(map[string]any), got)
	}
	return false
}

// words is got as text.
func words(got any) (string, bool) {
	if b, ok := got.([]byte); ok {
		return string(b), true
	}
	if v := reflect.ValueOf(got); v.Kind() == reflect.String {
		return v.String(), true
	}
	return "", false
}

// digits is got as the text of an integer.
func digits(got any) (string, bool) {
	switch v := reflect.ValueOf(got); {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), true
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), true
	}
	return words(got)
}

func sameBool(want bool, got any) bool {
	if b, ok := got.(bool); ok {
		return b == want
	}
	text, ok := digits(got)
	return ok && (text == "1" || text == "true") == want && (text == "0" || text == "false") == !want
}

func sameFloat(want float64, got any) bool {
	f, ok := got.(float64)
	if !ok {
		text, isText := digits(got) // a whole number may come back as one
		var err error
		if f, err = strconv.ParseFloat(text, 64); !isText || err != nil {
			return false
		}
	}
	return f == want || math.IsNaN(f) && math.IsNaN(want)
}

func sameNumber(want string, got any) bool {
	text, ok := digits(got)
	if !ok {
		return false
	}
	a, okA := new(big.Rat).SetString(want)
	b, okB := new(big.Rat).SetString(text)
	return okA && okB && a.Cmp(b) == 0
}

// layouts are the ways to write a timestamp in UTC.
var layouts = [...]string{"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999"}

func moment(got any) (micros int64, ok bool) {
	switch v := got.(type) {
	case time.Time:
		return v.UnixMicro(), v.Nanosecond()%1000 == 0
	case int64:
		return v, true
	}
	text, ok := words(got)
	if !ok {
		return 0, false
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UnixMicro(), at.Nanosecond()%1000 == 0
		}
	}
	return 0, false
}

func sameJSON(want, got string) bool {
	a, errA := plain(want)
	b, errB := plain(got)
	return errA == nil && errB == nil && reflect.DeepEqual(a, b)
}

// plain is a JSON value with its numbers in one spelling.
func plain(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one JSON value")
	}
	return spell(v), nil
}

func spell(v any) any {
	switch v := v.(type) {
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok {
			return r.RatString()
		}
	case []any:
		for i := range v {
			v[i] = spell(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = spell(v[k])
		}
	}
	return v
}

func sameList(elem record.Type, want []any, got any) bool {
	list, ok := got.([]any)
	if !ok || len(list) != len(want) {
		return false
	}
	for i := range want {
		if !same(elem, want[i], list[i]) {
			return false
		}
	}
	return true
}

func sameMap(elem record.Type, want map[string]any, got any) bool {
	m, ok := got.(map[string]any)
	if !ok || len(m) != len(want) {
		return false
	}
	for k, w := range want {
		if g, ok := m[k]; !ok || !same(elem, w, g) {
			return false
		}
	}
	return true
}

// show is a value as a sentence shows it; long ones are cut.
func show(v any) string {
	if v == nil {
		return "null"
	}
	var text string
	switch v := v.(type) {
	case []byte:
		text = fmt.Sprintf("%q", v[:min(len(v), 60)])
	case string:
		text = fmt.Sprintf("%q", v[:min(len(v), 60)])
	default:
		text = fmt.Sprint(v)
	}
	if b, ok := v.([]byte); ok && len(b) > 60 {
		return fmt.Sprintf("%s… (%d bytes)", text, len(b))
	}
	if s, ok := v.(string); ok && len(s) > 60 {
		return fmt.Sprintf("%s… (%d bytes)", text, len(s))
	}
	return string(bytes.ToValidUTF8([]byte(text), []byte("?")))
}

// put appends a value to a column of its type.
func put(c *record.Column, v any) {
	if v == nil {
		c.AppendNull()
		return
	}
	switch c.Type.Kind {
	case record.Bool:
		c.AppendBool(v.(bool))
	case record.Int, record.Timestamp:
		c.AppendInt(v.(int64))
	case record.Uint:
		c.AppendUint(v.(uint64))
	case record.Float:
		c.AppendFloat(v.(float64))
	case record.Decimal:
		d, err := record.ParseDec([]byte(v.(string)), int(c.Type.Precision), int(c.Type.Scale))
		if err != nil {
			panic(fmt.Sprintf("sinktest: its own value %q of type %s: %v", v, c.Type, err))
		}
		c.AppendDec(d)
	case record.String, record.JSON:
		c.AppendString(v.(string))
	case record.Bytes:
		c.AppendBytes(v.([]byte))
	case record.List:
		for _, e := range v.([]any) {
			put(c.Elems, e)
		}
		c.AppendElems()
	case record.Map:
		m := v.(map[string]any)
		for _, k := range slices.Sorted(maps.Keys(m)) { // a repeat gives the same rows
			c.Keys.AppendString(k)
			put(c.Elems, m[k])
		}
		c.AppendElems()
	}
}
