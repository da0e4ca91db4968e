package config_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/sink"
)

func TestParseSize(t *testing.T) {
	good := func(text string, want sink.Size) {
		t.Helper()
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	bad := func(text string) {
		t.Helper()
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
	good("0", 0)
	good("1024B", 1024)
	good("64MiB", 64<<20)
	good("64 MiB", 64<<20)
	good("1MB", 1_000_000)
	good("1.5GiB", 3<<29)
	good("0.5KB", 500)
	good("9223372036854775807B", math.MaxInt64)
	for _, text := range []string{"", "1", "1024", "B", "MiB", "-1MiB", "+1B", "1e3B", "0x1B", "1.5B", "1..5KB", ".5KB", "5.KB", "1KiB1B", "1kib", "1K", "9223372036854775808B", "8388608TiB", "1_000B", "0.0", "١B", "1B\n"} {
		bad(text)
	}
}

func TestParseDuration(t *testing.T) {
	good := func(text string, want time.Duration) {
		t.Helper()
		if got, err := config.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	good("0", 0)
	good("15s", 15*time.Second)
	good("1h30m", 90*time.Minute)
	good("7d", 7*24*time.Hour)
	good("1.5h", 90*time.Minute)
	good("250ms", 250*time.Millisecond)
	good("1us1ns", 1001)
	good("106751d", 106751*24*time.Hour)
	for _, text := range []string{"", "5", "s", "-5s", "1h30", "1.5ns", "5 minutes", "5S", "1y", "106752d", "106751d106751d", "1h-5m", "1e3s", "1d 2h x"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

// What is printed is read back as the same value.
func TestUnitsBothWays(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		n := r.Int64() >> r.IntN(63)
		if got, err := config.ParseSize(config.FormatSize(sink.Size(n))); err != nil || got != sink.Size(n) {
			t.Fatalf("seed %d: size %d is printed as %s and read as %d, %v", seed, n, config.FormatSize(sink.Size(n)), got, err)
		}
		if got, err := config.ParseDuration(config.FormatDuration(time.Duration(n))); err != nil || got != time.Duration(n) {
			t.Fatalf("seed %d: duration %d is printed as %s and read as %d, %v", seed, n, config.FormatDuration(time.Duration(n)), got, err)
		}
	}
}

func TestNear(t *testing.T) {
	f := func(name, want string, known ...string) {
		t.Helper()
		if got := config.Near(name, known); got != want {
			t.Errorf("%q among %q: got %q, want %q", name, known, got, want)
		}
	}
	f("tabel", "table", "address", "table", "database")
	f("Table", "table", "address", "table")
	f("user", "username", "username", "password")
	f("connections", "connection", "connection")
	f("zebra", "", "address", "table")
	f("", "", "address")
	f("x", "", "address")
}
