package clock_test

import (
	"testing"
	"time"

	"github.com/sluicekit/sluice/sinks/clock"
)

// TestAppend writes every day of all years, at a time of its own, as the standard
// library does.
func TestAppend(t *testing.T) {
	const layout = "2006-01-02 15:04:05.000000"
	check := func(micros int64) {
		if got, want := string(clock.Append([]byte("at "), micros, ' ')), "at "+time.UnixMicro(micros).UTC().Format(layout); got != want {
			t.Fatalf("%d: got %s, want %s", micros, got, want)
		}
	}
	for micros := int64(clock.First); micros < clock.Next; micros += clock.Day + 11_111 {
		check(micros)
	}
	for _, micros := range []int64{clock.First, -1, 0, 1, 1774747800_000001, clock.Next - 1} {
		check(micros)
	}
	if first, last := string(clock.Append(nil, clock.First, 'T')), string(clock.Append(nil, clock.Next-1, 'T')); first != "0000-01-01T00:00:00.000000" || last != "9999-12-31T23:59:59.999999" {
		t.Errorf("got %s and %s as the first and last times", first, last)
	}
}
