package peek

import (
	"context"
	"errors"
	"time"

	"github.com/sluicekit/sluice/core/folder"
	"github.com/sluicekit/sluice/core/source"
)

// Origin is where the records are: Kafka or Files.
type Origin interface {
	Describe(ctx context.Context, topics ...string) (source.Description, error)
	Offsets(ctx context.Context, topic string, partition int32, at source.Position) (int64, error)
	reader(topic string, partition int32) reader
}

// reader walks over one partition, for one goroutine at a time.
type reader interface {
	// fetch gets what comes from an offset on, or nothing within wait. It returns
	// where the partition ends now. *goneError: nothing is there any more.
	fetch(ctx context.Context, at int64, wait time.Duration) (end int64, err error)
	// next is the next record, and why its bytes are none to be decoded, if so.
	next() (r source.Record, bad string, ok bool)
	// ended is asked when next has no more: the first offset that is not covered.
	ended(at int64) (int64, error)
}

// goneError says that a partition begins behind the offset that was asked for.
type goneError struct{ next int64 }

func (*goneError) Error() string { return "gone" }

// Kafka makes an Origin of a cluster.
func Kafka(c *source.Cluster) Origin { return kafka{c} }

type kafka struct{ *source.Cluster }

func (k kafka) reader(topic string, partition int32) reader {
	return &kafkaReader{cluster: k.Cluster, topic: topic, partition: partition, maxBytes: fetchBytes}
}

// fetchBytes is how much one partition fetches at a time.
const fetchBytes = 256 << 10

type kafkaReader struct {
	cluster   *source.Cluster
	topic     string
	partition int32
	maxBytes  int32
	buf       []byte
	records   source.Reader
}

func (k *kafkaReader) fetch(ctx context.Context, at int64, wait time.Duration) (int64, error) {
	f, err := k.cluster.Fetch(ctx, source.FetchRequest{
		Topic: k.topic, Partition: k.partition, Offset: at, MaxBytes: k.maxBytes, MaxWait: wait,
	}, k.buf)
	k.buf = f.Buf
	var gone *source.OutOfRangeError
	if errors.As(err, &gone) && gone.LogStart > at {
		return 0, &goneError{gone.LogStart}
	}
	if err != nil {
		return 0, err
	}
	k.records.Reset(f, at)
	return f.LastStable, nil
}

func (k *kafkaReader) next() (source.Record, string, bool) {
	r, ok := k.records.Next()
	return r, "", ok
}

func (k *kafkaReader) ended(at int64) (int64, error) {
	err := k.records.Err()
	var torn *source.TornError
	if errors.As(err, &torn) && int64(torn.Need) > int64(k.maxBytes) && torn.Need < 1<<30 {
		k.maxBytes = int32(torn.Need) // a batch larger than an answer
		return at, nil
	}
	if err != nil {
		return at, err
	}
	return k.records.NextOffset(), nil
}

// Files makes an Origin of a stream's files. Somebody has joined as the
// member, so that they are looked for.
func Files(s *folder.Source) Origin { return files{s} }

type files struct{ *folder.Source }

func (f files) reader(_ string, partition int32) reader {
	return &filesReader{f.Cursor(partition, 50*time.Millisecond)}
}

type filesReader struct{ cursor *folder.Cursor }

func (f *filesReader) fetch(ctx context.Context, at int64, _ time.Duration) (int64, error) {
	err := f.cursor.Fetch(ctx, at)
	var gone *folder.GoneError
	if errors.As(err, &gone) {
		return 0, &goneError{gone.Next}
	}
	return f.cursor.End(), err
}

func (f *filesReader) next() (source.Record, string, bool) {
	r, ok := f.cursor.Next()
	if !ok {
		return r, "", false
	}
	return r, f.cursor.Verdict(), true
}

func (f *filesReader) ended(at int64) (int64, error) { return f.cursor.Ended(at) }
