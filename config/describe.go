package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/sink"
)

// Option describes one option of a type of sink.
type Option struct {
	Path    string `json:"path"`    // below the type's key: tls.ca
	Type    string `json:"type"`    // text, whole number, true or false, size, duration, secret, list of text, …
	Default string `json:"default"` // as the YAML writes it; "" for none
}

// Options lists the options that an Options struct has, with the defaults that
// it holds.
func Options(o sink.Options) []Option {
	return describeStruct(addressable(o), "")
}

func describeStruct(v reflect.Value, path string) []Option {
	var out []Option
	for _, f := range options(v.Type()) {
		out = append(out, describeField(v.FieldByIndex(f.index), join(path, f.name), f.one)...)
	}
	return out
}

func describeField(v reflect.Value, path string, one bool) []Option {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() { // no default; its options are known all the same
			v = reflect.New(v.Type().Elem())
		}
		v = v.Elem()
	}
	if name, ok := leaf(v); ok {
		if one {
			name = strings.TrimPrefix(name, "list of ") + ", or a list"
		}
		return []Option{{path, name, defaultOf(v)}}
	}
	return describeStruct(v, path)
}

// leaf names the type of an option that has no options below it.
func leaf(v reflect.Value) (string, bool) {
	switch v.Interface().(type) {
	case sink.Secret:
		return "secret", true
	case sink.Size:
		return "size", true
	case time.Duration:
		return "duration", true
	}
	if v.CanAddr() {
		if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			return "text", true
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		return "", false
	case reflect.Slice, reflect.Map:
		elem, ok := leaf(reflect.New(v.Type().Elem()).Elem())
		if !ok {
			elem = "mappings"
		}
		if v.Kind() == reflect.Map {
			return "mapping of names to " + elem, true
		}
		return "list of " + elem, true
	}
	kind := describe(v)
	return strings.TrimPrefix(kind, "a "), true
}

// defaultOf writes a value as the YAML would; "" for the zero value of texts,
// lists and numbers, which mean that nothing is set.
func defaultOf(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case sink.Secret:
		return ""
	case sink.Size:
		if x == 0 {
			return ""
		}
		return FormatSize(x)
	case time.Duration:
		if x == 0 {
			return ""
		}
		return FormatDuration(x)
	case bool:
		return fmt.Sprint(x)
	}
	switch {
	case v.IsZero(), v.Kind() == reflect.Map && v.Len() == 0:
		return ""
	case v.Kind() == reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = fmt.Sprint(v.Index(i).Interface())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case v.Kind() == reflect.String && strings.ContainsAny(v.String(), "{}[]:#,&*!|>'\"%@`"):
		return fmt.Sprintf("%q", v.String())
	}
	return fmt.Sprint(v.Interface())
}
