package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/jsonl"
)

// store is one sink of the configuration.
type store struct {
	config sink.Config
	conn   *Connection
	bucket string
	client *http.Client
}

// open checks that the store can be reached and lets us in.
func open(ctx context.Context, c sink.Config) (sink.Sink, error) {
	s := &store{config: c, conn: c.Conn.(*Connection), bucket: c.Options.(*Options).Bucket}
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, Timeout: s.conn.Timeout}
	if _, err := jsonl.New(c.Schema); err != nil { // names a field of a kind that JSON has not
		return nil, err
	}
	if _, err := s.request(ctx, http.MethodGet, url.Values{"prefix": {s.prefix()}}, nil); err != nil {
		s.client.CloseIdleConnections()
		return nil, err
	}
	return s, nil
}

// Claim reads the names of the sink's objects: they say how far it is. They
// fence nobody, and need not: an old owner can only write what the new one
// writes.
func (s *store) Claim(ctx context.Context, c sink.Claim) (sink.Writer, sink.Found, error) {
	found := sink.Found{High: slices.Repeat([]int64{-1}, c.Partitions)}
	names, err := s.request(ctx, http.MethodGet, url.Values{"prefix": {s.prefix()}}, nil)
	if err != nil {
		return nil, found, err
	}
	for name := range strings.FieldsSeq(string(names)) {
		found.State = sink.Has
		n, err := parse(strings.TrimPrefix(name, s.prefix()))
		switch {
		case err != nil:
			return nil, found, sink.Permanent(fmt.Errorf("object %s is not of this sink: %w", name, err))
		case n.topic != c.Topic:
		case n.incarnation != c.Incarnation:
			found.OtherIncarnation = n.incarnation
		default:
			for i, next := range n.next {
				if at := int(n.partition-c.Partition) + i; at >= 0 && at < c.Partitions {
					found.High[at] = max(found.High[at], next)
				}
			}
		}
	}
	lines, err := jsonl.New(s.config.Schema)
	if err != nil {
		return nil, found, err
	}
	return &writer{store: s, claim: c, lines: lines}, found, nil
}

// Close ends the connections.
func (s *store) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// writer holds the rows of one batch.
type writer struct {
	store *store
	claim sink.Claim
	lines *jsonl.Encoder
	held  []byte
}

// Append encodes the rows of a chunk, all or none: what JSON cannot hold is
// refused by its offset here, long before the commit.
func (w *writer) Append(ctx context.Context, rows *record.Chunk) (size int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	w.held, err = w.lines.Append(w.held, rows)
	return int64(len(w.held)), err
}

// Stage has nothing to do: there is no state between held and visible.
func (w *writer) Stage(ctx context.Context, _ record.Cut) (string, error) { return "", ctx.Err() }

// Commit puts the object. A batch without rows is an object too: the names are
// what the store remembers of this sink.
func (w *writer) Commit(ctx context.Context, c record.Cut, _ string) error {
	name := w.store.prefix() + name(w.claim, c)
	if _, err := w.store.request(ctx, http.MethodPut, url.Values{"name": {name}}, w.held); err != nil {
		return fmt.Errorf("put the object of %s: %w", c, err)
	}
	w.held = w.held[:0]
	return nil
}

// Close drops what was not committed.
func (w *writer) Close() error {
	w.held = nil
	return nil
}

// prefix begins the names of a sink's objects. Names hold no spaces, so a list
// of them is easily parted.
func (s *store) prefix() string { return url.QueryEscape(s.config.ID()) + "/" }

// name is a batch: topic/incarnation/partition/first-next_first-next_….
func name(claim sink.Claim, c record.Cut) string {
	bounds := make([]string, len(c.Ranges))
	for i, r := range c.Ranges {
		bounds[i] = fmt.Sprintf("%d-%d", r.First, r.Next)
	}
	return fmt.Sprintf("%s/%s/%d/%s", url.QueryEscape(claim.Topic), url.QueryEscape(claim.Incarnation), c.Partition, strings.Join(bounds, "_"))
}

// batch is what a name says.
type batch struct {
	topic, incarnation string
	partition          int32
	next               []int64
}

func parse(name string) (b batch, err error) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 {
		return b, errors.New("a name has four parts")
	}
	var errs [3]error
	b.topic, errs[0] = url.QueryUnescape(parts[0])
	b.incarnation, errs[1] = url.QueryUnescape(parts[1])
	partition, err := strconv.ParseInt(parts[2], 10, 32)
	b.partition, errs[2] = int32(partition), err
	for bounds := range strings.SplitSeq(parts[3], "_") {
		_, text, _ := strings.Cut(bounds, "-")
		next, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return b, err
		}
		b.next = append(b.next, next)
	}
	return b, errors.Join(errs[:]...)
}

// maxAnswer bounds what a store may answer.
const maxAnswer = 64 << 20

// request makes one request and classifies its error: an answer that says no is
// Refused; 4xx is for a person to mend; anything else may pass, and leaves open
// what became of a PUT.
func (s *store) request(ctx context.Context, method string, query url.Values, body []byte) ([]byte, error) {
	at := fmt.Sprintf("%s/%s?%s", s.conn.Address, url.PathEscape(s.bucket), query.Encode())
	q, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return nil, sink.Permanent(fmt.Errorf("address: %w", err))
	}
	q.Header.Set("Authorization", "Bearer "+s.conn.Password.Reveal())
	r, err := s.client.Do(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	switch {
	case r.StatusCode/100 == 4:
		return nil, sink.Refused(sink.Permanent(fmt.Errorf("the store refuses it: %s", r.Status)))
	case r.StatusCode/100 != 2:
		return nil, fmt.Errorf("the store answers %s", r.Status)
	}
	return answer, err
}
