package decode_test

import (
	"context"
	"errors"
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
