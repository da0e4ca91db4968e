package sinktest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// history is what was asked of a destination, and what it answered. It judges
// the rows that are there.
type history struct {
	delivery sink.Delivery

	mu       sync.Mutex
	attempts []*attempt
}

// attempt is one call of Commit (or a Resume that was asked to finish it).
type attempt struct {
	owner   int
	cut     record.Cut
	outcome outcome
}

type outcome uint8

const (
	unknown outcome = iota // no answer, or none yet
	refused                // nothing was applied, and nothing will be
	done                   // all is visible
)

// begin notes that an owner commits a cut.
func (h *history) begin(owner int, c record.Cut) *attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Ranges, c.Dead = slices.Clone(c.Ranges), slices.Clone(c.Dead)
	a := &attempt{owner: owner, cut: c}
	h.attempts = append(h.attempts, a)
	return a
}

// end notes the answer.
func (h *history) end(a *attempt, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		a.outcome = done
	case sink.IsRefused(err):
		a.outcome = refused
	}
}

// settle notes, from what a claim found, that a cut is in after all.
func (h *history) settle(a *attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a.outcome = done
}

// open are the attempts at a slot whose outcome is not known and that begin at
// its position.
func (h *history) open(position []int64) []*attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []*attempt
	for _, a := range h.attempts {
		if a.outcome == unknown && slices.Equal(firsts(a.cut), position) {
			all = append(all, a)
		}
	}
	return all
}

// applied is the open attempt that a claim has found to be in, nil if there is
// none. Two may differ in their dead sets alone: then Last says which.
func (h *history) applied(position []int64, f sink.Found) (found *attempt) {
	for _, a := range h.open(position) {
		if slices.Equal(f.High, nexts(a.cut)) && (found == nil || a.cut.Equal(f.Last)) {
			found = a
		}
	}
	return found
}

// moved is an attempt that went on from a position, nil if there is none.
func (h *history) moved(position []int64) *attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.attempts {
		if a.outcome == done && h.delivery == sink.Atomic && !a.cut.Empty() && slices.Equal(firsts(a.cut), position) {
			return a
		}
	}
	return nil
}

// last is the attempt that is in and ends at a position, nil if there is none.
func (h *history) last(position []int64) *attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range slices.Backward(h.attempts) {
		if a.outcome == done && slices.Equal(nexts(a.cut), position) {
			return a
		}
	}
	return nil
}

// ending tells what happened to attempts that end at an offset.
func (h *history) ending(partition int32, next int64) string {
	return h.batches(func(c record.Cut) bool {
		i := int(partition - c.Partition)
		return i >= 0 && i < len(c.Ranges) && c.Ranges[i].Next == next && c.Ranges[i].First < next
	})
}

// never notes that a Resume has fenced all attempts at a cut.
func (h *history) never(c record.Cut) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.attempts {
		if a.outcome == unknown && a.cut.Equal(c) {
			a.outcome = refused
		}
	}
}

func firsts(c record.Cut) []int64 {
	all := make([]int64, len(c.Ranges))
	for i, r := range c.Ranges {
		all[i] = r.First
	}
	return all
}

func nexts(c record.Cut) []int64 {
	all := make([]int64, len(c.Ranges))
	for i, r := range c.Ranges {
		all[i] = r.Next
	}
	return all
}

// seen is one row at the destination. Wrong says what is wrong with its values,
// "" for nothing.
type seen struct {
	at
	wrong string
}

// complaint is what is wrong with one record.
type complaint struct {
	at
	text string
}

// maxSentences bounds a report.
const maxSentences = 12

// judge compares the rows at the destination with the history, and says in
// sentences what is wrong.
func (h *history) judge(rows []seen) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	there := make(map[at]int, len(rows))
	var all []complaint
	for _, r := range rows {
		there[r.at]++
		if r.wrong != "" {
			all = append(all, complaint{r.at, r.wrong + h.batchesOf(r.at)})
		}
	}
	best := h.best()
	for a, n := range there {
		if text := h.judgeRow(a, n, best); text != "" {
			all = append(all, complaint{a, text})
		}
	}
	for a, o := range best {
		if o == done && hasRow(a) && there[a] == 0 && !h.dead(a) {
			all = append(all, complaint{a, "is not at the destination, though committed" + h.batchesOf(a)})
		}
	}
	sentences := tell(all)
	if h.delivery == sink.Atomic {
		sentences = append(sentences, h.torn(there, best)...)
	}
	return sentences
}

// judgeRow says what is wrong with a record being there n times.
func (h *history) judgeRow(a at, n int, best map[at]outcome) string {
	o, tried := best[a]
	switch {
	case !tried || !hasRow(a):
		return "is at the destination, and was in no batch" + h.batchesOf(a)
	case h.delivery != sink.AtLeastOnce && h.dead(a):
		return "is at the destination, though it is in the dead set" + h.batchesOf(a)
	case o == refused:
		return "is at the destination, though every commit of it was refused" + h.batchesOf(a)
	case n > 1 && h.delivery != sink.AtLeastOnce:
		times := "twice"
		if n > 2 {
			times = fmt.Sprintf("%d times", n)
		}
		return "is at the destination " + times + h.batchesOf(a)
	}
	return ""
}

// best is the best outcome of every record that was in an attempt.
func (h *history) best() map[at]outcome {
	best := map[at]outcome{}
	for _, t := range h.attempts {
		for i, r := range t.cut.Ranges {
			for o := r.First; o < r.Next; o++ {
				a := at{t.cut.Partition + int32(i), o}
				if old, ok := best[a]; !ok || t.outcome == done || t.outcome == unknown && old == refused {
					best[a] = t.outcome
				}
			}
		}
	}
	return best
}

// dead says whether a record was put aside by the batch that is in.
func (h *history) dead(a at) bool {
	for _, t := range h.attempts {
		if t.outcome == done && t.cut.Has(a.partition, a.offset) {
			return t.cut.IsDead(a.partition, a.offset)
		}
	}
	return false
}

// batchesOf names the attempts that held a record.
func (h *history) batchesOf(a at) string {
	return h.batches(func(c record.Cut) bool { return c.Has(a.partition, a.offset) })
}

// batches names attempts and their outcomes, "" if there are none.
func (h *history) batches(which func(record.Cut) bool) string {
	var all []string
	for _, t := range h.attempts {
		if !which(t.cut) {
			continue
		}
		text := fmt.Sprintf("%s by owner %d", ranges(t.cut), t.owner)
		switch t.outcome {
		case refused:
			text += ", refused"
		case unknown:
			text += ", outcome unknown"
		}
		all = append(all, text)
	}
	switch len(all) {
	case 0:
		return ""
	case 1:
		return " (batch " + all[0] + ")"
	}
	return " (batches " + strings.Join(all, " and ") + ")"
}

// torn are attempts of an Atomic sink of which only a part is in.
func (h *history) torn(there map[at]int, best map[at]outcome) []string {
	var all []string
	for _, t := range h.attempts {
		in, out := 0, 0
		for i, r := range t.cut.Ranges {
			for o := r.First; o < r.Next; o++ {
				a := at{t.cut.Partition + int32(i), o}
				switch {
				case !hasRow(a) || best[a] == done || t.cut.IsDead(a.partition, o):
				case there[a] > 0:
					in++
				default:
					out++
				}
			}
		}
		if in > 0 && out > 0 {
			all = append(all, fmt.Sprintf("%s of owner %d is in part at the destination: %d rows of %d", t.cut, t.owner, in, in+out))
		}
	}
	return all
}

// tell makes sentences of complaints: neighbours with one text are one.
func tell(all []complaint) []string {
	slices.SortFunc(all, func(a, b complaint) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.text, b.text), cmp.Compare(a.offset, b.offset))
	})
	var sentences []string
	for i := 0; i < len(all); {
		k := i + 1
		for k < len(all) && all[k].partition == all[i].partition && all[k].text == all[i].text {
			k++
		}
		which := fmt.Sprintf("offset %d", all[i].offset)
		if k-i > 1 {
			which = fmt.Sprintf("offsets %d to %d (%d records, each)", all[i].offset, all[k-1].offset, k-i)
		}
		sentences = append(sentences, fmt.Sprintf("%s[%d] %s: %s", topic, all[i].partition, which, all[i].text))
		if i = k; len(sentences) == maxSentences && i < len(all) {
			return append(sentences, fmt.Sprintf("and %d more records", len(all)-i))
		}
	}
	return sentences
}
