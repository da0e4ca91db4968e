package lane

import "github.com/sluicekit/sluice/core/sink"

// Step is the commit protocol. Given what a lane knows and what happened it
// says what the lane knows now and what it does next. It is pure: the tests
// explore this very function.
func Step(s State, e Event) (State, []Effect) {
	if s.Phase == Over {
		return s, nil
	}
	switch e.Kind {
	case Ended:
		return over(s)
	case Revoke:
		return revoke(s)
	case Failed:
		return failed(s, e.Failure)
	case LedgerEnded:
		// Somebody else may own the slot now, and the write may still arrive.
		// Only a new membership, which reads the record back, may go on.
		return over(s)
	case LedgerFull:
		return stop(s, TooLong)
	case Halted:
		if e.Reason == Gap && s.SkipGaps && s.Phase == Reading {
			return skip(s, e.Cut.Next)
		}
		return halted(s, e.Reason)
	}
	return answered(s, e)
}

// answered goes on with what a phase has waited for.
func answered(s State, e Event) (State, []Effect) {
	switch {
	case s.Phase == Starting && e.Kind == Loaded:
		return loaded(s, e)
	case s.Phase == Claiming && e.Kind == Claimed:
		return claimed(s, e.Found)
	case s.Phase == Resolving && e.Kind == Resolved:
		s.Position, s.Unsaved = s.Position.Or(e.Position), true
		return read(s)
	case s.Phase == Opening && e.Kind == Saved:
		s.Entered, s.Unsaved, s.OldPlan = true, false, false
		return read(s)
	case s.Phase == Resuming && e.Kind == Resumed:
		return resumed(s, e.Outcome)
	case s.Phase == Reading && e.Kind == Filled:
		return filled(s, e.Cut)
	case s.Phase == Staging && e.Kind == StagedOK:
		return staged(s, e.Token)
	case s.Phase == Storing && e.Kind == Saved:
		s.Stored, s.Token, s.Entered = true, s.Staged, true
		s.Phase = Beating
		return s, []Effect{{Kind: Heartbeat}}
	case s.Phase == Beating && e.Kind == Alive:
		return commit(s)
	case s.Phase == Beating && e.Kind == Silent:
		return failed(s, Failure{Refused: true})
	case s.Phase == Committing && e.Kind == CommittedOK:
		if s.Cut.Letters {
			s.Phase = Lettering
			return s, []Effect{{Kind: Letters, Cut: s.Cut}}
		}
		return settle(s)
	case s.Phase == Lettering && e.Kind == LettersWritten:
		s.Cut.Rows = s.Cut.Rows || e.Cut.Rows
		return settle(s)
	case s.Phase == Waiting && e.Kind == Waited:
		return claim(s)
	case s.Phase == Pausing && e.Kind == Waited:
		s.Phase = Lettering
		return s, []Effect{{Kind: Letters, Cut: s.Cut}}
	}
	return s, nil // an answer that nobody waits for any more
}

func loaded(s State, e Event) (State, []Effect) {
	s.Record = e.Record
	switch e.Record {
	case Replaced:
		if !s.NewTopic || e.Found.Elsewhere {
			return stop(s, OtherIncarnation)
		}
		// The entry counts offsets of records that are gone, and so does what is
		// pending in it: nobody can repeat that. The sink is new to this topic.
		s.Renewed = e.Entry.Exists
		return claim(s)
	case Resized:
		return stop(s, SlotsChanged)
	case Damaged:
		return stop(s, DamagedRecord)
	}
	if e.Entry.Exists {
		s.Entered, s.Wrote, s.Renewed, s.Position = true, e.Entry.Wrote, e.Entry.Renewed, e.Entry.Position
		if e.Entry.Pending && s.Delivery == sink.Replay {
			// Whoever stored this intent may have tried to commit it.
			s.Cut, s.Open, s.Stored, s.Unknown, s.Token = e.Entry.Cut, true, true, true, e.Entry.Token
			s.Cut.First = s.Position
			s.OldPlan = e.Entry.Plan != s.Plan
		}
		if s.Delivery == sink.Atomic {
			s.OldPlan, s.Recent = e.Entry.Plan != s.Plan, true
		}
	}
	return claim(s)
}

func claim(s State) (State, []Effect) {
	s.Phase = Claiming
	return s, []Effect{{Kind: Claim}}
}

func claimed(s State, f Found) (State, []Effect) {
	s.Resumes = f.Resumes
	moved := s.Renewed && !s.Entered // its entry was of another incarnation: it has written nothing in this one
	if f.Other && !s.Renewed {
		if !s.NewTopic || f.Elsewhere {
			return stop(s, OtherIncarnation)
		}
		s.Renewed = true
	}
	switch {
	case s.Delivery == sink.Atomic:
		return claimedAtomic(s, f)
	case s.Delivery == sink.Replay && s.Entered && s.Wrote && f.State == sink.Empty:
		return stop(s, RowsGone)
	case s.Delivery == sink.Replay && !s.Entered && (f.State == sink.NoMark && !moved || f.High.Any()):
		// The ledger does not know this sink, and the destination is not
		// provably new to this slot. Its marks are no start: a half-applied cut
		// has a mark above its holes. That the slot has a record proves nothing:
		// another sink may have made it anew after it was lost.
		return stop(s, LostRecord)
	case !s.Entered && s.Record == Lost:
		return stop(s, LostRecord)
	case !s.Open:
		return read(s)
	case s.Resumes && s.Unknown && s.Token != "":
		s.Phase = Resuming
		return s, []Effect{{Kind: Resume, Cut: s.Cut, Token: s.Token}}
	case s.OldPlan:
		return stop(s, PlanChanged)
	}
	return read(s)
}

// claimedAtomic takes the position from the destination's own row.
func claimedAtomic(s State, f Found) (State, []Effect) {
	switch {
	case !f.High.Any() && s.Wrote:
		return stop(s, RowsGone)
	case !f.High.Any() && s.Record == Lost:
		return stop(s, LostRecord)
	}
	if s.Recent && s.Position.covers(f.Last.Next) {
		// A position comes after the letters. Later the lane's own memory could be
		// of before a restore: only the cut itself counts then.
		s.Acked = f.Last.identity()
	}
	s.Recent = false
	if s.OldPlan || f.High.Below(s.Position) {
		// Before anything is committed under this plan, or on a restored backup,
		// the ledger says so: its position vouches for letters.
		s.Unsaved = true
	}
	s.Wrote = s.Wrote || f.High.Any()
	s.Position = f.High.Or(s.Position)
	s.Judged = s.Judged.From(s.Position)
	if f.Last.Letters && f.Last.identity() != s.Acked {
		if s.OldPlan {
			// Which records were put aside only that plan knows.
			return stop(s, PlanChanged)
		}
		// The transaction is in, and its letters may not be: write them
		// (again), under the same keys.
		s.Cut, s.Open = f.Last, true
		s.Cut.Rows = false
		s.Phase = Lettering
		return s, []Effect{{Kind: Letters, Cut: s.Cut}}
	}
	return read(s)
}

// read starts a new cut, or reads the open one again. Where a start is not
// known yet (a new sink, a partition that is new) it is resolved once, and
// stored before the first record is read.
func read(s State) (State, []Effect) {
	if s.Revoked {
		return over(s)
	}
	if !s.Open && !s.Position.Known() {
		s.Phase = Resolving
		return s, []Effect{{Kind: Resolve}}
	}
	if !s.Open && (!s.Entered || s.Unsaved) {
		s.Phase = Opening
		return s, []Effect{{Kind: Store, Entry: s.entry()}}
	}
	s.Phase = Reading
	if s.Open {
		return s, []Effect{{Kind: Read, Cut: s.Cut, Fixed: true}}
	}
	return s, []Effect{{Kind: Read, Cut: Cut{First: s.Position, Dead: s.Judged}}}
}

func resumed(s State, o sink.Outcome) (State, []Effect) {
	if o == sink.Done {
		if s.OldPlan {
			// Which records were put aside only that plan knows.
			return stop(s, PlanChanged)
		}
		// What the cut's letters are is known only by reading it again.
		s.Cut.Rows, s.Cut.Letters = false, true
		s.Phase = Lettering
		return s, []Effect{{Kind: Letters, Cut: s.Cut}}
	}
	// Nothing was applied and nothing will be: this cut may be made anew, under
	// a new token, with a new plan, even with other bounds.
	// Token stays what the ledger holds, so that the new one is stored first.
	s.Unknown, s.OldPlan = false, false
	return read(s)
}

func filled(s State, c Cut) (State, []Effect) {
	if s.Open {
		s.Cut.Rows, s.Cut.Letters = c.Rows, c.Letters
	} else {
		s.Cut = c
		s.Cut.First = s.Position
		if !c.Rows && !c.Letters && c.Dead == "" && s.Delivery != sink.Atomic {
			// Nothing to write: the position alone moves. A cut with letters
			// needs its intent all the same, so that no other plan delivers
			// what this one has put aside.
			s.Open = true
			return settle(s)
		}
	}
	s.Open = true
	s.Phase = Staging
	return s, []Effect{{Kind: Stage, Cut: s.Cut}}
}

func staged(s State, token string) (State, []Effect) {
	s.Staged = token
	if s.Delivery != sink.Replay {
		return commit(s)
	}
	if s.Stored && (!s.Resumes || token == s.Token) {
		s.Phase = Beating
		return s, []Effect{{Kind: Heartbeat}}
	}
	s.Phase = Storing
	e := s.entry()
	e.Pending, e.Cut, e.Token = true, s.Cut, token
	e.Cut.Rows, e.Cut.Letters = false, false
	return s, []Effect{{Kind: Store, Entry: e}}
}

func commit(s State) (State, []Effect) {
	s.Phase = Committing
	return s, []Effect{{Kind: Commit, Cut: s.Cut, Token: s.Staged}}
}

// settle ends a cut whose rows are visible and whose letters are written.
func settle(s State) (State, []Effect) {
	s.Position = s.Cut.Next.Or(s.Position) // the slot may have grown since
	if s.Delivery == sink.Atomic {
		s.Acked = s.Cut.identity()
	}
	s.Wrote = s.Wrote || s.Cut.Rows
	s.Judged = s.Judged.From(s.Position)
	s = drop(s)
	if !s.Entered { // Atomic, and the ledger has lost its record: read stores it
		return read(s)
	}
	note := Effect{Kind: Note, Entry: s.entry()}
	s, effects := read(s)
	return s, append([]Effect{note}, effects...)
}

// drop forgets the cut under way.
func drop(s State) State {
	s.Cut, s.Open, s.Stored, s.Unknown, s.Token, s.Staged = Cut{}, false, false, false, "", ""
	s.OldPlan = s.OldPlan && s.Delivery == sink.Atomic // there it is the ledger's entry that is old
	return s
}

// failed is the one error path: the writer is dead, claim again.
func failed(s State, f Failure) (State, []Effect) {
	if s.Phase == Stopped || s.Phase == Starting {
		return s, nil
	}
	if s.Phase == Lettering {
		// The rows are in. Only the letters are tried again.
		if s.Revoked {
			return over(s)
		}
		s.Phase = Pausing
		return s, []Effect{{Kind: Wait}}
	}
	refused := f.Refused || f.Rows != ""
	if s.Phase == Committing && !refused {
		s.Unknown = true
	}
	if f.Rows != "" {
		if s.Open && s.Unknown && s.Delivery == sink.Replay {
			return stop(s, Undecidable)
		}
		if !s.Letters {
			return stop(s, BadRecord)
		}
		s.Judged = s.Judged.With(f.Rows)
	}
	switch {
	case s.Delivery != sink.Replay:
		// The destination's row decides (Atomic), or nothing does.
		s = drop(s)
	case s.Open && !s.Stored && !s.Unknown:
		// Never stored, so never committed.
		s = drop(s)
	case s.Open && f.Rows != "":
		// Every attempt was refused: another cut may take its place.
		s = drop(s)
	}
	if s.Revoked {
		return over(s)
	}
	s.Phase = Waiting
	return s, []Effect{{Kind: Close}, {Kind: Wait}}
}

// halted is the reader's word that it cannot go on.
func halted(s State, r Reason) (State, []Effect) {
	if r == BadRecord && s.Open && s.Stored && s.Phase != Lettering {
		// A record of a pending cut fails that did not when it was fixed.
		switch {
		case s.Unknown:
			r = Undecidable
		case s.Phase == Reading:
			// Nothing of the cut was or will be applied: another takes its place,
			// and judges the record anew.
			s = drop(s)
			s.Phase = Waiting
			return s, []Effect{{Kind: Close}, {Kind: Wait}}
		}
	}
	return stop(s, r)
}

// skip moves past records that are gone. past is where the gap ends, and for
// all other partitions where the reading began.
func skip(s State, past Vector) (State, []Effect) {
	if !s.Open && s.Delivery == sink.Atomic {
		// The destination's row is the position: a batch without rows moves it.
		s.Cut, s.Open = Cut{First: s.Position, Next: past}, true
		s.Phase = Staging
		return s, []Effect{{Kind: Stage, Cut: s.Cut}}
	}
	pending := s.Open
	if pending && s.Unknown {
		// It cannot be repeated, and may be at the destination: what is left of
		// it would be doubled. All of it is given up.
		past = past.above(s.Cut.Next)
	}
	s = drop(s)
	s.Position, s.Unsaved = past.Or(s.Position), true
	s.Judged = s.Judged.From(s.Position)
	if !pending {
		return read(s)
	}
	s, effects := claim(s) // what was read of it must not be in the next batch
	return s, append([]Effect{{Kind: Close}}, effects...)
}

func stop(s State, r Reason) (State, []Effect) {
	if s.Revoked {
		return over(s) // the next owner comes to the same end, and stays to say so
	}
	s.Phase, s.Reason = Stopped, r
	return s, []Effect{{Kind: Close}, {Kind: Stop, Reason: r}}
}

// revoke lets a commit that may have started end, and drops everything else.
func revoke(s State) (State, []Effect) {
	s.Revoked = true
	switch s.Phase {
	case Opening, Staging, Storing, Beating, Committing, Lettering:
		return s, nil
	}
	return over(s)
}

func over(s State) (State, []Effect) {
	s.Phase = Over
	return s, []Effect{{Kind: Close}, {Kind: Exit}}
}

// identity is what makes a cut the one that it is: its offsets and dead set.
func (c Cut) identity() Cut {
	return Cut{First: c.First, Next: c.Next, Dead: c.Dead}
}

// entry is what the ledger should say of this sink while nothing is pending.
func (s State) entry() Entry {
	return Entry{Exists: true, Position: s.Position, Wrote: s.Wrote, Renewed: s.Renewed, Plan: s.Plan}
}
