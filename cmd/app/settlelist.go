package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/settle"
	"github.com/sluicekit/sluice/core/sink"
)

// settleReport is what settle --json prints of one stream.
type settleReport struct {
	Stream  string         `json:"stream"`
	Group   string         `json:"group"`
	Members []memberReport `json:"members"`
	Slots   []slotReport   `json:"slots"`
}

type memberReport struct {
	ID       string `json:"id"`
	Instance string `json:"instance,omitempty"`
	Client   string `json:"client"`
	Host     string `json:"host"`
}

type slotReport struct {
	Topic       string        `json:"topic"`
	Incarnation string        `json:"incarnation"` // of the topic now
	Slot        int32         `json:"slot"`
	Partition   int32         `json:"partition"` // the first
	Partitions  int32         `json:"partitions"`
	Record      string        `json:"record"` // present, missing or damaged
	Problem     string        `json:"problem,omitempty"`
	LogStart    []int64       `json:"log_start"`
	LogEnd      []int64       `json:"log_end"`
	Entries     []entryReport `json:"entries"`
}

type entryReport struct {
	Sink        string         `json:"sink"` // sink@connection, or the id of one that is not configured
	Configured  bool           `json:"configured"`
	Entry       bool           `json:"entry"` // false: it has none in this slot
	Incarnation string         `json:"incarnation,omitempty"`
	Position    []int64        `json:"position,omitempty"` // -1: none yet
	Wrote       bool           `json:"wrote"`
	Pending     *pendingReport `json:"pending,omitempty"`
	Destination *foundReport   `json:"destination,omitempty"` // absent: not asked
	Remark      string         `json:"remark,omitempty"`
}

type pendingReport struct {
	Next       []int64    `json:"next"` // from position up to here
	Dead       int        `json:"dead"`
	Token      string     `json:"token,omitempty"`
	Since      *time.Time `json:"since,omitempty"`
	AgeSeconds float64    `json:"age_seconds,omitempty"`
}

type foundReport struct {
	Error            string  `json:"error,omitempty"`
	State            string  `json:"state,omitempty"` // empty, has, no_marks
	Position         []int64 `json:"position,omitempty"`
	LastBatch        string  `json:"last_batch,omitempty"`
	OtherIncarnation string  `json:"other_incarnation,omitempty"`
}

// list prints what the groups hold.
func (s *settler) list(ctx context.Context, views []view) error {
	reports := []settleReport{}
	for _, v := range views {
		if len(v.Members) == 0 {
			v.Look(ctx)
		}
		reports = append(reports, reportOf(v))
	}
	if s.json {
		return writeJSON(s.stdout, reports)
	}
	for i, r := range reports {
		if i > 0 {
			fmt.Fprintln(s.stdout)
		}
		s.print(r)
	}
	return nil
}

func reportOf(v view) settleReport {
	r := settleReport{Stream: v.stream.Name, Group: groupOf(v.stream), Members: []memberReport{}, Slots: []slotReport{}}
	for _, m := range v.Members {
		r.Members = append(r.Members, memberReport{m.ID, m.Instance, m.Client, m.Host})
	}
	for _, s := range v.Slots() {
		l := slotReport{Topic: s.Topic.Name, Incarnation: s.Topic.Incarnation, Slot: s.At.Slot.Index, Partition: s.At.First, Partitions: s.At.Partitions,
			Problem: s.State.Message, LogStart: s.Start, LogEnd: s.End, Entries: []entryReport{}}
		l.Record = map[ledger.Presence]string{ledger.Missing: "missing", ledger.Partly: "damaged", ledger.Present: "present"}[s.State.Presence]
		for i := range s.Entries {
			l.Entries = append(l.Entries, entryOf(v, s, &s.Entries[i]))
		}
		for _, k := range v.Sinks() {
			if s.Entry(ledger.SinkID(k.ID)) == nil {
				l.Entries = append(l.Entries, entryReport{Sink: k.ID, Configured: true, Destination: foundOf(s, k.ID), Remark: "no entry"})
			}
		}
		// Entries are in the order of ids, which nobody can make out.
		slices.SortFunc(l.Entries, func(a, b entryReport) int { return strings.Compare(a.Sink, b.Sink) })
		r.Slots = append(r.Slots, l)
	}
	return r
}

func entryOf(v view, s *settle.Slot, e *ledger.Entry) entryReport {
	name, configured := v.Name(e.Sink)
	r := entryReport{Sink: name, Configured: configured, Entry: true, Incarnation: e.Incarnation, Position: e.Position, Wrote: e.Wrote, Destination: foundOf(s, name)}
	if p := e.Pending; p != nil {
		r.Pending = &pendingReport{Next: p.Next, Dead: len(p.Dead), Token: p.Token}
		if !p.Since.IsZero() {
			r.Pending.Since, r.Pending.AgeSeconds = &p.Since, time.Since(p.Since).Seconds()
		}
	}
	var remarks []string
	if !configured {
		remarks = append(remarks, "not configured")
	}
	if !s.Of(e) {
		remarks = append(remarks, "other incarnation")
	}
	for i, at := range e.Position {
		switch {
		case !s.Of(e) || at < 0:
		case at < s.Start[i]:
			remarks = append(remarks, fmt.Sprintf("gap [%d,%d)", at, s.Start[i]))
		case at > s.End[i]:
			remarks = append(remarks, fmt.Sprintf("the topic ends at %d", s.End[i]))
		}
	}
	if f := r.Destination; f != nil && f.Error == "" && e.Wrote && f.State == "empty" {
		remarks = append(remarks, "rows gone")
	}
	r.Remark = strings.Join(remarks, ", ")
	return r
}

func foundOf(s *settle.Slot, id string) *foundReport {
	f, asked := s.Found[id]
	switch {
	case !asked:
		return nil
	case f.Err != nil:
		return &foundReport{Error: f.Err.Error()}
	}
	r := &foundReport{State: map[sink.State]string{sink.Empty: "empty", sink.Has: "has", sink.NoMark: "no_marks"}[f.State], Position: f.High, OtherIncarnation: f.OtherIncarnation}
	if len(f.Last.Ranges) > 0 {
		r.LastBatch = f.Last.String()
	}
	return r
}

func (s *settler) print(r settleReport) {
	fmt.Fprintf(s.stdout, "stream %s, group %s: ", r.Stream, r.Group)
	if len(r.Members) == 0 {
		fmt.Fprintln(s.stdout, "nobody is in it")
	} else {
		fmt.Fprintf(s.stdout, "%s in it, so the destinations are not asked\n", count(len(r.Members), "member"))
		for _, m := range r.Members {
			fmt.Fprintf(s.stdout, "  %s at %s\n", m.ID, strings.TrimPrefix(m.Host, "/"))
		}
	}
	var t table
	t.row("SLOT", "TOPIC HAS", "SINK", "POSITION", "PENDING", "DESTINATION", "REMARK")
	for _, l := range r.Slots {
		slot := fmt.Sprintf("%s[%d]", l.Topic, l.Partition)
		if l.Partitions > 1 {
			slot = fmt.Sprintf("%s[%d-%d]", l.Topic, l.Partition, l.Partition+l.Partitions-1)
		}
		remark := ""
		if l.Record != "present" {
			remark = strings.TrimSuffix("record "+l.Record+": "+l.Problem, ": ")
		}
		for _, e := range l.Entries {
			t.row(slot, spans(l.LogStart, l.LogEnd), e.Sink, or(numbers(e.Position), "-"), e.pending(), e.destination(), strings.Trim(e.Remark+", "+remark, ", "))
		}
		if len(l.Entries) == 0 {
			t.row(slot, spans(l.LogStart, l.LogEnd), "-", "-", "-", "-", remark)
		}
	}
	t.write(s.stdout)
}

func (e entryReport) pending() string {
	if e.Pending == nil {
		return "-"
	}
	text := spans(e.Position[:len(e.Pending.Next)], e.Pending.Next)
	if e.Pending.Since != nil {
		text += " for " + config.FormatDuration(time.Duration(e.Pending.AgeSeconds)*time.Second)
	}
	return text
}

func (e entryReport) destination() string {
	f := e.Destination
	switch {
	case f == nil:
		return "not asked"
	case f.Error != "":
		return "not known: " + f.Error
	case f.OtherIncarnation != "":
		return numbers(f.Position) + ", and another incarnation"
	case f.State != "has":
		return strings.ReplaceAll(f.State, "_", " ")
	}
	return numbers(f.Position)
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func numbers(list []int64) string {
	var out []string
	for _, o := range list {
		if o < 0 {
			out = append(out, "none")
			continue
		}
		out = append(out, strconv.FormatInt(o, 10))
	}
	return strings.Join(out, ",")
}

func spans(first, next []int64) string {
	var out []string
	for i := range next {
		out = append(out, fmt.Sprintf("[%d,%d)", first[i], next[i]))
	}
	return strings.Join(out, " ")
}
