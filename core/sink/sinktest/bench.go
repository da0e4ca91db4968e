package sinktest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

const (
	// patience is how long a call may go on after its context has ended, as the
	// contract has it, and haste what a busy machine adds to that.
	patience = 2 * time.Second
	haste    = 15 * time.Second
	// longest is how long a call may take at all.
	longest = 90 * time.Second
)

// bench is one test: what it tests, and what it watches all the time.
type bench struct {
	testing.TB
	settings
	target  Target
	proxy   *proxy // nil without a server
	journal *journal
	shown   []string // texts that must not be shown

	// within, if there is one, makes the context that a call gets, and the one
	// whose end the call must notice.
	within func(ctx context.Context) (inner, watched context.Context)
}

func newBench(t testing.TB, target Target, s settings) *bench {
	t.Helper()
	b := &bench{TB: t, settings: s, target: target, shown: []string{unseen}}
	b.journal = &journal{hear: func(line string) { b.mustNotShow("the log line", line) }}
	if idType(target.Spec.Kinds).Kind == record.Invalid {
		t.Fatal("the kit tells rows apart by a field of kind int or string, and the sink takes neither")
	}
	if target.Server != "" {
		p, err := newProxy(target.Server)
		if err != nil {
			t.Fatal(err)
		}
		b.proxy = p
		t.Cleanup(p.close)
	}
	return b
}

// mustNotShow reports a text that holds what only the destination may see.
func (b *bench) mustNotShow(what, text string) {
	for _, s := range b.shown {
		if strings.Contains(text, s) {
			b.Errorf("%s shows %q, which is a secret or the content of a row: %s", what, s, text)
		}
	}
}

// errStuck is the end of a test: a call did not come back.
var errStuck = errors.New("the call did not return")

// call makes one call of the sink and watches it.
func (b *bench) call(ctx context.Context, name string, f func(ctx context.Context) error) error {
	_, err := ask(ctx, b, name, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// ask is a call that answers something. What a call answers that did not return
// in time is dropped.
func ask[T any](ctx context.Context, b *bench, name string, f func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	inner := ctx
	if b.within != nil {
		inner, ctx = b.within(ctx)
	}
	type answer struct {
		value T
		err   error
	}
	mark, answers := b.journal.mark(), make(chan answer, 1)
	go func() {
		v, err := f(inner)
		answers <- answer{v, err}
	}()
	select {
	case a := <-answers:
		return a.value, b.hear(name, mark, a.err)
	case <-ctx.Done():
	}
	select {
	case a := <-answers:
		return a.value, b.hear(name, mark, a.err)
	case <-time.After(patience + haste):
		b.Errorf("%s did not return within %v after its context had ended", name, patience)
		var none T
		return none, errStuck
	}
}

// hear looks at an error that the sink returned.
func (b *bench) hear(name string, mark int, err error) error {
	if err == nil {
		return nil
	}
	b.mustNotShow("the error of "+name, err.Error())
	if b.journal.holds(mark, err.Error()) {
		b.Errorf("%s logged the error that it returned (%v): core does that, once", name, err)
	}
	return err
}

// place is one destination and its history.
type place struct {
	*bench
	Destination
	schema  *record.Schema
	config  sink.Config
	history *history
	owners  int
}

// place makes an empty destination.
func (b *bench) place(s *record.Schema, keys ...string) *place {
	b.Helper()
	need := Need{Schema: s, Keys: keys}
	if b.proxy != nil {
		need.Address = b.proxy.addr()
	}
	p := &place{bench: b, Destination: b.target.New(b.TB, need), schema: s}
	spec := b.target.Spec
	for what, o := range map[string]sink.Options{"options": p.Options, "connection": p.Conn} {
		if o == nil {
			if what == "options" {
				b.Fatal("the target's New returned no options")
			}
			continue
		}
		if err := o.Validate(); err != nil {
			b.Fatalf("the target's %s are not valid: %v", what, err)
		}
	}
	connection := spec.Type
	if spec.Connection != nil {
		connection = "somewhere"
	}
	p.config = sink.Config{Name: "conformance", Connection: connection, Schema: s, Keys: keys, Options: p.Options, Conn: p.Conn,
		Timeout: time.Minute, Delivery: spec.Delivery, Log: b.journal.logger()}
	p.history = &history{delivery: spec.Delivery}
	return p
}

// open opens the sink.
func (p *place) open(ctx context.Context) (sink.Sink, error) {
	s, err := ask(ctx, p.bench, "Open", func(ctx context.Context) (sink.Sink, error) { return p.target.Spec.Open(ctx, p.config) })
	if err == nil && s == nil {
		p.Fatal("Open returned neither a sink nor an error")
	}
	return s, err
}

// mustOpen opens the sink, which closes with the test.
func (p *place) mustOpen() sink.Sink {
	p.Helper()
	s, err := p.open(p.Context())
	if err != nil {
		p.Fatalf("open: %v", err)
	}
	p.Cleanup(func() {
		if err := s.Close(); err != nil {
			p.Errorf("close of the sink: %v", err)
		}
	})
	return s
}

// claim claims a slot.
func (p *place) claim(ctx context.Context, s sink.Sink, c sink.Claim) (*writer, sink.Found, error) {
	type claimed struct {
		w     sink.Writer
		found sink.Found
	}
	got, err := ask(ctx, p.bench, "Claim", func(ctx context.Context) (g claimed, err error) {
		g.w, g.found, err = s.Claim(ctx, c)
		return g, err
	})
	if err != nil {
		return nil, sink.Found{}, err
	}
	p.owners++
	if n := len(got.found.High); n != c.Partitions {
		p.Fatalf("claim of %d partitions found High of %d: one per partition, -1 where it is not known", c.Partitions, n)
	}
	return &writer{p: p, w: got.w, owner: p.owners, feed: newFeed(p.schema)}, got.found, nil
}

// mustClaim claims a slot; the writer is closed with the test.
func (p *place) mustClaim(s sink.Sink, c sink.Claim) (*writer, sink.Found) {
	p.Helper()
	w, found, err := p.claim(p.Context(), s, c)
	if err != nil {
		p.Fatalf("claim of partition %d: %v", c.Partition, err)
	}
	p.Cleanup(func() { w.close() })
	return w, found
}

// read reads what is at the destination.
func (p *place) read() []Row {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), longest)
	defer cancel()
	rows, err := p.Rows(ctx)
	if err != nil {
		p.Fatalf("read the rows back: %v", err)
	}
	for _, r := range rows {
		if len(r) != len(p.schema.Fields) {
			p.Fatalf("a row that was read back has %d values, the schema has %d fields", len(r), len(p.schema.Fields))
		}
	}
	return rows
}

// check compares what is at the destination with the history.
func (p *place) check(when string) {
	p.Helper()
	p.checkFailed(when, p.read())
}

func (p *place) checkFailed(when string, rows []Row) {
	p.Helper()
	if sentences := p.history.judge(p.look(rows)); sentences != nil {
		p.Fatalf("%s:\n  %s", when, strings.Join(sentences, "\n  "))
	}
}

// look finds the record of each row, and compares its values.
func (p *place) look(rows []Row) []seen {
	p.Helper()
	id := p.schema.Index("id")
	all := make([]seen, 0, len(rows))
	for _, r := range rows {
		a, ok := parseID(p.schema.Fields[id].Type, r[id])
		if !ok {
			p.Fatalf("a row at the destination has id %s, which the kit never wrote", show(r[id]))
		}
		s := seen{at: a}
		want := rowOf(p.schema, a)
		for i, f := range p.schema.Fields {
			if !same(f.Type, want[i], r[i]) {
				s.wrong = fmt.Sprintf("field %s of type %s holds %s, want %s", f.Name, f.Type, show(r[i]), show(want[i]))
				break
			}
		}
		all = append(all, s)
	}
	return all
}
