package record_test

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/record"
)

// bigOf is the reference: d as a big integer.
func bigOf(d record.Dec) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(d.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(d.Lo))
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

var limit = pow10(record.MaxPrecision)

func fits(n *big.Int) bool { return n.CmpAbs(limit) < 0 }

// decOf reads a big integer below the limit, by way of bytes.
func decOf(t testing.TB, n *big.Int) record.Dec {
	t.Helper()
	d, err := record.ParseDec([]byte(n.String()), record.MaxPrecision, 0)
	if err != nil {
		t.Fatalf("%s: %v", n, err)
	}
	return d
}

// randomBig has up to 38 digits, and is often next to a power of two or ten.
func randomBig(r *rand.Rand) *big.Int {
	n := new(big.Int)
	switch r.IntN(4) {
	case 0:
		n.Lsh(big.NewInt(1), uint(r.IntN(127)))
	case 1:
		n.Set(pow10(r.IntN(39)))
	default:
		n.SetString(strings.Repeat("9", 1+r.IntN(38)), 10)
		n.Mul(n, big.NewInt(r.Int64()))
		n.Rsh(n, 63)
	}
	n.Add(n, big.NewInt(int64(r.IntN(5)-2)))
	if r.IntN(2) == 0 {
		n.Neg(n)
	}
	if !fits(n) {
		return randomBig(r)
	}
	return n
}

// halfEven is the reference of rounding: n/by, half to even.
func halfEven(n, by *big.Int) *big.Int {
	q, rest := new(big.Int).QuoRem(n, by, new(big.Int))
	twice := rest.Abs(rest).Lsh(rest, 1)
	c := twice.CmpAbs(by)
	if c > 0 || c == 0 && q.Bit(0) == 1 {
		if (n.Sign() < 0) != (by.Sign() < 0) {
			return q.Sub(q, big.NewInt(1))
		}
		return q.Add(q, big.NewInt(1))
	}
	return q
}

func TestDecArithmetic(t *testing.T) {
	r := random(t)
	overflows, divisions := 0, 0
	for range 20000 {
		x, y := randomBig(r), randomBig(r)
		a, b := decOf(t, x), decOf(t, y)
		check := func(name string, got record.Dec, ok bool, want *big.Int) {
			if !fits(want) {
				overflows++
				if ok {
					t.Fatalf("%s of %s and %s: %s instead of an overflow", name, x, y, bigOf(got))
				}
			} else if !ok || bigOf(got).Cmp(want) != 0 {
				t.Fatalf("%s of %s and %s: %s, %v instead of %s", name, x, y, bigOf(got), ok, want)
			}
		}
		sum, ok := a.Add(b)
		check("sum", sum, ok, new(big.Int).Add(x, y))
		diff, ok := a.Sub(b)
		check("difference", diff, ok, new(big.Int).Sub(x, y))
		product, ok := a.Mul(b)
		check("product", product, ok, new(big.Int).Mul(x, y))
		check("negative", a.Neg(), true, new(big.Int).Neg(x))
		check("magnitude", a.Abs(), true, new(big.Int).Abs(x))
		if shift := r.IntN(2*record.MaxPrecision + 1); y.Sign() != 0 {
			divisions++
			quotient, ok := a.Quo(b, shift)
			check("quotient", quotient, ok, halfEven(new(big.Int).Mul(x, pow10(shift)), y))
		}
		if a.Cmp(b) != x.Cmp(y) || a.Sign() != x.Sign() {
			t.Fatalf("%s and %s: order %d, sign %d", x, y, a.Cmp(b), a.Sign())
		}
	}
	if overflows < 1000 || divisions < 1000 {
		t.Fatalf("%d overflows and %d divisions are too few", overflows, divisions)
	}
	if _, ok := record.DecFromInt(1).Quo(record.Dec{}, 0); ok {
		t.Error("a division by zero is fine")
	}
}

// Quotients just below 2^128 must not be rounded up to zero.
func TestQuotientsNextToTheWord(t *testing.T) {
	r := random(t)
	top, near := new(big.Int).Lsh(big.NewInt(1), 128), 0
	for range 1000 {
		y := big.NewInt(r.Int64()) // up to 2.8e37
		y.Mul(y, big.NewInt(3e18))
		x := new(big.Int).Mul(y, top)
		x.Quo(x, limit)
		if halfEven(new(big.Int).Mul(x, limit), y).Cmp(top) == 0 {
			near++
		}
		if q, ok := decOf(t, x).Quo(decOf(t, y), record.MaxPrecision); ok {
			t.Fatalf("%s * 10^38 / %s is %s", x, y, bigOf(q))
		}
	}
	if near < 10 {
		t.Fatalf("only %d quotients round up to 2^128", near)
	}
}

func TestDecScales(t *testing.T) {
	r := random(t)
	seen := map[error]int{}
	for range 20000 {
		x, from, to := randomBig(r), r.IntN(39), r.IntN(39)
		if r.IntN(2) == 0 { // ends in zeros, so that fewer digits often suffice
			x.Mul(x.Quo(x, pow10(20)), pow10(r.IntN(20)))
		}
		d := decOf(t, x)
		want, err := new(big.Int), error(nil)
		if from <= to {
			if want.Mul(x, pow10(to-from)); !fits(want) {
				err = record.ErrDecRange
			}
		} else {
			rest := new(big.Int)
			if want.QuoRem(x, pow10(from-to), rest); rest.Sign() != 0 {
				err = record.ErrDecScale
			}
			if got := bigOf(d.Round(from, to)); got.Cmp(halfEven(x, pow10(from-to))) != 0 {
				t.Fatalf("%s from scale %d to %d rounds to %s", x, from, to, got)
			}
		}
		if from := from + r.IntN(12); from >= to {
			floor := new(big.Int).Div(x, pow10(from-to)) // Euclidean: down, for a positive divisor
			if got := bigOf(d.Floor(from, to)); got.Cmp(floor) != 0 {
				t.Fatalf("%s from scale %d down to %d is %s", x, from, to, got)
			}
		}
		seen[err]++
		got, gotErr := d.Rescale(from, to)
		if gotErr != err || err == nil && bigOf(got).Cmp(want) != 0 {
			t.Fatalf("%s from scale %d to %d: %s, %v instead of %s, %v", x, from, to, bigOf(got), gotErr, want, err)
		}
		y := randomBig(r)
		a, b := new(big.Rat).SetFrac(x, pow10(from)), new(big.Rat).SetFrac(y, pow10(to))
		if c := d.CmpScaled(from, decOf(t, y), to); c != a.Cmp(b) {
			t.Fatalf("%s and %s compare as %d", a.FloatString(from), b.FloatString(to), c)
		}
	}
	if len(seen) != 3 {
		t.Fatalf("seen only %v", seen)
	}
}

func TestDecText(t *testing.T) {
	r := random(t)
	for range 15000 {
		x, scale := randomBig(r), r.IntN(39)
		d := decOf(t, x)
		want := new(big.Rat).SetFrac(x, pow10(scale)).FloatString(scale)
		text := d.String(scale)
		if text != want {
			t.Fatalf("%s with scale %d prints %s instead of %s", x, scale, text, want)
		}
		back, err := record.ParseDec([]byte(text), record.MaxPrecision, scale)
		if err != nil || back != d {
			t.Fatalf("%s reads back as %s, %v", text, bigOf(back), err)
		}
		f, _ := new(big.Rat).SetFrac(x, pow10(scale)).Float64()
		if got := d.Float(scale); got != f {
			t.Fatalf("%s is the float %v instead of %v", text, got, f)
		}
		for _, digits := range []int{0, 1, 10, 18, 19, 20, 37, record.MaxPrecision} {
			if d.Fits(digits) != (x.CmpAbs(pow10(digits)) < 0) {
				t.Fatalf("%s: has %d digits: %v", x, digits, d.Fits(digits))
			}
		}
		if v, ok := d.Int(); ok != x.IsInt64() || ok && v != x.Int64() {
			t.Fatalf("%s is the integer %d: %v", x, v, ok)
		}
		if v, ok := d.Uint(); ok != x.IsUint64() || ok && v != x.Uint64() {
			t.Fatalf("%s is the unsigned integer %d: %v", x, v, ok)
		}
	}
}

// Numbers as people and programs write them, against big.Rat.
func TestParseDecAgainstRat(t *testing.T) {
	r := random(t)
	parsed := 0
	for range 40000 {
		var b strings.Builder
		digits := func(n int) {
			for range n {
				b.WriteByte("0000123456789"[r.IntN(13)])
			}
		}
		b.WriteString([]string{"", "", "-", "+"}[r.IntN(4)])
		if r.IntN(8) == 0 { // next to what a decimal holds
			b.WriteString(strings.Repeat("9", 30+r.IntN(10)))
		}
		most := []int{24, 24, 45}[r.IntN(3)]
		digits(r.IntN(most))
		if r.IntN(2) == 0 {
			b.WriteByte('.')
			digits(r.IntN(most))
		}
		if r.IntN(3) == 0 {
			b.WriteString([]string{"e", "E", "e+", "e-"}[r.IntN(4)])
			digits(r.IntN(3))
		}
		text, precision, scale := b.String(), 1+r.IntN(38), 0
		scale = r.IntN(precision + 1)
		got, err := record.ParseDec([]byte(text), precision, scale)

		want, ok := new(big.Rat).SetString(text)
		switch {
		case !ok || strings.HasSuffix(text, "e"):
			if err != record.ErrDecSyntax && err != record.ErrDecRange { // too many digits are found before
				t.Fatalf("%q: %v, %v", text, got, err)
			}
			continue
		}
		want.Mul(want, new(big.Rat).SetInt(pow10(scale)))
		fit := want.IsInt() && want.Num().CmpAbs(pow10(precision)) < 0
		if fit != (err == nil) {
			t.Fatalf("%q as decimal(%d,%d): %v", text, precision, scale, err)
		}
		if fit {
			parsed++
			if bigOf(got).Cmp(want.Num()) != 0 {
				t.Fatalf("%q as decimal(%d,%d): %s instead of %s", text, precision, scale, bigOf(got), want.Num())
			}
		}
	}
	if parsed < 1000 {
		t.Fatalf("only %d were numbers that fit", parsed)
	}
}

func TestParseDecEdges(t *testing.T) {
	for _, c := range []struct {
		text             string
		precision, scale int
		want             string
		err              error
	}{
		{"1.50", 18, 6, "1.500000", nil},
		{"-0", 5, 2, "0.00", nil},
		{"1e3", 10, 0, "1000", nil},
		{"1500e-3", 10, 1, "1.5", nil},
		{"0e999999999999999999999", 10, 1, "0.0", nil},
		{"0.000000000000000000000000000000000000000000000", 1, 0, "0", nil},
		{"1.2300000000000000000000000000000000000000000000", 3, 2, "1.23", nil},
		{strings.Repeat("9", 38), 38, 0, strings.Repeat("9", 38), nil},
		{"0." + strings.Repeat("9", 38), 38, 38, "0." + strings.Repeat("9", 38), nil},
		{"." + "5", 2, 1, "0.5", nil},
		{"5.", 2, 1, "5.0", nil},
		{strings.Repeat("9", 39), 38, 0, "", record.ErrDecRange},
		{"10", 1, 0, "", record.ErrDecRange},
		{"1e999999999999999999999", 38, 0, "", record.ErrDecRange},
		{"1e-999999999999999999999", 38, 38, "", record.ErrDecScale},
		{"1.005", 10, 2, "", record.ErrDecScale},
		{strings.Repeat("0", 401), 38, 0, "", record.ErrDecRange},
		{"", 10, 2, "", record.ErrDecSyntax},
		{"-", 10, 2, "", record.ErrDecSyntax},
		{".", 10, 2, "", record.ErrDecSyntax},
		{"1e", 10, 2, "", record.ErrDecSyntax},
		{"1e+", 10, 2, "", record.ErrDecSyntax},
		{"1 ", 10, 2, "", record.ErrDecSyntax},
		{" 1", 10, 2, "", record.ErrDecSyntax},
		{"1.2.3", 10, 2, "", record.ErrDecSyntax},
		{"0x10", 10, 2, "", record.ErrDecSyntax},
		{"1_000", 10, 2, "", record.ErrDecSyntax},
		{"NaN", 10, 2, "", record.ErrDecSyntax},
		{"--1", 10, 2, "", record.ErrDecSyntax},
		{"1e5x", 10, 2, "", record.ErrDecSyntax},
	} {
		d, err := record.ParseDec([]byte(c.text), c.precision, c.scale)
		if !errors.Is(err, c.err) || err == nil && d.String(c.scale) != c.want {
			t.Errorf("%q: %s, %v instead of %q, %v", c.text, d.String(c.scale), err, c.want, c.err)
		}
	}
}

func TestDecFromBytes(t *testing.T) {
	r := random(t)
	refused := 0
	for range 15000 {
		b := make([]byte, 1+r.IntN(20))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if k := r.IntN(len(b) + 1); r.IntN(2) == 0 { // many leading bytes that only carry the sign
			for i := range b[:k] {
				b[i] = -byte(r.IntN(2) & 1)
				b[i] = b[0]
			}
		}
		want := new(big.Int).SetBytes(b)
		if b[0] >= 0x80 {
			want.Sub(want, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		d, ok := record.DecFromBytes(b)
		if ok != fits(want) || ok && bigOf(d).Cmp(want) != 0 {
			t.Fatalf("%x: %s, %v instead of %s", b, bigOf(d), ok, want)
		}
		if !ok {
			refused++
		}
	}
	if refused == 0 || refused > 14000 {
		t.Fatalf("%d refused", refused)
	}
	if _, ok := record.DecFromBytes(nil); ok {
		t.Error("no bytes are a decimal")
	}
}

func TestDecIntegers(t *testing.T) {
	for _, v := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		if got, ok := record.DecFromInt(v).Int(); !ok || got != v {
			t.Errorf("%d: %d, %v", v, got, ok)
		}
		if got, ok := record.DecFromInt(v).Uint(); ok != (v >= 0) || ok && got != uint64(v) {
			t.Errorf("%d: unsigned %d, %v", v, got, ok)
		}
	}
	for _, v := range []uint64{0, 1, 1 << 63, math.MaxUint64} {
		if got, ok := record.DecFromUint(v).Uint(); !ok || got != v {
			t.Errorf("%d: %d, %v", v, got, ok)
		}
		if _, ok := record.DecFromUint(v).Int(); ok != (v < 1<<63) {
			t.Errorf("%d is an int: %v", v, ok)
		}
	}
}

func TestDecAllocatesNothing(t *testing.T) {
	text, buf := []byte("-12345678901234567.890123"), make([]byte, 0, 64)
	d, _ := record.ParseDec(text, 38, 6)
	n := testing.AllocsPerRun(100, func() {
		x, _ := record.ParseDec(text, 38, 6)
		x, _ = x.Add(d)
		x, _ = x.Quo(d, 6)
		buf = x.Append(buf[:0], 6)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

var plainNumber = regexp.MustCompile(`^-?[0-9]{1,25}(\.[0-9]{1,25})?$`)

func FuzzParseDec(f *testing.F) {
	for _, s := range []string{"1.50", "-0.5e3", "1e-9", "99999999999999999999999999999999999999", "x"} {
		f.Add([]byte(s), uint8(18), uint8(6))
	}
	f.Fuzz(func(t *testing.T, text []byte, p, s uint8) {
		precision := 1 + int(p)%38
		scale := int(s) % (precision + 1)
		d, err := record.ParseDec(text, precision, scale)
		// The reference: a plain number that fits is taken, and what is taken
		// has exactly the value that its text has.
		want, number := new(big.Rat), false
		if len(text) < 60 && !bytes.ContainsAny(text, "/_xXbBoOpP") {
			_, number = want.SetString(string(text))
		}
		if err != nil {
			n := new(big.Rat).Mul(want, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
			most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
			if plainNumber.Match(text) && n.IsInt() && n.Num().CmpAbs(most) < 0 {
				t.Fatalf("%q as decimal(%d,%d): %v", text, precision, scale, err)
			}
			return
		}
		if got, _ := new(big.Rat).SetString(d.String(scale)); number && got.Cmp(want) != 0 {
			t.Fatalf("%q is read as %s", text, d.String(scale))
		}
		if !d.Fits(precision) {
			t.Fatalf("%q has more than %d digits", text, precision)
		}
		back, err := record.ParseDec([]byte(d.String(scale)), precision, scale)
		if err != nil || back != d {
			t.Fatalf("%q: %s reads back as %s, %v", text, d.String(scale), back.String(scale), err)
		}
	})
}

func BenchmarkParseDec(b *testing.B) {
	text := []byte("12345.678901")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.ParseDec(text, 18, 6); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRescaleFar: a destination's column may have a scale that no decimal of
// ours has.
func TestRescaleFar(t *testing.T) {
	one, zero := record.DecFromInt(1), record.Dec{}
	if _, err := one.Rescale(0, 76); err != record.ErrDecRange {
		t.Errorf("up: %v", err)
	}
	if _, err := one.Rescale(76, 0); err != record.ErrDecScale {
		t.Errorf("down: %v", err)
	}
	if d, err := zero.Rescale(0, 76); err != nil || d != zero {
		t.Errorf("zero: %v, %v", d, err)
	}
}
