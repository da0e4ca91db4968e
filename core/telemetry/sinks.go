package telemetry

// Sinks adds up the lanes of each sink, connection and stream, in the order of
// the lanes. Marks, which belong to partitions, are left out, as are topic and
// partition; Partitions is how many partitions this member holds. The state is
// the worst of the lanes that are held, with its reason; LastEventTime the
// newest.
func (s Snapshot) Sinks() []LaneSnapshot {
	type key struct{ sink, connection, stream string }
	at := map[key]int{}
	var sinks []LaneSnapshot
	for _, l := range s.Lanes {
		k := key{l.Sink, l.Connection, l.Stream}
		i, ok := at[k]
		if !ok {
			i = len(sinks)
			at[k] = i
			sinks = append(sinks, LaneSnapshot{Sink: l.Sink, Connection: l.Connection, Stream: l.Stream, Since: l.Since})
		}
		sinks[i].add(l)
	}
	return sinks
}

func (s *LaneSnapshot) add(l LaneSnapshot) {
	if l.State > s.State {
		s.State, s.Reason, s.Since = l.State, l.Reason, l.Since
	}
	if l.State != Idle {
		s.Partitions += l.Partitions
		s.HeldBytes += l.HeldBytes
		s.LagRecords += l.LagRecords
		if l.LagSeconds != nil && (s.LagSeconds == nil || *l.LagSeconds > *s.LagSeconds) {
			s.LagSeconds = l.LagSeconds
		}
	}
	s.Read += l.Read
	s.Committed += l.Committed
	s.Filtered += l.Filtered
	s.Dead += l.Dead
	s.Skipped += l.Skipped
	s.Commits += l.Commits
	s.Repeats += l.Repeats
	s.LedgerRefused += l.LedgerRefused
	s.LedgerEnded += l.LedgerEnded
	s.LostAnswers += l.LostAnswers
	s.Stale += l.Stale
	s.Retries += l.Retries
	if l.LastEventTime != nil && (s.LastEventTime == nil || l.LastEventTime.After(*s.LastEventTime)) {
		s.LastEventTime = l.LastEventTime
	}
	if l.NewestRecord != nil && (s.NewestRecord == nil || l.NewestRecord.After(*s.NewestRecord)) {
		s.NewestRecord = l.NewestRecord
	}
	s.CommitTime.Merge(l.CommitTime)
	s.RecordDelay.Merge(l.RecordDelay)
	s.EventDelay.Merge(l.EventDelay)
}

// ready says whether every lane that is held does its work or soon will, and
// lists those that wait for a person.
func (s Snapshot) ready() (ready bool, waiting []LaneSnapshot) {
	for _, l := range s.Lanes {
		if l.State == Blocked || l.State == Stopped {
			waiting = append(waiting, l)
		}
	}
	return len(waiting) == 0, waiting
}
