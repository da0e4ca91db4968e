package pipeline

import (
	"context"
	"fmt"
	"strconv"

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
	for i, l := range letters {
		key := fmt.Sprintf("%s/%s/%d/%d/%s", l.Sink, l.Topic, l.Partition, l.Offset, l.Incarnation)
		out[i] = source.ProduceRecord{Key: []byte(key), Value: l.Value, Headers: headersOf(l)}
	}
	if err := d.cluster.Produce(ctx, d.topic, -1, out); err != nil {
		return fmt.Errorf("dead letters to %s: %w", d.topic, err)
	}
	return nil
}

func headersOf(l lane.Letter) []source.Header {
	h := []source.Header{
		{Key: "sluice-sink", Value: []byte(l.Sink)},
		{Key: "sluice-topic", Value: []byte(l.Topic)},
		{Key: "sluice-partition", Value: strconv.AppendInt(nil, int64(l.Partition), 10)},
		{Key: "sluice-offset", Value: strconv.AppendInt(nil, l.Offset, 10)},
		{Key: "sluice-incarnation", Value: []byte(l.Incarnation)},
		{Key: "sluice-reason", Value: []byte(l.Reason)},
		{Key: "sluice-timestamp", Value: strconv.AppendInt(nil, l.Timestamp, 10)},
	}
	if l.Missing {
		h = append(h, source.Header{Key: "sluice-missing", Value: []byte("the record was deleted before its letter was written")})
	}
	if l.Key != nil {
		h = append(h, source.Header{Key: "sluice-key", Value: l.Key})
	}
	for _, o := range l.Headers {
		h = append(h, source.Header{Key: o.Key, Value: o.Value})
	}
	return h
}
