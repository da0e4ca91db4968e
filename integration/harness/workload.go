package harness

import (
	"fmt"
	"sync"
)

// accounts is how many balances there are: few, so that the lanes of all
// partitions change the same rows.
const accounts = 100

// event is one event. All of it follows from its id.
type event struct {
	id      int64
	kind    string
	account int64
	cents   int64
}

var kinds = [...]string{"impression", "click", "deposit", "refund", "noise"}

// makeEvent computes the event of an id.
func makeEvent(id int64) event {
	h := mix(uint64(id))
	return event{id: id, kind: kinds[h%5], account: int64(h>>8) % accounts, cents: int64(h>>24)%200_001 - 100_000}
}

// mix is a bijection that scatters its argument.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// noise is what the sinks in the database leave out.
func (e event) noise() bool { return e.kind == "noise" }

// amount is the event's decimal as text.
func (e event) amount() string { return formatCents(e.cents) }

func formatCents(c int64) string {
	sign := ""
	if c < 0 {
		sign, c = "-", -c
	}
	return fmt.Sprintf("%s%d.%02d", sign, c/100, c%100)
}

// encode is the event as JSON, with a time that follows from the id too.
func (e event) encode() []byte {
	return fmt.Appendf(nil, `{"id":%d,"time":"2026-01-02T03:%02d:%02d.%03dZ","type":"%s","server":"s%d","payload":{"account":%d,"amount":%s,"pad":"%016x"}}`,
		e.id, e.id/60000%60, e.id/1000%60, e.id%1000, e.kind, e.id%7, e.account, e.amount(), mix(uint64(e.id)+1))
}

// fate is what became of an event.
type fate uint8

const (
	unknown   fate = iota // its transaction's end got no answer
	committed             // must be everywhere, once
	aborted               // must be nowhere
)

func (f fate) String() string { return [...]string{"unknown", "committed", "aborted"}[f] }

// ledger is the harness' own memory of what it produced. No fault touches it.
type ledger struct {
	mu      sync.Mutex
	fates   []fate
	tx      []int32  // of each event
	places  []place  // where it was acknowledged; offset -1: not
	writers []string // producer of each transaction
	aborted int
}

// place is where a record lies.
type place struct {
	partition int32
	offset    int64
}

// begin opens a producer's transaction of n new events and answers the first id.
func (l *ledger) begin(writer string, n int) (first int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first, tx := int64(len(l.fates)), int32(len(l.writers))
	l.writers = append(l.writers, writer)
	for range n {
		l.fates = append(l.fates, unknown)
		l.tx = append(l.tx, tx)
		l.places = append(l.places, place{-1, -1})
	}
	return first
}

// acked notes where a record was stored.
func (l *ledger) acked(id int64, at place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.places[id] = at
}

// end notes a transaction's outcome.
func (l *ledger) end(first int64, n int, f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := first; id < first+int64(n); id++ {
		l.fates[id] = f
	}
	if f == aborted {
		l.aborted += n
	}
}

func (l *ledger) counts() (events, aborted int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.fates), l.aborted
}
