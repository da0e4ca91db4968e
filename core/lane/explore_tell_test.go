//go:build !race

package lane_test

import (
	"fmt"
	"strings"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/sink"
)

// tell says what an event made a lane do, while a counterexample is told.
func (x *explorer) tell(w *world, m, k int, e lane.Event, effects []lane.Effect) {
	if x.say == nil {
		return
	}
	who := "member"
	if len(x.sinks) > 1 {
		who += fmt.Sprintf(" sink %d", k+1)
	}
	var does []string
	for _, f := range effects {
		if f.Kind != lane.Close {
			does = append(does, effectText(f))
		}
	}
	if len(does) == 0 {
		does = []string{"goes on"}
	}
	x.say(m, fmt.Sprintf("%s %s → %s", who, eventText(e), strings.Join(does, ", ")))
}

func eventText(e lane.Event) string {
	switch e.Kind {
	case lane.Loaded:
		if !e.Entry.Exists {
			return "finds no entry"
		}
		return "loads " + entryText(e.Entry)
	case lane.Claimed:
		return "claimed"
	case lane.Resolved:
		return "resolved " + e.Position.String()
	case lane.Saved:
		return "is answered: stored"
	case lane.LedgerEnded:
		return "has no ledger any more"
	case lane.LedgerFull:
		return "is told that the record is full"
	case lane.Resumed:
		if e.Outcome == sink.Done {
			return "is told: done"
		}
		return "is told: never"
	case lane.Filled:
		return "has read " + cutText(e.Cut)
	case lane.Halted:
		return "cannot read: " + e.Reason.String()
	case lane.StagedOK:
		return "has staged" + tokenText(e.Token)
	case lane.Alive:
		return "is alive"
	case lane.Silent:
		return "has no answer to its heartbeat"
	case lane.CommittedOK:
		return "has committed"
	case lane.LettersWritten:
		return "has written letters"
	case lane.Failed:
		if n := e.Failure.Rows.List(); len(n) > 0 {
			return fmt.Sprintf("is refused record %d", n[0].Offset)
		}
		if e.Failure.Refused {
			return "is refused"
		}
		return "gets an error"
	case lane.Waited:
		return "has waited"
	case lane.Revoke:
		return "hears of a rebalance"
	}
	return "is over"
}

func effectText(f lane.Effect) string {
	switch f.Kind {
	case lane.Note:
		return "notes " + entryText(f.Entry)
	case lane.Claim:
		return "claims"
	case lane.Resolve:
		return "resolves its start"
	case lane.Store:
		return "stores " + entryText(f.Entry)
	case lane.Resume:
		return "resumes " + cutText(f.Cut) + tokenText(f.Token)
	case lane.Read:
		if f.Fixed {
			return "reads again " + cutText(f.Cut)
		}
		return "reads from " + f.Cut.First.String()
	case lane.Stage:
		return "stages " + cutText(f.Cut)
	case lane.Heartbeat:
		return "sends a heartbeat"
	case lane.Commit:
		return "commits " + cutText(f.Cut) + tokenText(f.Token)
	case lane.Letters:
		return "writes the letters of " + cutText(f.Cut)
	case lane.Wait:
		return "waits"
	case lane.Stop:
		return "stops: " + f.Reason.String()
	}
	return "is over"
}

func tokenText(token string) string {
	if token == "" {
		return ""
	}
	return " under " + token
}

func cutText(c lane.Cut) string {
	var b strings.Builder
	for p := range c.Next.Len() {
		fmt.Fprintf(&b, "[%d,%d)", c.First.At(p), c.Next.At(p))
	}
	for _, d := range c.Dead.List() {
		fmt.Fprintf(&b, " dead %d", d.Offset)
	}
	return b.String()
}

func entryText(e lane.Entry) string {
	if !e.Pending {
		return "position " + e.Position.String()
	}
	c := e.Cut
	c.First = e.Position
	return "intent " + cutText(c) + tokenText(e.Token)
}
