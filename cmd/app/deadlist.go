package app

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/deadletter"
)

// deadReport is what dead list --json prints.
type deadReport struct {
	Streams []deadStream `json:"streams"`
	Groups  []deadGroup  `json:"groups"`
}

// deadStream is one place of dead letters.
type deadStream struct {
	Stream     string `json:"stream"`
	At         string `json:"at"`
	Repeats    int    `json:"repeats"`    // letters that were there again, and count once
	Unreadable int    `json:"unreadable"` // what is there and is no letter
}

// deadGroup is the letters of one sink with one kind of reason.
type deadGroup struct {
	Stream  string    `json:"stream"`
	Sink    string    `json:"sink"`
	Reason  string    `json:"reason"`
	Letters int64     `json:"letters"`
	First   deadPlace `json:"first"`
	Last    deadPlace `json:"last"`
}

type deadPlace struct {
	Written   time.Time `json:"written"`
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
}

// place is how dead names a record, and takes it.
func place(topic string, partition int32, offset int64) string {
	return fmt.Sprintf("%s/%d/%d", topic, partition, offset)
}

func (p deadPlace) String() string { return place(p.Topic, p.Partition, p.Offset) }

func (d *deadFlags) list(ctx context.Context, c *call, streams []*config.Stream) error {
	report := deadReport{Streams: []deadStream{}, Groups: []deadGroup{}}
	for _, s := range streams {
		var sum deadletter.Summary
		where, r, err := d.each(ctx, s, func(f deadletter.Found) error {
			sum.Add(&f)
			return nil
		})
		if err != nil {
			return fmt.Errorf("stream %s: %w", s.Name, err)
		}
		report.Streams = append(report.Streams, deadStream{s.Name, where, r.Repeats, r.Unreadable})
		for _, g := range sum.Groups() {
			report.Groups = append(report.Groups, deadGroup{s.Name, g.Sink, g.Reason, g.Letters, deadPlace(g.First), deadPlace(g.Last)})
		}
	}
	more := 0
	if d.limit > 0 && len(report.Groups) > d.limit {
		more = len(report.Groups) - d.limit
		report.Groups = report.Groups[:d.limit]
	}
	if d.asJSON {
		return writeVisibleJSON(c.stdout, report)
	}
	return report.print(c, more)
}

func (r *deadReport) print(c *call, more int) error {
	var t table
	t.row("STREAM", "SINK", "LETTERS", "FIRST", "", "LAST", "", "REASON")
	var total int64
	for _, g := range r.Groups {
		total += g.Letters
		t.row(g.Stream, printable(g.Sink), strconv.FormatInt(g.Letters, 10), shortTime(g.First.Written), printable(g.First.String()),
			shortTime(g.Last.Written), printable(g.Last.String()), printable(g.Reason))
	}
	if len(r.Groups) > 0 {
		t.write(c.stdout)
	}
	if more > 0 {
		fmt.Fprintf(c.stdout, "and %s more; --limit 0 shows them\n", count(more, "line"))
	}
	for _, s := range r.Streams {
		if total == 0 {
			fmt.Fprintf(c.stdout, "no dead letters of %s in %s\n", s.Stream, printable(s.At))
		}
		if s.Unreadable > 0 {
			fmt.Fprintf(c.stderr, "sluice: stream %s: of what is in %s, %d cannot be read as letters: torn by a crash, being written now, or of another program\n", s.Stream, printable(s.At), s.Unreadable)
		}
	}
	return nil
}

func shortTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
