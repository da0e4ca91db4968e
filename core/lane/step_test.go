package lane_test

import (
	"slices"
	"testing"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// These tests say single transitions of the protocol in plain sequences; that
// they hold in every interleaving is what the explorer shows (explore_*_test.go).

// conversation feeds events to Step and compares what it wants done.
type conversation struct {
	t     *testing.T
	state lane.State
}

func talk(t *testing.T, d sink.Delivery) *conversation {
	return &conversation{t, lane.State{Delivery: d, Plan: [8]byte{1}, Letters: true}}
}

// on gives an event; the kinds of the effects must be these.
func (c *conversation) on(e lane.Event, want ...lane.EffectKind) []lane.Effect {
	c.t.Helper()
	var effects []lane.Effect
	c.state, effects = lane.Step(c.state, e)
	var got []lane.EffectKind
	for _, f := range effects {
		got = append(got, f.Kind)
	}
	if !slices.Equal(got, want) {
		c.t.Fatalf("event %d: effects %v, want %v", e.Kind, got, want)
	}
	return effects
}

func is(kind lane.EventKind) lane.Event { return lane.Event{Kind: kind} }

func at(position int64) lane.Entry {
	return lane.Entry{Exists: true, Position: lane.Vec(position), Plan: [8]byte{1}}
}

func loaded(e lane.Entry) lane.Event {
	return lane.Event{Kind: lane.Loaded, Record: lane.Present, Entry: e}
}

func pending(position, next int64, dead lane.DeadSet, token string) lane.Event {
	e := at(position)
	e.Pending, e.Token = true, token
	e.Cut = lane.Cut{First: e.Position, Next: lane.Vec(next), Dead: dead}
	return loaded(e)
}

func filled(next int64) lane.Event {
	return lane.Event{Kind: lane.Filled, Cut: lane.Cut{Next: lane.Vec(next), Rows: true}}
}

func claimed(resumes bool) lane.Event {
	return lane.Event{Kind: lane.Claimed, Found: lane.Found{High: lane.Vec(-1), Resumes: resumes}}
}

func claimedRow(high int64, last lane.Cut) lane.Event {
	return lane.Event{Kind: lane.Claimed, Found: lane.Found{High: lane.Vec(high), State: sink.Has, Last: last}}
}

func refused(offset int64) lane.Event {
	rows := lane.Deads(record.Dead{Offset: offset})
	return lane.Event{Kind: lane.Failed, Failure: lane.Failure{Refused: true, Rows: rows}}
}

// committing brings a Replay lane to its commit of [0,2).
func (c *conversation) committing() {
	c.t.Helper()
	c.on(loaded(at(0)), lane.Claim)
	c.on(claimed(false), lane.Read)
	c.on(filled(2), lane.Stage)
	c.on(is(lane.StagedOK), lane.Store)
	c.on(is(lane.Saved), lane.Heartbeat)
	c.on(is(lane.Alive), lane.Commit)
}

// stopped demands the reason of a stop.
func (c *conversation) stopped(want lane.Reason) {
	c.t.Helper()
	if c.state.Phase != lane.Stopped || c.state.Reason != want {
		c.t.Fatalf("phase %d, reason %q; want a stop for %q", c.state.Phase, c.state.Reason, want)
	}
}

func TestIntentComesBeforeCommit(t *testing.T) { // I2, I1, I5
	c := talk(t, sink.Replay)
	c.on(loaded(at(5)), lane.Claim)
	c.on(claimed(false), lane.Read)
	c.on(filled(7), lane.Stage)
	store := c.on(lane.Event{Kind: lane.StagedOK, Token: "a"}, lane.Store)[0].Entry
	if !store.Pending || store.Position != lane.Vec(5) || store.Cut.Next != lane.Vec(7) || store.Token != "a" {
		t.Errorf("intent %+v", store)
	}
	c.on(is(lane.Saved), lane.Heartbeat)
	c.on(is(lane.Alive), lane.Commit)
	effects := c.on(is(lane.CommittedOK), lane.Note, lane.Read)
	if e := effects[0].Entry; e.Position != lane.Vec(7) || e.Pending || !e.Wrote {
		t.Errorf("noted %+v, want position 7 and rows written", e)
	}
	if effects[1].Cut.First != lane.Vec(7) {
		t.Errorf("the next cut begins at %s, want 7", effects[1].Cut.First)
	}
}

func TestStartIsStoredBeforeTheFirstRead(t *testing.T) {
	c := talk(t, sink.Replay)
	c.on(lane.Event{Kind: lane.Loaded, Record: lane.Fresh}, lane.Claim)
	c.on(claimed(false), lane.Resolve)
	c.on(lane.Event{Kind: lane.Resolved, Position: lane.Vec(40)}, lane.Store)
	if f := c.on(is(lane.Saved), lane.Read)[0]; f.Cut.First != lane.Vec(40) || f.Fixed {
		t.Errorf("reads %+v, want from 40", f)
	}
}

func TestUnknownCommitIsRepeatedAsItWas(t *testing.T) { // I3
	c := talk(t, sink.Replay)
	c.committing()
	c.on(is(lane.Failed), lane.Close, lane.Wait)
	c.on(is(lane.Waited), lane.Claim)
	f := c.on(claimed(false), lane.Read)[0]
	if !f.Fixed || f.Cut.First != lane.Vec(0) || f.Cut.Next != lane.Vec(2) {
		t.Fatalf("reads %+v, want [0,2) again", f)
	}
	c.on(filled(2), lane.Stage)
	// The ledger has the intent: no new one, but a heartbeat.
	c.on(is(lane.StagedOK), lane.Heartbeat)
}

func TestLoadedIntentKeepsItsDeadSet(t *testing.T) { // I3, I4
	dead := lane.Deads(record.Dead{Offset: 1})
	c := talk(t, sink.Replay)
	c.on(pending(0, 2, dead, ""), lane.Claim)
	f := c.on(claimed(false), lane.Read)[0]
	if !f.Fixed || f.Cut.Dead != dead {
		t.Errorf("reads %+v, want the dead set of the intent", f)
	}
}

func TestRefusedRow(t *testing.T) {
	t.Run("on a refused cut: another takes its place", func(t *testing.T) {
		c := talk(t, sink.Replay)
		c.committing()
		c.on(refused(1), lane.Close, lane.Wait)
		c.on(is(lane.Waited), lane.Claim)
		f := c.on(claimed(false), lane.Read)[0]
		if f.Fixed || f.Cut.Dead != lane.Deads(record.Dead{Offset: 1}) {
			t.Errorf("reads %+v, want a new cut without record 1", f)
		}
	})
	t.Run("after an unknown attempt: undecidable", func(t *testing.T) { // I3
		c := talk(t, sink.Replay)
		c.committing()
		c.on(is(lane.Failed), lane.Close, lane.Wait)
		c.on(is(lane.Waited), lane.Claim)
		c.on(claimed(false), lane.Read)
		c.on(refused(1), lane.Close, lane.Stop)
		c.stopped(lane.Undecidable)
	})
	t.Run("on a loaded intent: undecidable", func(t *testing.T) {
		c := talk(t, sink.Replay)
		c.on(pending(0, 2, "", ""), lane.Claim)
		c.on(claimed(false), lane.Read)
		c.on(refused(0), lane.Close, lane.Stop)
		c.stopped(lane.Undecidable)
	})
	t.Run("under on_bad_record stop", func(t *testing.T) {
		c := talk(t, sink.Replay)
		c.state.Letters = false
		c.committing()
		c.on(refused(1), lane.Close, lane.Stop)
		c.stopped(lane.BadRecord)
	})
}

func TestBadRecordOnAPendingCut(t *testing.T) {
	bad := lane.Event{Kind: lane.Halted, Reason: lane.BadRecord}
	t.Run("that may have been committed", func(t *testing.T) {
		c := talk(t, sink.Replay)
		c.on(pending(0, 2, "", ""), lane.Claim)
		c.on(claimed(false), lane.Read)
		c.on(bad, lane.Close, lane.Stop)
		c.stopped(lane.Undecidable)
	})
	t.Run("that was refused", func(t *testing.T) {
		c := talk(t, sink.Replay)
		c.committing()
		c.on(lane.Event{Kind: lane.Failed, Failure: lane.Failure{Refused: true}}, lane.Close, lane.Wait)
		c.on(is(lane.Waited), lane.Claim)
		c.on(claimed(false), lane.Read)
		c.on(bad, lane.Close, lane.Wait)
		c.on(is(lane.Waited), lane.Claim)
		if f := c.on(claimed(false), lane.Read)[0]; f.Fixed {
			t.Error("the cut is repeated, and need not be")
		}
	})
}

func TestUnansweredLedgerWriteEndsTheLane(t *testing.T) { // I10
	c := talk(t, sink.Replay)
	c.on(loaded(at(0)), lane.Claim)
	c.on(claimed(false), lane.Read)
	c.on(filled(2), lane.Stage)
	c.on(is(lane.StagedOK), lane.Store)
	c.on(is(lane.LedgerEnded), lane.Close, lane.Exit)
	c.on(is(lane.Saved)) // too late
}

func TestLettersComeBeforeThePosition(t *testing.T) { // I5, I6
	c := talk(t, sink.Replay)
	c.on(loaded(at(0)), lane.Claim)
	c.on(claimed(false), lane.Read)
	c.on(lane.Event{Kind: lane.Filled, Cut: lane.Cut{Next: lane.Vec(2), Rows: true, Letters: true}}, lane.Stage)
	c.on(is(lane.StagedOK), lane.Store)
	c.on(is(lane.Saved), lane.Heartbeat)
	c.on(is(lane.Alive), lane.Commit)
	c.on(is(lane.CommittedOK), lane.Letters)
	c.on(is(lane.Failed), lane.Wait)
	c.on(is(lane.Waited), lane.Letters)
	c.on(is(lane.LettersWritten), lane.Note, lane.Read)
}

func TestFilteredCutMovesThePositionAlone(t *testing.T) { // I6
	c := talk(t, sink.Replay)
	c.on(loaded(at(0)), lane.Claim)
	c.on(claimed(false), lane.Read)
	c.on(lane.Event{Kind: lane.Filled, Cut: lane.Cut{Next: lane.Vec(9)}}, lane.Note, lane.Read)
	// With letters it needs an intent: another plan must not deliver them.
	c.on(lane.Event{Kind: lane.Filled, Cut: lane.Cut{Next: lane.Vec(12), Letters: true}}, lane.Stage)
	c.on(is(lane.StagedOK), lane.Store)
}

func TestResume(t *testing.T) {
	t.Run("done", func(t *testing.T) {
		c := talk(t, sink.Replay)
		c.on(pending(0, 2, "", "a"), lane.Claim)
		if f := c.on(claimed(true), lane.Resume)[0]; f.Token != "a" || f.Cut.Next != lane.Vec(2) {
			t.Fatalf("resumes %+v", f)
		}
		c.on(lane.Event{Kind: lane.Resumed, Outcome: sink.Done}, lane.Letters)
		e := c.on(lane.Event{Kind: lane.LettersWritten, Cut: lane.Cut{Rows: true}}, lane.Note, lane.Read)[0].Entry
		if e.Position != lane.Vec(2) || !e.Wrote {
			t.Errorf("noted %+v", e)
		}
	})
	t.Run("never: the new token is stored before it is committed", func(t *testing.T) { // I2
		c := talk(t, sink.Replay)
		c.on(pending(0, 2, "", "a"), lane.Claim)
		c.on(claimed(true), lane.Resume)
		if f := c.on(lane.Event{Kind: lane.Resumed, Outcome: sink.Never}, lane.Read)[0]; !f.Fixed {
			t.Error("reads a new cut")
		}
		c.on(filled(2), lane.Stage)
		if e := c.on(lane.Event{Kind: lane.StagedOK, Token: "b"}, lane.Store)[0].Entry; e.Token != "b" {
			t.Errorf("stores %+v", e)
		}
		c.on(is(lane.Saved), lane.Heartbeat)
		c.on(is(lane.Alive), lane.Commit)
		c.on(is(lane.Failed), lane.Close, lane.Wait)
		c.on(is(lane.Waited), lane.Claim)
		if f := c.on(claimed(true), lane.Resume)[0]; f.Token != "b" {
			t.Errorf("resumes %q, want b", f.Token)
		}
	})
	t.Run("undecided: resume again, never append", func(t *testing.T) {
		c := talk(t, sink.Replay)
		c.on(pending(0, 2, "", "a"), lane.Claim)
		c.on(claimed(true), lane.Resume)
		c.on(is(lane.Failed), lane.Close, lane.Wait)
		c.on(is(lane.Waited), lane.Claim)
		c.on(claimed(true), lane.Resume)
	})
	for outcome, reason := range map[sink.Outcome]lane.Reason{sink.Done: lane.PlanChanged, sink.Never: lane.NoReason} {
		c := talk(t, sink.Replay)
		c.state.Plan = [8]byte{2}
		c.on(pending(0, 2, "", "a"), lane.Claim)
		c.on(claimed(true), lane.Resume)
		c.state, _ = lane.Step(c.state, lane.Event{Kind: lane.Resumed, Outcome: outcome})
		if c.state.Reason != reason {
			t.Errorf("outcome %d under another plan: %q, want %q", outcome, c.state.Reason, reason)
		}
	}
}

func TestStops(t *testing.T) {
	found := func(s sink.State, high int64) lane.Event {
		return lane.Event{Kind: lane.Claimed, Found: lane.Found{High: lane.Vec(high), State: s}}
	}
	wrote := at(3)
	wrote.Wrote = true
	for name, c := range map[string]struct {
		load  lane.Event
		claim lane.Event // none: it stops before
		want  lane.Reason
	}{
		"another incarnation's record": {lane.Event{Kind: lane.Loaded, Record: lane.Replaced}, lane.Event{}, lane.OtherIncarnation},
		"a damaged record":             {lane.Event{Kind: lane.Loaded, Record: lane.Damaged}, lane.Event{}, lane.DamagedRecord},
		"other slots":                  {lane.Event{Kind: lane.Loaded, Record: lane.Resized}, lane.Event{}, lane.SlotsChanged},
		"lost, and empty":              {lane.Event{Kind: lane.Loaded, Record: lane.Lost}, found(sink.Empty, -1), lane.LostRecord},
		"fresh, and rows":              {lane.Event{Kind: lane.Loaded, Record: lane.Fresh}, found(sink.Has, 4), lane.LostRecord},
		"an entry, and no rows":        {loaded(wrote), found(sink.Empty, -1), lane.RowsGone},
		"another incarnation's rows": {lane.Event{Kind: lane.Loaded, Record: lane.Fresh},
			lane.Event{Kind: lane.Claimed, Found: lane.Found{High: lane.Vec(-1), Other: true}}, lane.OtherIncarnation},
	} {
		t.Run(name, func(t *testing.T) {
			l := talk(t, sink.Replay)
			if c.claim == (lane.Event{}) {
				l.on(c.load, lane.Close, lane.Stop)
			} else {
				l.on(c.load, lane.Claim)
				l.on(c.claim, lane.Close, lane.Stop)
			}
			l.stopped(c.want)
		})
	}
}

func TestRebalanceLetsACommitEnd(t *testing.T) { // I9
	c := talk(t, sink.Replay)
	c.committing()
	c.on(is(lane.Revoke))
	c.on(is(lane.CommittedOK), lane.Note, lane.Close, lane.Exit)

	c = talk(t, sink.Replay)
	c.on(loaded(at(0)), lane.Claim)
	c.on(claimed(false), lane.Read)
	c.on(is(lane.Revoke), lane.Close, lane.Exit)
}

func TestStopInARebalanceEndsTheLane(t *testing.T) { // I9
	c := talk(t, sink.Replay)
	c.on(loaded(at(0)), lane.Claim)
	c.on(claimed(false), lane.Read)
	c.on(filled(2), lane.Stage)
	c.on(is(lane.StagedOK), lane.Store)
	c.on(is(lane.Revoke))
	c.on(is(lane.LedgerFull), lane.Close, lane.Exit)
}

func TestAtomicGoesOnFromTheRow(t *testing.T) {
	c := talk(t, sink.Atomic)
	c.on(loaded(at(0)), lane.Claim)
	c.on(claimedRow(4, lane.Cut{}), lane.Read)
	c.on(filled(6), lane.Stage)
	c.on(is(lane.StagedOK), lane.Commit) // no intent, no heartbeat
	c.on(is(lane.Failed), lane.Close, lane.Wait)
	c.on(is(lane.Waited), lane.Claim) // never again without a look at the row
	last := lane.Cut{First: lane.Vec(4), Next: lane.Vec(6), Letters: true}
	c.on(claimedRow(6, last), lane.Letters) // it was in
	if f := c.on(is(lane.LettersWritten), lane.Note, lane.Read)[1]; f.Cut.First != lane.Vec(6) {
		t.Errorf("reads from %s, want 6", f.Cut.First)
	}
}

func TestAtomicRestoredBackupIsStoredFirst(t *testing.T) {
	c := talk(t, sink.Atomic)
	c.on(loaded(at(9)), lane.Claim)
	if e := c.on(claimedRow(4, lane.Cut{}), lane.Store)[0].Entry; e.Position != lane.Vec(4) {
		t.Errorf("stores %+v, want position 4", e)
	}
	c.on(is(lane.Saved), lane.Read)
}

func TestAtomicLettersOfAnotherPlan(t *testing.T) {
	last := lane.Cut{First: lane.Vec(0), Next: lane.Vec(4), Letters: true}
	for position, want := range map[int64]lane.EffectKind{0: lane.Stop, 4: lane.Store} {
		c := talk(t, sink.Atomic)
		c.state.Plan = [8]byte{2}
		c.on(loaded(at(position)), lane.Claim)
		_, effects := lane.Step(c.state, claimedRow(4, last))
		if got := effects[len(effects)-1].Kind; got != want {
			t.Errorf("ledger at %d: effect %d, want %d", position, got, want)
		}
	}
}

func TestGrownSlot(t *testing.T) {
	e := lane.Entry{Exists: true, Position: lane.Vec(7, -1), Plan: [8]byte{1}}
	c := talk(t, sink.Replay)
	c.on(loaded(e), lane.Claim)
	c.on(claimed(false), lane.Resolve)
	stored := c.on(lane.Event{Kind: lane.Resolved, Position: lane.Vec(3, 0)}, lane.Store)[0].Entry
	if stored.Position != lane.Vec(7, 0) {
		t.Errorf("stores %s, want 7,0", stored.Position)
	}
}

// on_gap: skip_and_record moves the position past what is gone, and stores it
// before the next record is read.
func TestGapIsSkipped(t *testing.T) { // I5, I6
	c := talk(t, sink.Replay)
	c.state.SkipGaps = true
	c.on(loaded(at(5)), lane.Claim)
	c.on(is(lane.Claimed), lane.Read)
	gap := lane.Event{Kind: lane.Halted, Reason: lane.Gap, Cut: lane.Cut{Next: lane.Vec(9)}}
	effects := c.on(gap, lane.Store)
	if e := effects[0].Entry; e.Position != lane.Vec(9) || e.Pending {
		t.Errorf("stores %+v, want position 9", e)
	}
	if f := c.on(is(lane.Saved), lane.Read)[0]; f.Cut.First != lane.Vec(9) {
		t.Errorf("reads from %s, want 9", f.Cut.First)
	}
	// A destination that keeps the position moves it in a transaction.
	c = talk(t, sink.Atomic)
	c.state.SkipGaps = true
	c.on(loaded(at(5)), lane.Claim)
	c.on(lane.Event{Kind: lane.Claimed, Found: lane.Found{High: lane.Vec(5)}}, lane.Read)
	c.on(gap, lane.Stage)
	if f := c.on(is(lane.StagedOK), lane.Commit)[0]; f.Cut.First != lane.Vec(5) || f.Cut.Next != lane.Vec(9) || f.Cut.Rows {
		t.Errorf("commits %+v, want [5,9) without rows", f.Cut)
	}
}

// A pending batch whose records are gone in part is given up whole, unless
// nothing of it was applied.
func TestGapInAPendingBatch(t *testing.T) { // I3
	c := talk(t, sink.Replay)
	c.state.SkipGaps = true
	c.on(pending(5, 20, "", ""), lane.Claim)
	c.on(is(lane.Claimed), lane.Read)
	c.on(lane.Event{Kind: lane.Halted, Reason: lane.Gap, Cut: lane.Cut{Next: lane.Vec(9)}}, lane.Close, lane.Claim)
	if e := c.on(is(lane.Claimed), lane.Store)[0].Entry; e.Position != lane.Vec(20) || e.Pending {
		t.Errorf("stores %+v, want position 20 and nothing pending", e)
	}
}

// on_topic_reset: new_incarnation is about topics: another cluster may hold the
// same events, and to begin anew there would double them.
func TestANewTopicIsNotAnotherCluster(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		c := talk(t, sink.Replay)
		c.state.NewTopic = true
		e := lane.Event{Kind: lane.Loaded, Record: lane.Replaced, Entry: at(5), Found: lane.Found{Elsewhere: elsewhere}}
		if elsewhere {
			c.on(e, lane.Close, lane.Stop)
		} else {
			c.on(e, lane.Claim)
			c.on(lane.Event{Kind: lane.Claimed, Found: lane.Found{Other: true}}, lane.Resolve)
		}
		c = talk(t, sink.Replay)
		c.state.NewTopic = true
		c.on(lane.Event{Kind: lane.Loaded, Record: lane.Fresh}, lane.Claim)
		e = lane.Event{Kind: lane.Claimed, Found: lane.Found{Other: true, Elsewhere: elsewhere}}
		if elsewhere {
			c.on(e, lane.Close, lane.Stop)
		} else {
			c.on(e, lane.Resolve)
		}
	}
}
