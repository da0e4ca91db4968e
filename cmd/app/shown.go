package app

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/peek"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/jsonl"
)

// shown prints what peek finds, as a table, JSON lines or CSV. Values are what
// jsonl makes of them.
type shown struct {
	format      string
	wide        bool
	follow      bool
	out, errors io.Writer
	grouped     bool
	fields      []string // names of the columns

	lines, groupLines *jsonl.Encoder // of rows, and of groups
	single            *record.Chunk  // one row
	line              []byte
	csv               *csv.Writer
	table             table
	widths            []int // of the columns so far
	headed            bool
	printed, told     time.Time // when something was last printed, and progress last told
}

func newShown(format string, wide, follow bool, out, errors io.Writer, p *plan.Plan) (*shown, error) {
	s := &shown{format: format, wide: wide, follow: follow, out: out, errors: errors, grouped: p.Grouped(), printed: time.Now(), told: time.Now()}
	for _, f := range p.Schema().Fields {
		s.fields = append(s.fields, f.Name)
	}
	var err error
	if s.lines, err = jsonl.New(p.Rows()); err != nil {
		return nil, err
	}
	if s.groupLines, err = jsonl.New(p.Schema()); err != nil {
		return nil, err
	}
	s.csv = csv.NewWriter(out)
	return s, nil
}

// record prints one record.
func (s *shown) record(r peek.Record) error {
	if r.Reason != "" {
		return s.print(&r, nil, r.Reason)
	}
	if s.single == nil {
		s.single = record.NewChunk(r.Rows.Schema)
	}
	s.single.SetRow(r.Rows, r.Row)
	line, err := s.lines.Append(s.line[:0], s.single)
	if err != nil {
		return s.print(&r, nil, "cannot be shown: "+err.Error())
	}
	s.line = line
	return s.print(&r, bytes.TrimSuffix(line, []byte("\n")), "")
}

// groups prints the groups of all that was read.
func (s *shown) groups(rows *record.Chunk) error {
	lines, err := s.groupLines.Append(nil, rows)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(lines) {
		if err := s.print(nil, bytes.TrimSuffix(line, []byte("\n")), ""); err != nil {
			return err
		}
	}
	return nil
}

// print prints a row, or the reason why there is none. r is nil for a group.
func (s *shown) print(r *peek.Record, row []byte, reason string) error {
	s.printed = time.Now()
	if s.format == "json" {
		return s.printJSON(r, row, reason)
	}
	var cells []string
	if row != nil {
		var err error
		if cells, err = cellsOf(row); err != nil {
			return err
		}
	}
	if s.format == "csv" {
		return s.printCSV(r, cells, reason)
	}
	var front []string
	if r != nil {
		front = []string{strconv.Itoa(int(r.Partition)), strconv.FormatInt(r.Offset, 10), stamp(r)}
	}
	if s.grouped && reason == "" {
		front = nil
	}
	if reason != "" {
		cells = []string{"rejected: " + printable(reason)}
	}
	for i := range cells {
		cells[i] = s.cell(cells[i], reason != "")
	}
	s.table.row(append(front, cells...)...)
	if len(s.table.rows) >= 500 {
		return s.flush()
	}
	return nil
}

func stamp(r *peek.Record) string {
	if r.Time.IsZero() {
		return "-"
	}
	return r.Time.Format("2006-01-02T15:04:05.000Z")
}

// longest is how many characters of a value a table shows.
const longest = 40

func (s *shown) cell(text string, whole bool) string {
	text = printable(text)
	if !s.wide && !whole && utf8.RuneCountInString(text) > longest {
		text = string([]rune(text)[:longest-1]) + "…"
	}
	return text
}

// cellsOf cuts a line of JSON into its values: strings without their quotes,
// null as "", all else as it is written.
func cellsOf(line []byte) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var out []string
	for d.More() {
		if _, err := d.Token(); err != nil { // the name
			return nil, err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		text := string(raw)
		switch {
		case text == "null":
			text = ""
		case text[0] == '"':
			if err := json.Unmarshal(raw, &text); err != nil {
				return nil, err
			}
		}
		out = append(out, text)
	}
	return out, nil
}

// where is the part of a JSON object that says which record it is.
type where struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Timestamp string `json:"timestamp,omitempty"`
	Rejected  string `json:"rejected,omitempty"`
}

func (s *shown) printJSON(r *peek.Record, row []byte, reason string) error {
	var b bytes.Buffer
	if r != nil {
		w := where{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Rejected: reason}
		if !r.Time.IsZero() {
			w.Timestamp = stamp(r)
		}
		front, err := json.Marshal(w)
		if err != nil {
			return err
		}
		b.Write(bytes.TrimSuffix(front, []byte("}")))
	} else {
		b.WriteByte('{')
	}
	if row != nil {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"row":`)
		b.Write(visible(row))
	}
	b.WriteString("}\n")
	_, err := s.out.Write(b.Bytes())
	return err
}

func (s *shown) printCSV(r *peek.Record, cells []string, reason string) error {
	front := []string{"topic", "partition", "offset", "timestamp", "rejected"}
	if s.grouped {
		front = nil
		if r != nil {
			fmt.Fprintf(s.errors, "sluice: rejected: %s[%d] offset %d: %s\n", r.Topic, r.Partition, r.Offset, printable(reason))
			return nil
		}
	}
	if !s.headed {
		s.headed = true
		if err := s.csv.Write(append(front, s.fields...)); err != nil {
			return err
		}
	}
	if r != nil {
		front = []string{r.Topic, strconv.Itoa(int(r.Partition)), strconv.FormatInt(r.Offset, 10), "", reason}
		if !r.Time.IsZero() {
			front[3] = stamp(r)
		}
	}
	if cells == nil {
		cells = make([]string, len(s.fields))
	}
	return s.csv.Write(append(front, cells...))
}

// flush prints the table as far as it is gathered. Columns keep their width,
// and grow where they must.
func (s *shown) flush() error {
	s.csv.Flush()
	if err := s.csv.Error(); err != nil {
		return err
	}
	if len(s.table.rows) == 0 {
		return nil
	}
	t := table{widths: s.widths}
	if !s.headed {
		s.headed = true
		var head []string
		if !s.grouped {
			head = []string{"PARTITION", "OFFSET", "TIMESTAMP"}
		}
		for _, f := range s.fields {
			head = append(head, s.cell(f, false))
		}
		t.row(head...)
	}
	t.rows = append(t.rows, s.table.rows...)
	s.table.rows = s.table.rows[:0]
	t.write(s.out)
	s.widths = t.widths
	return nil
}

// progress is told after each round of fetches.
func (s *shown) progress(t peek.Totals) {
	if s.follow {
		s.flush() //nolint:errcheck // the next record finds the same
	}
	const quiet = 2 * time.Second
	if now := time.Now(); !s.follow && now.Sub(s.printed) > quiet && now.Sub(s.told) > quiet {
		s.told = now
		fmt.Fprintf(s.errors, "read %d records, %d of them shown\n", t.Read, t.Rows+t.Rejected)
	}
}

// end prints what is left and says what was not shown.
func (s *shown) end(t peek.Totals) error {
	err := s.flush()
	if s.format == "table" {
		text := count(int(t.Rows), "row")
		if s.grouped {
			text = "groups of " + text
		}
		if t.Rejected > 0 {
			text += fmt.Sprintf(", %d rejected", t.Rejected)
		}
		if t.Filtered > 0 {
			text += fmt.Sprintf("; %d of %d records read were not selected", t.Filtered, t.Read)
		}
		_, e := fmt.Fprintln(s.errors, text)
		err = errors.Join(err, e)
	}
	return err
}
