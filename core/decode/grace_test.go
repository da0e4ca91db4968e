package decode_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/record"
)

// The grace of an unknown id counts from when the record was written: records
// that have lain in the topic for longer wait for a moment only, each of them.
func TestUnknownIDOfOldRecords(t *testing.T) {
	const minute = int64(time.Minute / time.Millisecond)
	now := time.Unix(1e9, 0).UnixMilli()
	for _, k := range []struct {
		name  string
		stamp int64
		wait  time.Duration // until it is judged
	}{
		{"new", now, time.Minute},
		{"half a minute old", now - minute/2, 30 * time.Second},
		{"a second short of the grace", now - minute + 1000, 2 * time.Second},
		{"old", now - 60*minute, 2 * time.Second},
		{"without a time", 0, 2 * time.Second},
		{"before all time", -1 << 62, 2 * time.Second},
		{"of the future", now + 1000*minute, time.Minute},
		{"of the end of time", 1<<63 - 1, time.Minute},
	} {
		t.Run(k.name, func(t *testing.T) {
			r := newRegistry(t)
			r.add("s", fieldSchema(`"int"`))
			c := &clock{now: time.Unix(1e9, 0)}
			s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, r.URL()), Subject: "s", Grace: time.Minute, Clock: c.Now})
			d := decoder(t, s, "f")
			chunk := record.NewChunk(d.Schema())
			try := func() error { return d.Append(context.Background(), chunk, 0, k.stamp, framed(77, []byte{6})) }
			var unknown *decode.UnknownIDError
			if err := try(); !errors.As(err, &unknown) {
				t.Fatalf("at first sight: %v", err)
			}
			c.add(k.wait - time.Millisecond)
			if err := try(); !errors.As(err, &unknown) || len(chunk.Bad) != 0 {
				t.Fatalf("just before %s: %v", k.wait, err)
			}
			c.add(time.Millisecond)
			if err := try(); err != nil || len(chunk.Bad) != 1 || !chunk.Bad[0].Outside {
				t.Fatalf("after %s: %v, bad %v", k.wait, err, chunk.Bad)
			}
		})
	}
}

// Records with made-up ids wait together, not one after another, and drive no
// schema out of memory, however many there are.
func TestUnknownIDsWaitTogether(t *testing.T) {
	r := newRegistry(t)
	good := r.add("s", fieldSchema(`"int"`))
	c := &clock{now: time.Unix(1e9, 0)}
	s := open(t, decode.Options{Format: decode.Avro, Registry: client(t, r.URL()), Subject: "s", Grace: time.Minute, Clock: c.Now, Limits: decode.Limits{IDs: 2}})
	d := decoder(t, s, "f")
	chunk := record.NewChunk(d.Schema())
	try := func(offset int64, id uint32) error {
		return d.Append(context.Background(), chunk, offset, 0, framed(id, []byte{6}))
	}
	if err := try(0, good); err != nil {
		t.Fatal(err)
	}
	var values [][]byte
	for id := range uint32(300) {
		values = append(values, framed(10_000+id, nil), framed(10_000+id, []byte{1}), framed(good, []byte{6}), []byte("no"))
	}
	before := r.requests.Load()
	d.Foresee(t.Context(), slices.Values(values))
	if n := r.requests.Load() - before; n != 300 {
		t.Errorf("%d requests for 300 ids", n)
	}
	var unknown *decode.UnknownIDError
	if err := try(1, 10_000); !errors.As(err, &unknown) {
		t.Errorf("at first sight: %v", err)
	}
	c.add(2 * time.Second)
	for id := range uint32(300) {
		if err := try(int64(1+id), 10_000+id); err != nil {
			t.Fatal(err)
		}
	}
	if len(chunk.Bad) != 300 {
		t.Errorf("%d bad records, want 300", len(chunk.Bad))
	}
	before = r.requests.Load()
	if err := decoder(t, s, "f").Append(context.Background(), chunk, 400, 0, framed(good, []byte{6})); err != nil {
		t.Fatal(err)
	}
	if n := r.requests.Load() - before; n != 0 {
		t.Errorf("%d requests for a schema that was known", n)
	}

	// While the registry is away nothing is judged, and foresight gives up at once.
	r.down.Store(503)
	c.add(time.Hour)
	before = r.requests.Load()
	var more [][]byte
	for id := range uint32(300) {
		more = append(more, framed(20_000+id, nil))
	}
	d.Foresee(t.Context(), slices.Values(more))
	if n := r.requests.Load() - before; n > 8 {
		t.Errorf("%d requests to a registry that is away", n)
	}
	var away *decode.RegistryError
	if err := try(500, 20_000); !errors.As(err, &away) {
		t.Errorf("with the registry away: %v", err)
	}
}
