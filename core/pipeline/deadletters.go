package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

// deadTopic writes dead letters to a Kafka topic: the original key is in a
// header, since the record's own key names the letter, so that one written
// twice is known by it (and removed by a compacted topic).
type deadTopic struct {
	cluster *source.Cluster
	topic   string
}

// Write implements lane.DeadLetters.
func (d *deadTopic) Write(ctx context.Context, letters []lane.Letter) error {
	out := make([]source.ProduceRecord, len(letters))
	for i := range letters {
		out[i] = recordOf(&letters[i])
	}
	err := d.produce(ctx, out)
	if !tooLarge(err) {
		return err
	}
	// One of them is more than the topic takes, which must not hold up the
	// sink for ever.
	for i := range letters {
		if err := d.one(ctx, &letters[i]); err != nil {
			return err
		}
	}
	return nil
}

func (d *deadTopic) produce(ctx context.Context, records []source.ProduceRecord) error {
	if err := d.cluster.Produce(ctx, d.topic, -1, records); err != nil {
		return fmt.Errorf("dead letters to %s: %w", d.topic, err)
	}
	return nil
}

func tooLarge(err error) bool {
	var ke *source.KafkaError
	return errors.As(err, &ke) && ke.TooLarge()
}

// keptValue is how much stays of a value that is too large: enough to see what
// it is. It needs no more than a small topic takes, once it has been unpacked.
const keptValue = 64 << 10

// one writes one letter: whole, or with its value cut off, or as what we know
// of the record alone.
func (d *deadTopic) one(ctx context.Context, l *lane.Letter) error {
	err := d.produce(ctx, []source.ProduceRecord{recordOf(l)})
	if tooLarge(err) && len(l.Value) > keptValue {
		r := recordOf(l)
		r.Value = r.Value[:keptValue]
		r.Headers = append(r.Headers, sized("sluice-truncated", len(l.Value)))
		err = d.produce(ctx, []source.ProduceRecord{r})
	}
	if tooLarge(err) {
		bare := *l
		bare.Key, bare.Headers = nil, nil
		r := recordOf(&bare)
		r.Value = []byte{}
		r.Headers = append(r.Headers, sized("sluice-truncated", len(l.Value)), sized("sluice-truncated-headers", sizeOf(l)-len(l.Value)))
		err = d.produce(ctx, []source.ProduceRecord{r})
	}
	return err
}

// sized says how many bytes there were.
func sized(key string, n int) source.Header {
	return source.Header{Key: key, Value: strconv.AppendInt(nil, int64(n), 10)}
}

// sizeOf is what a letter holds of its record, in bytes.
func sizeOf(l *lane.Letter) int {
	n := len(l.Key) + len(l.Value)
	for _, h := range l.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

func recordOf(l *lane.Letter) source.ProduceRecord {
	key := fmt.Sprintf("%s/%s/%d/%d/%s", l.Sink, l.Topic, l.Partition, l.Offset, l.Incarnation)
	r := source.ProduceRecord{Key: []byte(key), Value: l.Value, Headers: headersOf(l)}
	if r.Value == nil {
		r.Value = []byte{} // null would delete the letter from a compacted topic
	}
	return r
}

// ours is how the names of our headers begin. Those of the record that begin
// so get originalPrefix in front: nobody can make a letter say what we did not.
const (
	ours           = "sluice-"
	originalPrefix = "sluice-original-"
)

func headersOf(l *lane.Letter) []source.Header {
	h := []source.Header{
		{Key: "sluice-sink", Value: []byte(l.Sink)},
		{Key: "sluice-topic", Value: []byte(l.Topic)},
		{Key: "sluice-partition", Value: strconv.AppendInt(nil, int64(l.Partition), 10)},
		{Key: "sluice-offset", Value: strconv.AppendInt(nil, l.Offset, 10)},
		{Key: "sluice-incarnation", Value: []byte(l.Incarnation)},
		{Key: "sluice-reason", Value: []byte(l.Reason)},
		{Key: "sluice-timestamp", Value: strconv.AppendInt(nil, l.Timestamp, 10)},
	}
	switch {
	case l.Missing:
		h = append(h, source.Header{Key: "sluice-missing", Value: []byte("the record was deleted before its letter was written")})
	case l.Value == nil:
		h = append(h, source.Header{Key: "sluice-null-value", Value: []byte("true")})
	}
	if l.Key != nil {
		h = append(h, source.Header{Key: "sluice-key", Value: l.Key})
	}
	for _, o := range l.Headers {
		key := o.Key
		if strings.HasPrefix(key, ours) {
			key = originalPrefix + key
		}
		h = append(h, source.Header{Key: key, Value: o.Value})
	}
	return h
}
