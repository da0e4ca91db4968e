package harness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Evidence is how often the program's logs say that it went a way which only
// faults open. A run that lacks one proves nothing of it.
type Evidence struct {
	Repeats    int // of a pending cut
	Refused    int // ledger writes that the coordinator did not take, or that never left
	Fenced     int // of those: because the member was replaced
	Unanswered int // memberships ended because a ledger write got no answer
	Missed     int // compare-and-sets that found another position
	Resolved   int // answers to COMMIT that were lost, and found out
	NotApplied int // of those: the commit had not happened
	Abandoned  int // drains that left commits in flight
	Completed  int // repeats that were compared with the rows of a table
	Hollow     int // batches that a server remembered after a crash without having their rows

	// What the server knows.
	Deduplicated int // inserted blocks that it had already
	Expired      int // inserts that it refused since their time was over
}

// need is something that must have been observed.
type need struct {
	what string
	n    int
}

// add adds what the server knows.
func (e *Evidence) add(f Evidence) {
	e.Deduplicated += f.Deduplicated
	e.Expired += f.Expired
}

// missing names what was seen less than n times.
func (e Evidence) missing(n int, also ...need) error {
	var errs []error
	for _, c := range append([]need{
		{"repeats of a pending batch", e.Repeats},
		{"refused ledger writes", e.Refused},
		{"ledger writes refused because the member was replaced", e.Fenced},
		{"memberships ended after an unanswered ledger write", e.Unanswered},
	}, also...) {
		if c.n < n {
			errs = append(errs, fmt.Errorf("inconclusive: %d %s were observed, %d are needed", c.n, c.what, n))
		}
	}
	return errors.Join(errs...)
}

// stopping is what the program tells a person who stops it.
const stopping = "sluice: stopping; a second signal ends at once"

// line is a line of the program's log, as far as it matters here.
type line struct {
	Level   string `json:"level"`
	Message string `json:"msg"`
	Error   string `json:"error"`
	Applied bool   `json:"applied"`
	Sink    string `json:"sink"`
	Detail  string `json:"detail"`
}

// readEvidence reads all logs. An error is something that must not be in them.
func readEvidence(dir string) (Evidence, error) {
	var e Evidence
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return e, err
	}
	var errs []error
	for _, path := range logs {
		if err := e.read(path); err != nil {
			errs = append(errs, fmt.Errorf("log %s: %w", filepath.Base(path), err))
		}
	}
	return e, errors.Join(errs...)
}

func (e *Evidence) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	r := bufio.NewReader(f)
	for {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // the last line may be torn: the process was killed
		}
		if err != nil {
			return err
		}
		var l line
		if string(bytes.TrimSpace(text)) == stopping {
			continue
		}
		if err := json.Unmarshal(text, &l); err != nil {
			rest, _ := io.ReadAll(io.LimitReader(r, 4000))
			return fmt.Errorf("a line that is no log record:\n%s%s", bytes.TrimSpace(text), rest)
		}
		if err := e.count(l); err != nil {
			return err
		}
	}
}

// count sorts a line by its message. The messages are those of core/lane,
// core/pipeline, sinks/sqltable and sinks/clickhouse.
func (e *Evidence) count(l line) error {
	if l.Message == "trying again" && strings.Contains(l.Error, "the server remembers batch") {
		e.Hollow++
	}
	switch l.Message {
	case "repeating a pending batch":
		e.Repeats++
	case "ledger write refused":
		e.Refused++
	case "ledger": // once for each membership that the ledger's writer ended
		if strings.Contains(l.Error, "offset commit refused") {
			e.Refused++
			e.Fenced++
		} else {
			e.Unanswered++
		}
	case "position has moved at the destination":
		e.Missed++
	case "lost answer resolved":
		e.Resolved++
		if !l.Applied {
			e.NotApplied++
		}
	case "commits in flight are abandoned; they will be repeated":
		e.Abandoned++
	case "batch completed from what the table has":
		e.Completed++
	case "sink stopped":
		return fmt.Errorf("sink %s stopped, which no fault here may cause: %s", l.Sink, l.Detail)
	}
	return nil
}
