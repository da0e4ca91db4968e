package deadletter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

// Topic is a Kafka topic of dead letters. The original key is in a header, since
// the record's own key names the letter, so that one written twice is known by
// it (and removed by a compacted topic).
type Topic struct {
	cluster *source.Cluster
	topic   string
}

// NewTopic names a topic. The cluster stays the caller's.
func NewTopic(cluster *source.Cluster, topic string) *Topic {
	return &Topic{cluster: cluster, topic: topic}
}

// Write implements lane.DeadLetters.
func (d *Topic) Write(ctx context.Context, letters []lane.Letter) error {
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

func (d *Topic) produce(ctx context.Context, records []source.ProduceRecord) error {
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

// one writes one letter: whole, or with its value cut off, or without key and
// headers, or as what we know of the record alone.
func (d *Topic) one(ctx context.Context, l *lane.Letter) error {
	err := d.produce(ctx, []source.ProduceRecord{recordOf(l)})
	if tooLarge(err) && len(l.Value) > keptValue {
		err = d.produce(ctx, []source.ProduceRecord{cut(l, keptValue)})
	}
	if !tooLarge(err) {
		return err
	}
	bare := *l
	bare.Key, bare.Headers = nil, nil
	for _, most := range []int{keptValue, 0} {
		r := cut(&bare, most)
		r.Headers = append(r.Headers, sized("sluice-truncated-headers", l.Size()-len(l.Value)))
		if err = d.produce(ctx, []source.ProduceRecord{r}); !tooLarge(err) {
			break
		}
	}
	return err
}

// cut is the record of a letter with at most so many bytes of its value.
func cut(l *lane.Letter, most int) source.ProduceRecord {
	r := recordOf(l)
	if len(r.Value) > most {
		r.Value = r.Value[:most]
		r.Headers = append(r.Headers, sized("sluice-truncated", len(l.Value)))
	}
	return r
}

// sized says how many bytes there were.
func sized(key string, n int) source.Header {
	return source.Header{Key: key, Value: strconv.AppendInt(nil, int64(n), 10)}
}

func recordOf(l *lane.Letter) source.ProduceRecord {
	key := fmt.Sprintf("%s/%s/%d/%d/%s", l.Sink, l.Topic, l.Partition, l.Offset, l.Incarnation)
	r := source.ProduceRecord{Key: []byte(key), Value: l.Value, Headers: headersOf(l)}
	if r.Value == nil {
		r.Value = []byte{} // null would delete the letter from a compacted topic
	}
	return r
}

// Each implements Reader.
func (d *Topic) Each(ctx context.Context, since time.Time, take func(Found) error) (Reading, error) {
	var r Reading
	err := d.each(ctx, since, &r, take)
	return r, err
}

func (d *Topic) each(ctx context.Context, since time.Time, r *Reading, take func(Found) error) error {
	described, err := d.cluster.Describe(ctx, d.topic)
	if err != nil {
		return err
	}
	partitions := len(described.Topics[d.topic].Partitions)
	if partitions == 0 {
		return fmt.Errorf("topic %s: no such topic", d.topic)
	}
	known := seen{}
	for p := range int32(partitions) {
		if err := d.partition(ctx, p, since, known, r, take); err != nil {
			return err
		}
	}
	return nil
}

// maxIdle is how many empty answers in a row are too many.
const maxIdle = 20

// partition reads one partition up to where it ends now.
func (d *Topic) partition(ctx context.Context, p int32, since time.Time, known seen, r *Reading, take func(Found) error) error {
	from := source.Earliest
	if !since.IsZero() {
		from = source.AtTime(since)
	}
	at, err := d.cluster.Offsets(ctx, d.topic, p, from)
	if err != nil {
		return err
	}
	end, err := d.cluster.Offsets(ctx, d.topic, p, source.Latest)
	if err != nil {
		return err
	}
	cursor := d.cluster.Cursor(source.FetchRequest{Topic: d.topic, Partition: p, MaxBytes: 1 << 20, MaxWait: 500 * time.Millisecond})
	for idle := 0; at < end; idle++ {
		if idle > maxIdle {
			return fmt.Errorf("read dead letters of %s[%d]: nothing comes from offset %d on, and the topic ends at %d", d.topic, p, at, end)
		}
		err := cursor.Fetch(ctx, at)
		var gone *source.OutOfRangeError
		if errors.As(err, &gone) && gone.LogStart > at { // retention was faster
			at = gone.LogStart
			continue
		}
		if err != nil {
			return fmt.Errorf("read dead letters of %s[%d]: %w", d.topic, p, err)
		}
		if err := d.walk(cursor, since, known, r, take); err != nil {
			return err
		}
		next, err := cursor.Ended(at)
		if err != nil {
			return fmt.Errorf("read dead letters of %s[%d]: %w", d.topic, p, err)
		}
		if next > at {
			at, idle = next, 0
		}
	}
	return nil
}

// walk gives out the letters of one answer.
func (d *Topic) walk(cursor *source.Cursor, since time.Time, known seen, r *Reading, take func(Found) error) error {
	for {
		record, ok := cursor.Next()
		if !ok {
			return nil
		}
		found, err := foundIn(record)
		if err := r.letter(found, err, since, known, take); err != nil {
			return err
		}
	}
}
