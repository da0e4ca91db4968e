package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicLog is all that lies in the topic, committed or not: per partition the
// entries in their order. The offset of an entry is its index: the topic is not
// compacted, and has lost nothing.
type topicLog [][]logEntry

// logEntry is a record, or the marker that ends a producer's transaction.
type logEntry struct {
	producer int64 // the id that the broker gave it
	id       int64 // of the event
	epoch    int16
	kind     logKind
}

type logKind uint8

const (
	eventKind logKind = iota
	commitKind
	abortKind
)

func (k logKind) String() string { return [...]string{"event", "commit", "abort"}[k] }

// readLog reads the topic from its beginning to ends, with everything in it.
func readLog(ctx context.Context, broker, topic string, ends []int64) (topicLog, error) {
	at, left := map[int32]kgo.Offset{}, int64(0)
	for p, end := range ends {
		at[int32(p)] = kgo.NewOffset().At(0)
		left += end
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(broker), past(broker), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: at}),
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	t := make(topicLog, len(ends))
	for left > 0 {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("read the log of %s, %d offsets before its end: %w", topic, left, err)
		}
		f := c.PollFetches(ctx)
		var wrong error
		f.EachError(func(_ string, p int32, err error) { wrong = errors.Join(wrong, fmt.Errorf("partition %d: %w", p, err)) })
		f.EachRecord(func(r *kgo.Record) {
			if r.Offset >= ends[r.Partition] || wrong != nil {
				return
			}
			wrong = t.add(r)
			left--
		})
		if wrong != nil {
			return nil, fmt.Errorf("read the log of %s: %w", topic, wrong)
		}
	}
	return t, nil
}

// add appends what was read.
func (t topicLog) add(r *kgo.Record) (err error) {
	if next := int64(len(t[r.Partition])); r.Offset != next {
		return fmt.Errorf("partition %d: offset %d where %d is next", r.Partition, r.Offset, next)
	}
	e := logEntry{producer: r.ProducerID, epoch: r.ProducerEpoch, id: -1}
	if r.Attrs.IsControl() {
		e.kind, err = markerKind(r.Key)
	} else {
		e.id, err = eventID(r.Value)
	}
	if err != nil {
		return fmt.Errorf("partition %d offset %d: %w", r.Partition, r.Offset, err)
	}
	t[r.Partition] = append(t[r.Partition], e)
	return nil
}

func markerKind(key []byte) (logKind, error) {
	var k kmsg.ControlRecordKey
	if err := k.ReadFrom(key); err != nil {
		return 0, fmt.Errorf("key of a control record: %w", err)
	}
	switch k.Type {
	case kmsg.ControlRecordKeyTypeCommit:
		return commitKind, nil
	case kmsg.ControlRecordKeyTypeAbort:
		return abortKind, nil
	default:
		return 0, fmt.Errorf("a control record of type %d, which ends no transaction", k.Type)
	}
}

// eventID is the id of an encoded event, every byte of which must be as it was
// made.
func eventID(value []byte) (int64, error) {
	text, _, _ := bytes.Cut(bytes.TrimPrefix(value, []byte(`{"id":`)), []byte(","))
	id, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || !bytes.Equal(value, makeEvent(id).encode()) {
		return 0, errors.New("holds an event that was never made")
	}
	return id, nil
}

// ruling is what the log says of a record: what ended its transaction.
type ruling struct {
	marker int64 // its offset; -1: the transaction is open
	own    bool  // there is none of the producer's later transactions between the two
}

// rule decides about all records of a partition. The first marker of the same
// producer behind a record is its end, and nothing else is: no epoch, no client,
// and not what the producer was told. The marker belongs to the transaction of
// the last record before it.
func (t topicLog) rule(partition int, tx []int32) []ruling {
	entries := t[partition]
	out := make([]ruling, len(entries))
	type ending struct {
		marker int64
		owner  int32 // -1: not known yet
	}
	ends := map[int64]ending{}
	for i := len(entries) - 1; i >= 0; i-- {
		e := entries[i]
		if e.kind != eventKind {
			ends[e.producer] = ending{int64(i), -1}
			continue
		}
		end, ok := ends[e.producer]
		switch {
		case !ok:
			out[i].marker = -1
			continue
		case e.id < 0 || e.id >= int64(len(tx)):
			out[i] = ruling{marker: end.marker, own: true} // never produced: somebody else says so
			continue
		case end.owner < 0:
			end.owner = tx[e.id]
			ends[e.producer] = end
		}
		out[i] = ruling{end.marker, end.owner == tx[e.id]}
	}
	return out
}

// dump writes the log as ranges, for the folder of a failed run.
func (t topicLog) dump(w io.Writer, tx []int32) {
	fmt.Fprintln(w, "partition,first,next,kind,producer,epoch,transaction") //nolint:errcheck // a bufio.Writer's Flush tells
	for p, entries := range t {
		for first := 0; first < len(entries); {
			e, next := entries[first], first+1
			of := transaction(e, tx)
			for next < len(entries) && e.kind == eventKind && entries[next].kind == eventKind && entries[next].producer == e.producer &&
				entries[next].epoch == e.epoch && transaction(entries[next], tx) == of {
				next++
			}
			fmt.Fprintf(w, "%d,%d,%d,%s,%d,%d,%d\n", p, first, next, e.kind, e.producer, e.epoch, of) //nolint:errcheck // the same
			first = next
		}
	}
}

// transaction is that of a record in the ledger; -1: none.
func transaction(e logEntry, tx []int32) int32 {
	if e.id < 0 || e.id >= int64(len(tx)) {
		return -1
	}
	return tx[e.id]
}
