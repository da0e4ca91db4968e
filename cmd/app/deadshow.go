package app

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/deadletter"
	"github.com/sluicekit/sluice/core/decode"
)

// shownLetter is what dead show --json prints of a letter.
type shownLetter struct {
	Stream      string           `json:"stream"`
	Sink        string           `json:"sink"`
	Topic       string           `json:"topic"`
	Partition   int32            `json:"partition"`
	Offset      int64            `json:"offset"`
	Incarnation string           `json:"incarnation"`
	Reason      string           `json:"reason"`
	Time        time.Time        `json:"time"`    // of the record
	Written     time.Time        `json:"written"` // when the letter was
	Missing     bool             `json:"missing,omitempty"`
	Truncated   int64            `json:"truncated,omitempty"`
	Key         []byte           `json:"key"`   // base64, as Value
	Value       []byte           `json:"value"` // null: the record has none
	Headers     []shownHeader    `json:"headers,omitempty"`
	Event       *json.RawMessage `json:"event,omitempty"` // decoded
	NoEvent     string           `json:"not_decoded,omitempty"`
}

type shownHeader struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// errEnough ends a reading early.
var errEnough = errors.New("enough")

// show prints the letters that the flags and the places select.
func (d *deadFlags) show(ctx context.Context, c *call, cfg *config.Config, streams []*config.Stream, places []string) error {
	for _, p := range places {
		if strings.Count(p, "/") != 2 {
			return usagef("dead show: %s: a place is TOPIC/PARTITION/OFFSET, as dead list prints it", p)
		}
	}
	limit := d.limit
	if limit < 0 && len(places) == 0 {
		limit = 10
	}
	if d.file != "" {
		limit = 2 // one too many is enough to know
	}
	shown, more := []shownLetter{}, false
	for _, s := range streams {
		_, _, err := d.each(ctx, s, func(f deadletter.Found) error {
			if len(places) > 0 && !slices.Contains(places, place(f.Topic, f.Partition, f.Offset)) {
				return nil
			}
			if limit > 0 && len(shown) == limit {
				more = true
				return errEnough
			}
			shown = append(shown, letterShown(s.Name, &f))
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return fmt.Errorf("stream %s: %w", s.Name, err)
		}
	}
	if len(shown) == 0 {
		return errors.New("no dead letter is like that; sluice dead list shows which there are")
	}
	if d.file != "" {
		return d.saveRaw(c, shown)
	}
	d.decode(ctx, cfg, shown)
	if d.asJSON {
		return writeVisibleJSON(c.stdout, shown)
	}
	for i := range shown {
		if i > 0 {
			fmt.Fprintln(c.stdout)
		}
		shown[i].print(c.stdout)
	}
	if more {
		fmt.Fprintf(c.stderr, "sluice: there are more; --limit %d shows more of them, --limit 0 all\n", 10*limit)
	}
	return nil
}

func letterShown(stream string, f *deadletter.Found) shownLetter {
	l := shownLetter{
		Stream: stream, Sink: f.Sink, Topic: f.Topic, Partition: f.Partition, Offset: f.Offset, Incarnation: f.Incarnation, Reason: f.Reason,
		Time: time.UnixMilli(f.Timestamp).UTC(), Written: f.Written, Missing: f.Missing, Truncated: f.Truncated, Key: f.Key, Value: f.Value,
	}
	if t := l.Time.Year(); t < 0 || t > 9999 {
		l.Time = time.Time{} // a timestamp is an event's word; JSON has no such year
	}
	for _, h := range f.Headers {
		l.Headers = append(l.Headers, shownHeader{h.Key, h.Value})
	}
	return l
}

// saveRaw writes the one record as it was.
func (d *deadFlags) saveRaw(c *call, shown []shownLetter) error {
	l := &shown[0]
	switch {
	case len(shown) > 1:
		return usagef("dead show --raw takes one letter, and more than one is like that; name its place, and --sink where several sinks have it")
	case l.Missing:
		return errors.New("the record was deleted from its topic before its letter was written: there are no bytes")
	case l.Value == nil:
		return errors.New("the record has no value (null): there are no bytes")
	}
	f, err := os.OpenFile(d.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(l.Value)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(c.stderr, "sluice: %s of %s in %s\n", count(len(l.Value), "byte"), place(l.Topic, l.Partition, l.Offset), d.file)
	if l.Truncated > 0 {
		fmt.Fprintf(c.stderr, "sluice: the record had %s; its letter holds the first ones only\n", count(int(l.Truncated), "byte"))
	}
	return nil
}

// decode turns the events into JSON where that is possible. Why not is a part
// of what is shown: such a record is mostly here because it cannot be decoded.
func (d *deadFlags) decode(ctx context.Context, cfg *config.Config, shown []shownLetter) {
	opened := map[string]*decode.Stream{}
	failed := map[string]error{}
	for i := range shown {
		l := &shown[i]
		if l.Value == nil || l.Truncated > 0 {
			continue
		}
		if opened[l.Stream] == nil && failed[l.Stream] == nil {
			opened[l.Stream], failed[l.Stream] = openForText(ctx, cfg.Stream(l.Stream))
		}
		text, err := []byte(nil), failed[l.Stream]
		if err == nil {
			text, err = textOf(ctx, opened[l.Stream], l.Value)
		}
		if err != nil {
			l.NoEvent = err.Error()
			continue
		}
		raw := json.RawMessage(text)
		l.Event = &raw
	}
}

func openForText(ctx context.Context, s *config.Stream) (*decode.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return openEvents(ctx, s, nil)
}

func textOf(ctx context.Context, s *decode.Stream, value []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return s.Text(ctx, value)
}

// print writes a letter for people.
func (l *shownLetter) print(w io.Writer) {
	var t table
	t.row("record", printable(place(l.Topic, l.Partition, l.Offset)))
	t.row("sink", printable(l.Sink))
	t.row("reason", printable(l.Reason))
	t.row("time", l.Time.Format("2006-01-02T15:04:05.000Z"))
	t.row("written", l.Written.Format("2006-01-02T15:04:05.000Z"))
	t.row("incarnation", printable(l.Incarnation))
	if l.Key != nil {
		t.row("key", printable(oneLine(l.Key)))
	}
	for _, h := range l.Headers {
		t.row("header", printable(h.Key+": "+oneLine(h.Value)))
	}
	t.write(w)
	switch {
	case l.Missing:
		fmt.Fprintln(w, "the record was deleted from its topic before its letter was written")
	case l.Value == nil:
		fmt.Fprintln(w, "the record has no value (null)")
	case l.Event != nil:
		var pretty bytes.Buffer
		if json.Indent(&pretty, *l.Event, "", "  ") != nil {
			pretty.Reset()
			pretty.Write(*l.Event)
		}
		fmt.Fprintf(w, "event, %s\n%s\n", count(len(l.Value), "byte"), visibleLines(pretty.Bytes()))
	default:
		l.printBytes(w)
	}
}

// mostShown is how many bytes of a record that is no event are shown.
const mostShown = 4 << 10

// printBytes shows what could not be decoded: as text if it is that, else as a
// dump.
func (l *shownLetter) printBytes(w io.Writer) {
	why := printable(l.NoEvent)
	if l.Truncated > 0 {
		why = fmt.Sprintf("only the first %s of %d were kept", count(len(l.Value), "byte"), l.Truncated)
	}
	fmt.Fprintf(w, "not decoded: %s; %s as they are", why, count(len(l.Value), "byte"))
	part := l.Value
	if len(part) > mostShown {
		part = part[:mostShown]
		for i := 0; i < utf8.UTFMax && len(part) > 0 && !utf8.Valid(part); i++ { // do not cut a character
			part = part[:len(part)-1]
		}
		fmt.Fprintf(w, ", the first %d", len(part))
	}
	fmt.Fprintln(w)
	if isText(part) {
		fmt.Fprintf(w, "%s\n", visibleLines(part))
		return
	}
	if len(l.Value) > mostShown {
		part = l.Value[:mostShown]
	}
	fmt.Fprint(w, hex.Dump(part))
}

// isText says whether bytes read better as text: UTF-8 of which most can
// be seen.
func isText(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	odd := 0
	for _, r := range string(b) {
		if hidden(r) && r != '\n' && r != '\t' && r != '\r' {
			odd++
		}
	}
	return odd*5 <= len(b)
}

// visibleLines makes hidden characters visible and leaves the lines.
func visibleLines(b []byte) string {
	lines := strings.Split(string(b), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// oneLine is a key or a header's value: text, or bytes in hex; long ones are
// cut.
func oneLine(b []byte) string {
	const most = 200
	switch {
	case b == nil:
		return "null"
	case isText(b) && len(b) <= most:
		return string(b)
	case isText(b):
		return strings.ToValidUTF8(string(b[:most]), "") + "…"
	case len(b) > most/2:
		return "0x" + hex.EncodeToString(b[:most/2]) + "…"
	}
	return "0x" + hex.EncodeToString(b)
}
