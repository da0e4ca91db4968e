package source

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// FetchRequest asks for the batches of one partition from an offset on.
type FetchRequest struct {
	Topic string
	// TopicID makes the broker answer for this very topic, and not for another one that was made under its name since: then Fetch fails
	// with a *TopicChangedError. Zero, or a broker before 3.1: by name.
	TopicID   [16]byte
	Partition int32
	Offset    int64
	MaxBytes  int32         // aimed at; the first batch comes whole even if it is larger
	MaxWait   time.Duration // how long the broker may wait for a first byte
	// CheckEpoch makes the broker compare its log with LastEpoch, the leader epoch of the record before Offset. If that part of the log was
	// cut off and written anew, which an unclean leader election does, Fetch fails with a *TruncatedError. Brokers before 2.7 do not check.
	CheckEpoch bool
	LastEpoch  int32
}

// Fetched is one answer. Batches and the reader's records alias Buf.
type Fetched struct {
	Batches                             []byte
	HighWatermark, LastStable, LogStart int64
	Aborted                             []Aborted
	Buf                                 []byte // give it to the next Fetch once nothing of this answer is used any more
	loan                                *loan  // of a Fetcher
}

// Aborted is a transaction whose records are not to be delivered.
type Aborted struct {
	ProducerID, FirstOffset int64
}

// Fetch reads from the partition's leader with read-committed isolation, into buf. The caller retries; the leader is looked up anew
// when it has moved or does not answer. On an error buf is unused again.
func (c *Cluster) Fetch(ctx context.Context, f FetchRequest, buf []byte) (Fetched, error) {
	none := Fetched{Buf: buf}
	n, epoch, err := c.leader(ctx, f.Topic, f.Partition)
	if err != nil {
		return none, err
	}
	x := exchange{req: fetchMessage(f, epoch), min: 11, max: 12, timeout: c.o.RequestTimeout + f.MaxWait, buf: buf, unsafe: true}
	if f.TopicID != ([16]byte{}) {
		x.max = 13 // from here on ids take the place of names
	}
	r, buf, err := n.do(ctx, x)
	none.Buf = buf
	if err != nil {
		c.leaderError(f.Topic, f.Partition, codeNone, err)
		return none, err
	}
	res := r.(*kmsg.FetchResponse)
	what := object(f.Topic, f.Partition)
	if res.ErrorCode != codeNone {
		return none, &KafkaError{Code: res.ErrorCode, Request: "Fetch", Object: what}
	}
	if len(res.Topics) != 1 || len(res.Topics[0].Partitions) != 1 || !f.about(&res.Topics[0], res.Version) || res.Topics[0].Partitions[0].Partition != f.Partition {
		return none, fmt.Errorf("kafka: Fetch %s: answer is about something else", what)
	}
	out, err := c.judge(ctx, f, &res.Topics[0].Partitions[0])
	if err != nil {
		return none, err
	}
	out.Buf = buf
	return out, nil
}

// judge makes of a partition's part of an answer what it says.
func (c *Cluster) judge(ctx context.Context, f FetchRequest, p *kmsg.FetchResponseTopicPartition) (Fetched, error) {
	switch p.ErrorCode {
	case codeNone:
	case codeUnknownTopicID, codeInconsistentTopicID:
		c.leaderError(f.Topic, f.Partition, codeUnknownTopicID, nil)
		return Fetched{}, &TopicChangedError{Topic: f.Topic, ID: f.TopicID}
	case codeOffsetOutOfRange:
		return Fetched{}, c.outOfRange(ctx, f)
	default:
		c.leaderError(f.Topic, f.Partition, p.ErrorCode, nil)
		return Fetched{}, &KafkaError{Code: p.ErrorCode, Request: "Fetch", Object: object(f.Topic, f.Partition)}
	}
	if d := p.DivergingEpoch; d.Epoch >= 0 || d.EndOffset >= 0 {
		return Fetched{}, &TruncatedError{Topic: f.Topic, Partition: f.Partition, Offset: f.Offset, Epoch: d.Epoch, End: d.EndOffset}
	}
	out := Fetched{Batches: p.RecordBatches, HighWatermark: p.HighWatermark, LastStable: p.LastStableOffset, LogStart: p.LogStartOffset}
	for _, a := range p.AbortedTransactions {
		out.Aborted = append(out.Aborted, Aborted{a.ProducerID, a.FirstOffset})
	}
	return out, nil
}

// about says whether an answer is about the topic that was asked for.
func (f *FetchRequest) about(t *kmsg.FetchResponseTopic, version int16) bool {
	if version < 13 {
		return t.Topic == f.Topic
	}
	return t.TopicID == f.TopicID
}

func fetchMessage(f FetchRequest, epoch int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID = -1
	req.MaxWaitMillis = int32(f.MaxWait.Milliseconds())
	// One partition: its own limit counts. With the request's limit alike, kfake leaves out the list of aborted transactions.
	req.MinBytes, req.MaxBytes, req.IsolationLevel = 1, math.MaxInt32, 1
	req.SessionID, req.SessionEpoch = 0, -1 // no session: it would tie all partitions to one connection
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.FetchOffset, p.PartitionMaxBytes = f.Partition, epoch, f.Offset, f.MaxBytes
	if f.CheckEpoch {
		p.LastFetchedEpoch = f.LastEpoch
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = f.Topic, f.TopicID
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// outOfRange finds out where the log begins and ends; the answer to a fetch does not say.
func (c *Cluster) outOfRange(ctx context.Context, f FetchRequest) error {
	e := &OutOfRangeError{Topic: f.Topic, Partition: f.Partition, Offset: f.Offset, LogStart: -1, End: -1}
	const uncommitted = 0 // a position behind the last stable offset is still inside of the log
	if start, err := c.listOffset(ctx, f.Topic, f.Partition, int64(Earliest), uncommitted); err == nil {
		e.LogStart = start
	}
	if end, err := c.listOffset(ctx, f.Topic, f.Partition, int64(Latest), uncommitted); err == nil {
		e.End = end
	}
	if f.CheckEpoch && e.LogStart <= f.Offset && f.Offset <= e.End {
		return &TruncatedError{Topic: f.Topic, Partition: f.Partition, Offset: f.Offset, Epoch: -1, End: -1} // no such epoch any more
	}
	return e
}
