package decode

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// UnknownIDError says that the registry does not know a schema id yet: within
// the grace it may still learn of it.
type UnknownIDError struct {
	ID    uint32
	Since time.Duration // since it was first seen
}

func (e *UnknownIDError) Error() string {
	return fmt.Sprintf("the registry does not know schema id %d, first seen %s ago", e.ID, e.Since.Round(time.Second))
}

// leastSight is how long a registry is given in any case to learn of an id, also
// one of a record that was written long ago, or says so.
const leastSight = 2 * time.Second

// How long an answer "unknown" is believed before the registry is asked again:
// within the grace, and after it.
const (
	unknownTTL = time.Second
	deadTTL    = 15 * time.Second
)

// schemas knows the schemas of a stream by id. Concurrent questions for one id
// are one request.
type schemas struct {
	registry *Registry
	writers  Writers // instead of registry
	limits   Limits
	grace    time.Duration
	clock    func() time.Time

	mu      sync.Mutex
	ids     map[uint32]*known
	unknown map[uint32]*known        // that the registry does not have: records are untrusted, and must not drive out the schemas
	asking  map[uint32]chan struct{} // closed when the answer is there
	used    uint64
}

// maxUnknown bounds what is remembered of unknown ids, which records can make up:
// 8 MiB.
const maxUnknown = 1 << 16

// known is what is known of an id: its schema, why it has none that can be
// used, or since when it is unknown.
type known struct {
	schema *node
	bad    string
	since  time.Time
	until  time.Time // how long "unknown" is believed
	used   uint64
}

func newSchemas(o *Options) *schemas {
	return &schemas{registry: o.Registry, writers: o.Writers, limits: o.Limits, grace: o.Grace, clock: o.Clock, ids: map[uint32]*known{}, unknown: map[uint32]*known{}, asking: map[uint32]chan struct{}{}}
}

// latest is the newest schema of a subject.
func (s *schemas) latest(ctx context.Context, subject string) (*node, error) {
	f, err := s.registry.latest(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("latest schema of %s: %w", subject, err)
	}
	k, err := s.read(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("latest schema of %s: %w", subject, err)
	}
	if k.bad != "" {
		return nil, fmt.Errorf("latest schema of %s: %s", subject, k.bad)
	}
	return k.schema, nil
}

// get is the schema of an id, or why a record of it that was written at a time
// (milliseconds since 1970) is bad. An error may pass.
func (s *schemas) get(ctx context.Context, id uint32, stamp int64) (n *node, bad string, err error) {
	for {
		s.mu.Lock()
		if n, bad, err, ok := s.lookup(id, stamp); ok {
			s.mu.Unlock()
			return n, bad, err
		}
		wait := s.asking[id]
		if wait == nil {
			done := make(chan struct{})
			s.asking[id] = done
			s.mu.Unlock()
			return s.ask(ctx, id, stamp, done)
		}
		s.mu.Unlock()
		select {
		case <-wait: // and look again: whoever asked may have been cancelled
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
}

// lookup answers from memory, if it can. It is called with the lock held.
func (s *schemas) lookup(id uint32, stamp int64) (n *node, bad string, err error, ok bool) {
	k := s.ids[id]
	if k == nil {
		k = s.unknown[id]
	}
	if k == nil {
		return nil, "", nil, false
	}
	s.used++
	k.used = s.used
	now := s.clock()
	if k.schema == nil && k.bad == "" && !now.Before(k.until) {
		return nil, "", nil, false
	}
	n, bad, err = s.say(id, k, now, stamp)
	return n, bad, err, true
}

// say is what is known of an id as get returns it.
func (s *schemas) say(id uint32, k *known, now time.Time, stamp int64) (n *node, bad string, err error) {
	switch {
	case k.schema != nil || k.bad != "":
		return k.schema, k.bad, nil
	case s.over(k, now, stamp):
		return nil, fmt.Sprintf("the registry does not know schema id %d", id), nil
	}
	return nil, "", &UnknownIDError{ID: id, Since: now.Sub(k.since)}
}

// over says that the grace of a record has passed. It counts from when the
// record was written: a row of records whose ids nobody ever registers would
// else be waited for one after another. A time in the future counts for nothing.
func (s *schemas) over(k *known, now time.Time, stamp int64) bool {
	seen := now.Sub(k.since)
	return seen >= s.grace || seen >= leastSight && now.Sub(time.UnixMilli(stamp)) >= s.grace
}

// ask asks the registry and remembers its answer. Errors are not remembered.
func (s *schemas) ask(ctx context.Context, id uint32, stamp int64, done chan struct{}) (n *node, bad string, err error) {
	k, err := s.fetch(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(done)
	delete(s.asking, id)
	now := s.clock()
	if errors.Is(err, errNotFound) {
		if k = s.unknown[id]; k == nil {
			k = &known{since: now}
		}
		k.until = now.Add(unknownTTL)
		if now.Sub(k.since) >= s.grace {
			k.until = now.Add(deadTTL)
		}
		err = nil
	}
	if err != nil {
		return nil, "", err
	}
	s.put(id, k)
	return s.say(id, k, now, stamp)
}

// foresee asks for ids that come up soon and that nothing is known of yet, some
// at a time, so that the grace of all of them runs from now on. Errors are left
// for whoever asks when it is time.
func (s *schemas) foresee(ctx context.Context, ids []uint32) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range min(foreseers, len(ids)) {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(ids) {
					return
				}
				if _, _, err := s.get(ctx, ids[i], math.MaxInt64); err != nil && !errors.As(err, new(*UnknownIDError)) {
					return // the registry is away
				}
			}
		})
	}
	all.Wait()
}

// foreseers is how many requests at once foresight may cost.
const foreseers = 8

// isKnown says that an id has been asked for.
func (s *schemas) isKnown(id uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[id] != nil || s.unknown[id] != nil
}

// put remembers an answer, and forgets the one that was least used.
func (s *schemas) put(id uint32, k *known) {
	if k.schema == nil && k.bad == "" {
		if len(s.unknown) >= maxUnknown {
			// Half of them, whichever: those have to wait anew.
			for id := range s.unknown {
				if delete(s.unknown, id); len(s.unknown) <= maxUnknown/2 {
					break
				}
			}
		}
		s.unknown[id] = k
		return
	}
	delete(s.unknown, id)
	if s.ids[id] == nil && len(s.ids) >= s.limits.IDs {
		var oldest uint32
		least := ^uint64(0)
		for id, k := range s.ids {
			if k.used < least {
				oldest, least = id, k.used
			}
		}
		delete(s.ids, oldest)
	}
	s.used++
	k.used = s.used
	s.ids[id] = k
}

func (s *schemas) fetch(ctx context.Context, id uint32) (*known, error) {
	if s.writers != nil {
		return s.ofWriter(ctx, id)
	}
	f, err := s.registry.byID(ctx, id)
	if err != nil {
		return nil, err
	}
	k, err := s.read(ctx, f)
	if err == nil && k.bad != "" {
		k.bad = fmt.Sprintf("schema id %d: %s", id, k.bad)
	}
	return k, err
}

// ofWriter is the schema of a number, or why it is none.
func (s *schemas) ofWriter(ctx context.Context, id uint32) (*known, error) {
	text, err := s.writers.Schema(ctx, id)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil && len(text) > s.limits.Schema {
		err = fmt.Errorf("a schema of %d bytes: the limit is %d", len(text), s.limits.Schema)
	}
	if err != nil {
		return &known{bad: err.Error()}, nil
	}
	n, err := parseSchema(text)
	if err != nil {
		return &known{bad: err.Error()}, nil
	}
	return &known{schema: n}, nil
}

// read parses a schema with those it refers to. One that is no Avro schema is
// an answer too: it will never be another.
func (s *schemas) read(ctx context.Context, f found) (*known, error) {
	if f.Type != "" && f.Type != "AVRO" {
		return &known{bad: "not an Avro schema"}, nil
	}
	refs, err := s.registry.resolve(ctx, f)
	if errors.Is(err, errNotFound) {
		return nil, &RegistryError{errors.New("it lacks a schema that another one refers to")}
	}
	if err != nil {
		return nil, err
	}
	total := len(f.Schema)
	for _, r := range refs {
		total += len(r)
	}
	if total > s.limits.Schema {
		return nil, fmt.Errorf("a schema of %d bytes, with what it refers to: the limit is %d", total, s.limits.Schema)
	}
	n, err := parseSchema([]byte(f.Schema), refs...)
	if err != nil {
		return &known{bad: err.Error()}, nil
	}
	return &known{schema: n}, nil
}
