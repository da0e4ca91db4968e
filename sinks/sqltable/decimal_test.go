package sqltable_test

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// whole is the unscaled value by other means.
func whole(d record.Dec) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(d.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(d.Lo))
}

// decimals are the edges and random values of every length.
func decimals(t *testing.T) []record.Dec {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	all := []record.Dec{{}, {Lo: 1}, {Lo: 9}, {Lo: 10}, {Lo: 1<<64 - 1}, {Hi: 1}, {Hi: -1, Lo: 1<<64 - 1}, {Hi: -1}, {Hi: 1<<63 - 1, Lo: 1<<64 - 1}, {Hi: -1 << 63}, {Hi: -1 << 63, Lo: 1}}
	for range 2000 {
		d := record.Dec{Hi: int64(r.Uint64()) >> r.IntN(64), Lo: r.Uint64()}
		if r.IntN(3) == 0 {
			d = record.Dec{Lo: r.Uint64() >> r.IntN(64)}
		}
		all = append(all, d)
	}
	return all
}

func TestAppendDecimal(t *testing.T) {
	for _, d := range decimals(t) {
		for _, scale := range []int{0, 1, 6, 38} {
			got := string(sqltable.AppendDecimal([]byte("x"), d, scale))
			text, n := got[1:], whole(d)
			fraction := ""
			if scale > 0 {
				text, fraction, _ = strings.Cut(text, ".")
			}
			back, ok := new(big.Int).SetString(text+fraction, 10)
			if !ok || back.Cmp(n) != 0 || len(fraction) != scale || text == "" || text == "-" {
				t.Fatalf("%v at scale %d: got %q", n, scale, got)
			}
			if digits := strings.TrimPrefix(text, "-"); len(digits) > 1 && digits[0] == '0' || strings.HasPrefix(text, "-") != (n.Sign() < 0) {
				t.Fatalf("%v at scale %d: got %q, which is not the one way to write it", n, scale, got)
			}
		}
	}
}

func TestDigitsAndShorten(t *testing.T) {
	for _, d := range decimals(t) {
		n := whole(d)
		length := len(new(big.Int).Abs(n).String())
		if n.Sign() == 0 {
			length = 0
		}
		for _, digits := range []int{0, 1, 18, 19, 20, 37, 38} {
			if got, want := sqltable.Digits(digits)(d), length <= digits; got != want {
				t.Fatalf("%v: at most %d digits: got %t", n, digits, got)
			}
		}
		if !sqltable.Digits(39)(d) {
			t.Fatalf("%v: got more than 39 digits", n)
		}
		for _, drop := range []int{0, 1, 5, 20} {
			q, r := new(big.Int).QuoRem(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(drop)), nil), new(big.Int))
			got, ok := sqltable.Shorten(d, drop)
			if ok != (r.Sign() == 0) || ok && whole(got).Cmp(q) != 0 {
				t.Fatalf("%v without %d digits: got %v, %t", n, drop, whole(got), ok)
			}
		}
		v, ok := sqltable.Int64(d)
		if ok != n.IsInt64() || ok && v != n.Int64() {
			t.Fatalf("%v: got %d, %t", n, v, ok)
		}
	}
}
