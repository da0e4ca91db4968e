package config

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/sink"
)

// unit is one unit of size or duration, in bytes or nanoseconds.
type unit struct {
	name string
	of   int64
}

// sizeUnits returns the units of sizes: powers of 1024 with an i, of 1000
// without, as everywhere but in shops for disks.
func sizeUnits() []unit {
	return []unit{
		{"B", 1},
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	}
}

func durationUnits() []unit {
	return []unit{
		{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9},
		{"m", 60e9}, {"h", 3600e9}, {"d", 24 * 3600e9},
	}
}

// unitError is a text that is no size, duration or type, and what would be one.
type unitError struct{ message, hint string }

func (e *unitError) Error() string { return e.message }

// ParseSize reads a number of bytes with a unit: 64MiB, 1.5GB, 1024B, or 0.
func ParseSize(s string) (sink.Size, error) {
	number, name := splitNumber(s)
	if number == "" {
		return 0, &unitError{"must be a size such as 64MiB", ""}
	}
	if name == "" {
		if number == "0" {
			return 0, nil
		}
		return 0, &unitError{"a size needs a unit", "write " + number + "B, or another of KiB, MiB, GiB, KB, MB, GB"}
	}
	of, hint := findUnit(sizeUnits(), name)
	if of == 0 {
		if hint != "" {
			hint = "did you mean " + number + hint + "?"
		}
		return 0, &unitError{"unknown unit of size " + quote(name), hint}
	}
	n, err := multiply(number, of)
	if err != nil {
		return 0, &unitError{err.Error(), ""}
	}
	return sink.Size(n), nil
}

// ParseDuration reads a duration with units: 15s, 1h30m, 7d, 250ms, or 0.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	var sum int64
	for rest := s; rest != "" || s == ""; {
		number, tail := splitNumber(rest)
		if number == "" {
			return 0, &unitError{"must be a duration such as 15s, 5m, 1h30m or 7d", ""}
		}
		end := strings.IndexAny(tail, "0123456789.")
		if end < 0 {
			end = len(tail)
		}
		name := tail[:end]
		rest = tail[end:]
		if name == "" {
			return 0, &unitError{"a duration needs a unit", "write " + number + "s, or another of ms, m, h, d"}
		}
		of, hint := findUnit(durationUnits(), name)
		if of == 0 {
			if hint != "" {
				hint = "did you mean " + number + hint + "?"
			}
			return 0, &unitError{"unknown unit of time " + quote(name), hint}
		}
		n, err := multiply(number, of)
		if err == nil && sum > 1<<63-1-n {
			err = errors.New("is too large")
		}
		if err != nil {
			return 0, &unitError{err.Error(), ""}
		}
		sum += n
	}
	return time.Duration(sum), nil
}

// splitNumber takes the digits (and a point) at the start of a text. Texts over
// 32 digits are no number that anybody means.
func splitNumber(s string) (number, rest string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	if i > 32 || strings.Count(s[:i], ".") > 1 || strings.Trim(s[:i], ".") != s[:i] {
		return "", s
	}
	return s[:i], strings.TrimLeft(s[i:], " ")
}

// findUnit is the unit of that name; 0 and what may have been meant otherwise.
func findUnit(units []unit, name string) (of int64, hint string) {
	name = strings.TrimRight(name, " ")
	for _, u := range units {
		if u.name == name {
			return u.of, ""
		}
	}
	for _, u := range units {
		if strings.EqualFold(u.name, name) || strings.EqualFold(strings.TrimSuffix(u.name, "iB"), name) {
			return 0, u.name
		}
	}
	for _, w := range []struct{ word, name string }{{"sec", "s"}, {"min", "m"}, {"hour", "h"}, {"day", "d"}, {"µs", "us"}} {
		if strings.HasPrefix(strings.ToLower(name), w.word) {
			for _, u := range units {
				if u.name == w.name {
					return 0, w.name
				}
			}
		}
	}
	return 0, ""
}

// multiply is exact: 1.5GiB is a whole number of bytes, 1.5B is none.
func multiply(number string, of int64) (int64, error) {
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, errors.New("is not a number")
	}
	r.Mul(r, new(big.Rat).SetInt64(of))
	if !r.IsInt() {
		return 0, errors.New("is not a whole number of the smallest unit")
	}
	if !r.Num().IsInt64() {
		return 0, errors.New("is too large")
	}
	return r.Num().Int64(), nil
}

// FormatSize writes a size as ParseSize reads it, in the largest unit that
// holds it exactly.
func FormatSize(n sink.Size) string {
	if n == 0 {
		return "0"
	}
	for _, u := range []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if int64(n)%u.of == 0 {
			return strconv.FormatInt(int64(n)/u.of, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(n), 10) + "B"
}

// FormatDuration writes a duration as ParseDuration reads it: 1h30m, 7d, 250ms.
func FormatDuration(d time.Duration) string {
	if d <= 0 {
		return "0"
	}
	var b strings.Builder
	units := durationUnits()
	for i := len(units) - 1; i >= 0; i-- {
		if n := int64(d) / units[i].of; n > 0 {
			b.WriteString(strconv.FormatInt(n, 10) + units[i].name)
			d -= time.Duration(n * units[i].of)
		}
	}
	return b.String()
}
