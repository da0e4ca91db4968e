package source

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Memory is what a Fetcher's answers are charged to. A negative Charge gives back.
type Memory interface {
	Reserve(ctx context.Context, bytes int64) error
	Charge(bytes int64)
}

// Fetcher reads many partitions with few requests: what is asked for at the same broker goes together, as many answers as fit into
// AnswerBytes. Partitions that are known to have more do not wait with those that have nothing.
type Fetcher struct {
	cluster *Cluster
	memory  Memory
	bytes   int64

	ctx     context.Context // of the workers: ends with Close
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu     sync.Mutex
	queues map[*node]*queue
	small  sync.Pool // of *[]byte: buffers of answers of fewBytes,
	large  sync.Pool // and of larger ones
}

const (
	maxHot     = 16 // partitions of a request for what is known to be there
	maxCold    = 1000
	hotBusy    = 2 // requests at a broker at a time for what is known to be there,
	coldBusy   = 4 // and for what may come
	minPart    = 16 << 10
	fewBytes   = 4 << 20              // of an answer, where many are asked for
	gatherTime = 2 * time.Millisecond // in which those join a request that have just got nothing by another one
)

// NewFetcher makes one. Answers have about answerBytes at most, or one batch; of several brokers each has a part of that (see room). Close ends it.
func NewFetcher(c *Cluster, memory Memory, answerBytes int64) *Fetcher {
	f := &Fetcher{cluster: c, memory: memory, bytes: max(answerBytes, minPart), queues: map[*node]*queue{}}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// Close ends all requests, and waits for their goroutines.
func (f *Fetcher) Close() {
	f.cancel()
	f.mu.Lock()
	for _, q := range f.queues {
		q.mu.Lock() // a worker that has not seen the end yet waits by now, and is woken
		q.change.Broadcast()
		q.mu.Unlock()
	}
	f.mu.Unlock()
	f.workers.Wait()
}

// Ask is one partition that somebody wants to read.
type Ask struct {
	f    *Fetcher
	req  FetchRequest
	hot  bool
	due  time.Time
	done chan struct{} // closed when part or err is there

	q     *queue // nil: not asked yet
	epoch int32
	gone  bool // nobody waits for it any more; guarded by q.mu, as are the next ones until done
	part  *kmsg.FetchResponseTopicPartition
	loan  *loan
	err   error
}

// Ask asks for a partition, as Cluster.Fetch does. more: it is known to have something at the offset.
func (f *Fetcher) Ask(req FetchRequest, more bool) *Ask {
	a := &Ask{f: f, req: req, hot: more, done: make(chan struct{})}
	if l, ok := f.cluster.knownLeader(topicPartition{req.Topic, req.Partition}); ok {
		if n, err := f.cluster.brokerNode(l.node); err == nil {
			f.enqueue(a, n, l.epoch)
		}
	}
	return a
}

// Wait waits for the answer. Fetched is to be given back with Release. An ask has one Wait or one Cancel.
func (a *Ask) Wait(ctx context.Context) (Fetched, error) {
	c := a.f.cluster
	if a.q == nil {
		n, epoch, err := c.leader(ctx, a.req.Topic, a.req.Partition)
		if err != nil {
			return Fetched{}, err
		}
		a.f.enqueue(a, n, epoch)
	}
	select {
	case <-a.done:
	case <-ctx.Done():
		a.Cancel()
		return Fetched{}, &ConnError{Request: "Fetch", Address: a.q.node.address, Sent: true, Err: ctx.Err()}
	}
	if a.err != nil {
		c.leaderError(a.req.Topic, a.req.Partition, codeNone, a.err)
		return Fetched{}, a.err
	}
	out, err := c.judge(ctx, a.req, a.part)
	if err != nil {
		a.loan.release()
		return Fetched{}, err
	}
	out.loan = a.loan
	return out, nil
}

// Cancel gives the ask up.
func (a *Ask) Cancel() {
	if a.q == nil {
		return
	}
	a.q.mu.Lock()
	defer a.q.mu.Unlock()
	select {
	case <-a.done:
		a.loan.release()
		a.loan = nil
	default:
		a.gone = true
	}
}

// Release gives the bytes of an answer of a Fetcher back, and says how many came free; 0: others use them still.
func (f *Fetched) Release() (freed int64) {
	freed = f.loan.release()
	*f = Fetched{}
	return freed
}

// Size is what the answer is charged with, as a whole.
func (f *Fetched) Size() int64 {
	if f.loan == nil {
		return int64(len(f.Batches))
	}
	return f.loan.bytes
}

// loan is memory that answers of several partitions lie in.
type loan struct {
	f     *Fetcher
	buf   []byte
	bytes int64
	uses  atomic.Int32
}

func (f *Fetcher) lend(buf []byte) *loan {
	l := &loan{f: f, buf: buf, bytes: int64(cap(buf))}
	l.uses.Store(1)
	return l
}

func (l *loan) release() int64 {
	if l == nil || l.uses.Add(-1) > 0 {
		return 0
	}
	l.f.memory.Charge(-l.bytes)
	if l.bytes >= minPart && l.bytes <= 2*l.f.bytes {
		l.f.pool(l.bytes).Put(&l.buf)
	}
	return l.bytes
}

// queue is what is asked for at one broker.
type queue struct {
	f    *Fetcher
	node *node

	mu        sync.Mutex
	change    sync.Cond // an ask has come, or a request has ended, or the fetcher
	hot, cold []*Ask
	busy      [2]int // requests under way: cold, hot
	workers   int
	idle      int
}

func (f *Fetcher) enqueue(a *Ask, n *node, epoch int32) {
	f.mu.Lock()
	q := f.queues[n]
	if q == nil {
		q = &queue{f: f, node: n}
		q.change.L = &q.mu
		f.queues[n] = q
	}
	f.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	a.q, a.epoch, a.due = q, epoch, time.Now().Add(a.req.MaxWait)
	if f.ctx.Err() != nil {
		a.err = fmt.Errorf("fetcher is closed: %w", f.ctx.Err())
		close(a.done)
		return
	}
	if a.hot {
		q.hot = append(q.hot, a)
	} else {
		q.cold = append(q.cold, a)
	}
	q.wake()
}

// wake gets a worker to look at what is asked for. q.mu is held.
func (q *queue) wake() {
	if q.idle == 0 && q.workers < hotBusy+coldBusy {
		q.workers++
		q.f.workers.Go(q.work)
	}
	q.change.Signal()
}

// work sends requests until the fetcher is closed.
func (q *queue) work() {
	for {
		asks, hot := q.take()
		if asks == nil {
			return
		}
		q.serve(asks, q.f.room(hot))
		q.mu.Lock()
		q.busy[hot]--
		q.mu.Unlock()
		q.change.Broadcast()
	}
}

// take waits for asks that may be sent now. nil: the fetcher is closed, and all asks have failed.
func (q *queue) take() (asks []*Ask, hot int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.f.ctx.Err() == nil {
		q.hot, q.cold = slices.DeleteFunc(q.hot, (*Ask).abandoned), slices.DeleteFunc(q.cold, (*Ask).abandoned)
		switch {
		case len(q.hot) > 0 && q.busy[1] < hotBusy:
			q.busy[1]++
			asks = cutOff(&q.hot, maxHot)
			if len(q.hot) > 0 {
				q.wake()
			}
			return asks, 1
		case len(q.cold) > 0 && q.busy[0] < coldBusy:
			q.busy[0]++
			q.mu.Unlock()
			select {
			case <-q.f.ctx.Done():
			case <-time.After(gatherTime):
			}
			q.mu.Lock()
			if asks = cutOff(&q.cold, maxCold); len(asks) > 0 {
				if len(q.cold) > 0 {
					q.wake()
				}
				return asks, 0
			}
			q.busy[0]--
		default:
			q.idle++
			q.change.Wait()
			q.idle--
		}
	}
	for _, a := range append(q.hot, q.cold...) {
		a.finish(nil, nil, fmt.Errorf("fetcher closed: %w", q.f.ctx.Err()))
	}
	q.hot, q.cold = nil, nil
	return nil, 0
}

func (a *Ask) abandoned() bool { return a.gone }

// cutOff takes up to n asks off a list that may share a request: each partition
// once, and of each topic one id. A broker answers only one of two asks for one
// partition, and the other reader would take that for its own: what lies between
// their offsets would be passed over.
func cutOff(list *[]*Ask, n int) []*Ask {
	taken, left := make([]*Ask, 0, min(n, len(*list))), (*list)[:0]
	parts, ids := map[topicPartition]bool{}, map[string][16]byte{}
	for _, a := range *list {
		part := topicPartition{a.req.Topic, a.req.Partition}
		id, known := ids[a.req.Topic]
		if len(taken) == n || parts[part] || known && id != a.req.TopicID {
			left = append(left, a)
			continue
		}
		parts[part], ids[a.req.Topic] = true, a.req.TopicID
		taken = append(taken, a)
	}
	clear((*list)[len(left):])
	*list = left
	return taken
}

// finish answers an ask. q.mu is held. One use of the loan is the ask's.
func (a *Ask) finish(p *kmsg.FetchResponseTopicPartition, l *loan, err error) {
	if a.gone {
		l.release()
		return
	}
	a.part, a.loan, a.err = p, l, err
	close(a.done)
}

// room is how many bytes a request takes before its answer is there. What may come is waited for at every broker while nothing comes, and
// what is there is asked for at all of them at once: with large answers these alone would use up the memory, and push each other out of it.
func (f *Fetcher) room(hot int) int64 {
	few := min(f.bytes, fewBytes)
	if hot == 0 {
		return few
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.bytes/int64(len(f.queues)), few)
}

// pool is where buffers of a size are kept.
func (f *Fetcher) pool(bytes int64) *sync.Pool {
	if bytes <= 2*fewBytes {
		return &f.small
	}
	return &f.large
}

// used is a buffer of an earlier answer; nil: there is none. A request has it for as long as it waits, and is charged with room: one that waits
// for what may come must not hold what a large answer took.
func (f *Fetcher) used(room int64) []byte {
	for _, p := range []*sync.Pool{f.pool(room), &f.small} {
		if b, ok := p.Get().(*[]byte); ok {
			return *b
		}
	}
	return nil
}

// serve sends one request for all of the asks, and answers them; those that got nothing and still have time stay.
func (q *queue) serve(asks []*Ask, room int64) {
	f := q.f
	part := max(room/int64(len(asks)), minPart)
	if err := f.memory.Reserve(f.ctx, room); err != nil {
		q.fail(asks, err)
		return
	}
	req, wait, max := fetchMessages(asks, part)
	r, buf, err := q.node.do(f.ctx, exchange{req: req, min: 11, max: max, timeout: f.cluster.o.RequestTimeout + wait, buf: f.used(room), unsafe: true})
	whole := f.lend(buf)
	f.memory.Charge(whole.bytes - room)
	defer whole.release()
	if err != nil {
		q.fail(append(asks, q.waiting()...), err)
		return
	}
	res := r.(*kmsg.FetchResponse)
	if res.ErrorCode != codeNone {
		q.fail(asks, &KafkaError{Code: res.ErrorCode, Request: "Fetch", Object: q.node.address})
		return
	}
	q.deliver(asks, res, whole)
}

// waiting takes all that waits to be asked, at a broker that has not answered: each would wait in vain for its own turn, one after the other,
// while the partitions have another leader.
func (q *queue) waiting() []*Ask {
	q.mu.Lock()
	defer q.mu.Unlock()
	asks := append(q.hot, q.cold...)
	q.hot, q.cold = nil, nil
	return asks
}

func (q *queue) fail(asks []*Ask, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range asks {
		a.finish(nil, nil, err)
	}
}

// deliver gives each ask its part.
func (q *queue) deliver(asks []*Ask, res *kmsg.FetchResponse, whole *loan) {
	parts := map[topicPartition]*kmsg.FetchResponseTopicPartition{}
	ids := map[[16]byte]string{}
	for _, a := range asks {
		ids[a.req.TopicID] = a.req.Topic
	}
	for i := range res.Topics {
		t := &res.Topics[i]
		name := t.Topic
		if res.Version >= 13 {
			name = ids[t.TopicID]
		}
		for k := range t.Partitions {
			parts[topicPartition{name, t.Partitions[k].Partition}] = &t.Partitions[k]
		}
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	var left []*Ask // have something that did not fit
	for _, a := range asks {
		p := parts[topicPartition{a.req.Topic, a.req.Partition}]
		end := int64(-1)
		if p != nil {
			if end = p.LastStableOffset; end < 0 {
				end = p.HighWatermark
			}
		}
		nothing := p == nil || p.ErrorCode == codeNone && len(p.RecordBatches) == 0 && p.DivergingEpoch.Epoch < 0 && p.DivergingEpoch.EndOffset < 0
		switch {
		case a.gone:
		case nothing && end > a.req.Offset:
			a.hot = true
			left = append(left, a)
		case p == nil && !now.Before(a.due):
			a.finish(nil, nil, fmt.Errorf("kafka: Fetch %s: the answer leaves it out", object(a.req.Topic, a.req.Partition)))
		case nothing && now.Before(a.due):
			a.hot = false
			q.cold = append(q.cold, a)
		default:
			a.finish(p, q.f.part(p, whole), nil)
		}
	}
	// They go first: the first one of a request gets a batch, however large.
	q.hot = append(left, q.hot...)
}

// part lends a partition's bytes: its part of the answer, or a copy where it is a small part, which must not keep all of it.
func (f *Fetcher) part(p *kmsg.FetchResponseTopicPartition, whole *loan) *loan {
	n := int64(len(p.RecordBatches))
	if n == 0 {
		return nil
	}
	if 4*n >= whole.bytes {
		whole.uses.Add(1)
		return whole
	}
	p.RecordBatches = slices.Clone(p.RecordBatches)
	f.memory.Charge(int64(cap(p.RecordBatches)))
	return f.lend(p.RecordBatches)
}

// fetchMessages makes one request, with a limit of bytes for each partition: the request's own limit is none, since a broker
// may keep to it in the middle of a partition (kfake leaves out the list of aborted transactions then).
func fetchMessages(asks []*Ask, part int64) (req *kmsg.FetchRequest, wait time.Duration, version int16) {
	version = 13 // from here on ids take the place of names
	req = kmsg.NewPtrFetchRequest()
	req.ReplicaID = -1
	req.MinBytes, req.MaxBytes, req.IsolationLevel = 1, math.MaxInt32, 1
	req.SessionID, req.SessionEpoch = 0, -1 // no session: it would tie all partitions to one connection
	topics := map[string]int{}
	for _, a := range asks {
		f := &a.req
		if f.TopicID == ([16]byte{}) {
			version = 12
		}
		wait = max(wait, f.MaxWait)
		i, ok := topics[f.Topic]
		if !ok {
			i = len(req.Topics)
			topics[f.Topic] = i
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = f.Topic, f.TopicID
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.FetchOffset = f.Partition, a.epoch, f.Offset
		p.PartitionMaxBytes = int32(min(part, int64(f.MaxBytes)))
		if f.CheckEpoch {
			p.LastFetchedEpoch = f.LastEpoch
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	req.MaxWaitMillis = int32(wait.Milliseconds())
	return req, wait, version
}
