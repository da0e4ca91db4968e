package sqltable_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// FuzzQuote: between the signs every sign is doubled, so no other can end the
// identifier, and taking that back gives the name.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"a", "`", `"`, "a``b", `a""`, "\\`", "", "`;--"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, name string, back bool) {
		sign := byte('"')
		if back {
			sign = '`'
		}
		got := sqltable.Quote(sign, name)
		s := string(sign)
		inner := got[1 : len(got)-1]
		if got[0] != sign || got[len(got)-1] != sign || strings.Contains(strings.ReplaceAll(inner, s+s, ""), s) || strings.ReplaceAll(inner, s+s, s) != name {
			t.Errorf("%q between %s: got %s", name, s, got)
		}
	})
}

func TestValidate(t *testing.T) {
	f := func(change func(*sqltable.Options), paths ...string) {
		t.Helper()
		o := sqltable.DefaultOptions()
		o.Table = "t"
		change(&o)
		err := o.Validate()
		var got []string
		var walk func(error)
		walk = func(err error) {
			var field *sink.FieldError
			if many, ok := err.(interface{ Unwrap() []error }); ok {
				for _, e := range many.Unwrap() {
					walk(e)
				}
			} else if errors.As(err, &field) {
				got = append(got, field.Path)
			}
		}
		walk(err)
		if strings.Join(got, " ") != strings.Join(paths, " ") {
			t.Errorf("got %v, want mistakes in %v", err, paths)
		}
	}
	f(func(*sqltable.Options) {})
	f(func(o *sqltable.Options) { o.Table = "d.t" })
	f(func(o *sqltable.Options) { *o = sqltable.Options{} }, "table", "positions", "mode")
	f(func(o *sqltable.Options) { o.Table = "a.b.c" }, "table")
	f(func(o *sqltable.Options) { o.Table = ".t" }, "table")
	f(func(o *sqltable.Options) { o.Table = "d." }, "table")
	f(func(o *sqltable.Options) { o.Table = "SLUICE_positions" }, "positions")
	f(func(o *sqltable.Options) { o.Mode = "append" }, "mode")
	f(func(o *sqltable.Options) { o.Key = []string{"a", "b", "a"} }, "key")
}

// TestParseName: what was split is put together again.
func TestParseName(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	for range 1000 {
		b := make([]byte, r.IntN(6))
		for i := range b {
			b[i] = "ab.`"[r.IntN(4)]
		}
		text := string(b)
		n := sqltable.ParseName(text)
		if n.String() != text && "."+n.String() != text {
			t.Fatalf("%q: got %+v, which is %q", text, n, n)
		}
	}
}
