package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/sink"
)

// scalar decodes a single value into v.
func (d *decoder) scalar(n *yaml.Node, path string, v reflect.Value) {
	want := describe(v)
	t, ok := d.text(n, path, want)
	if !ok {
		return
	}
	if err := parseInto(v, t.value); err != nil {
		d.wrongValue(n, path, t, want, err)
		return
	}
	if c, ok := v.Interface().(chooser); ok {
		d.choose(n, path, t, c, v)
	}
}

// text is the resolved text of a scalar that may be shown.
func (d *decoder) text(n *yaml.Node, path, want string) (text, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		d.wrongShape(n, path, want)
		return text{}, false
	}
	d.file.public[n] = true
	return d.resolve(n, path)
}

// wrongValue reports a value, and shows it unless it came from a reference:
// then the error of a parser, which may show it too, is replaced.
func (d *decoder) wrongValue(n *yaml.Node, path string, t text, want string, err error) {
	message, hint := err.Error(), ""
	var u *unitError
	var w *wantError
	switch {
	case t.refs && want == "a text":
		message = "what the reference stands for is not valid here"
	case t.refs:
		message = "must be " + want + ", and what the reference stands for is not"
	case errors.As(err, &u):
		hint = u.hint
	case errors.As(err, &w):
		message += ", not " + quote(t.value)
		hint = w.hint
	}
	d.fail(n, path, message, hint)
}

// wantError is a text that is not of the wanted kind.
type wantError struct{ want, hint string }

func (e *wantError) Error() string { return "must be " + e.want }

// describe names the kind of value that v holds, with its article.
func describe(v reflect.Value) string {
	switch v.Interface().(type) {
	case sink.Size:
		return "a size such as 64MiB"
	case time.Duration:
		return "a duration such as 15s"
	}
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a text"
}

// parseInto reads a text as the kind of v, and sets v.
func parseInto(v reflect.Value, s string) error {
	switch to := v.Addr().Interface().(type) {
	case *sink.Size:
		n, err := ParseSize(s)
		*to = n
		return err
	case *time.Duration:
		n, err := ParseDuration(s)
		*to = n
		return err
	case encoding.TextUnmarshaler:
		return to.UnmarshalText([]byte(s))
	}
	switch v.Kind() {
	case reflect.String:
		if strings.IndexByte(s, 0) >= 0 {
			return errors.New("must not hold a NUL character")
		}
		v.SetString(s)
	case reflect.Bool:
		if s != "true" && s != "false" {
			return &wantError{want: "true or false"}
		}
		v.SetBool(s == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return parseInt(v, s)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return parseUint(v, s)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(s, v.Type().Bits())
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return &wantError{want: "a number"}
		}
		v.SetFloat(f)
	default:
		panic(fmt.Sprintf("config: options with a %s", v.Type()))
	}
	return nil
}

// plainDigits drops the _ between digits of 100_000, and refuses 017 and 0x1F,
// which people read in two ways.
func plainDigits(s string) (string, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits != "0" && digits[0] == '0' || digits[0] == '_' || strings.HasSuffix(digits, "_") || strings.Contains(digits, "__") {
		return "", false
	}
	s = strings.ReplaceAll(s, "_", "")
	return s, strings.Trim(strings.TrimPrefix(s, "-"), "0123456789") == ""
}

func parseInt(v reflect.Value, s string) error {
	digits, ok := plainDigits(s)
	if !ok {
		return &wantError{want: "a whole number"}
	}
	bits := v.Type().Bits()
	i, err := strconv.ParseInt(digits, 10, bits)
	if err != nil {
		return &wantError{want: fmt.Sprintf("a whole number from %d to %d", int64(-1)<<(bits-1), int64(1<<(bits-1)-1))}
	}
	v.SetInt(i)
	return nil
}

func parseUint(v reflect.Value, s string) error {
	digits, ok := plainDigits(s)
	if !ok {
		return &wantError{want: "a whole number"}
	}
	bits := v.Type().Bits()
	i, err := strconv.ParseUint(digits, 10, bits)
	if err != nil {
		return &wantError{want: fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-bits))}
	}
	v.SetUint(i)
	return nil
}

// choose checks an option with a closed set of values.
func (d *decoder) choose(n *yaml.Node, path string, t text, c chooser, v reflect.Value) {
	for _, known := range c.choices() {
		if strings.EqualFold(known, t.value) {
			v.SetString(known)
			return
		}
	}
	v.SetString("")
	for _, known := range c.later() {
		if known == t.value {
			d.fail(n, path, known+" is not available yet", "this release knows "+oneOf(c.choices()))
			return
		}
	}
	want := oneOf(c.choices())
	d.wrongValue(n, path, t, want, &wantError{want, didYouMean(t.value, c.choices())})
}
