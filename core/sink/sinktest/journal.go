package sinktest

import (
	"context"
	"log/slog"
	"strings"
	"sync"
)

// journal takes what a sink logs.
type journal struct {
	hear func(line string)

	mu   sync.Mutex
	loud []string // what was logged as a warning or an error
}

func (j *journal) logger() *slog.Logger { return slog.New(&handler{journal: j}) }

// mark is where the journal is now.
func (j *journal) mark() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.loud)
}

// holds says whether a text was logged loudly since a mark.
func (j *journal) holds(mark int, text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.loud[mark:] {
		if strings.Contains(l, text) {
			return true
		}
	}
	return false
}

// handler gives each record to the journal as one line, unquoted.
type handler struct {
	journal *journal
	before  string // attributes of the logger
}

func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	line := r.Message + h.before
	r.Attrs(func(a slog.Attr) bool {
		line += spellAttr(a)
		return true
	})
	if r.Level >= slog.LevelWarn {
		h.journal.mu.Lock()
		h.journal.loud = append(h.journal.loud, line)
		h.journal.mu.Unlock()
	}
	h.journal.hear(line)
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := &handler{h.journal, h.before}
	for _, a := range attrs {
		n.before += spellAttr(a)
	}
	return n
}

func (h *handler) WithGroup(string) slog.Handler { return h }

func spellAttr(a slog.Attr) string { return " " + a.Key + "=" + a.Value.Resolve().String() }
