package deadletter

import (
	"encoding/json"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/lane"
)

// line is a letter in a file. Bytes are in base64; null is a null of the record.
type line struct {
	Written     time.Time    `json:"written"`
	Sink        string       `json:"sink"`
	Topic       string       `json:"topic"`
	Incarnation string       `json:"incarnation"`
	Partition   int32        `json:"partition"`
	Offset      int64        `json:"offset"`
	Reason      string       `json:"reason"`
	Timestamp   int64        `json:"timestamp"` // of the record, milliseconds since 1970
	Missing     bool         `json:"missing,omitempty"`
	Key         *[]byte      `json:"key"`
	Value       *[]byte      `json:"value"`
	Headers     []lineHeader `json:"headers,omitempty"`
	Truncated   int64        `json:"truncated,omitempty"` // bytes that the value had
}

// lineHeader has its name as text, or where that is no UTF-8 as bytes.
type lineHeader struct {
	Key   string  `json:"key,omitempty"`
	Bytes []byte  `json:"key_bytes,omitempty"`
	Value *[]byte `json:"value"`
}

// maxValue bounds what is kept of one value: a line must fit into the memory of
// whoever reads it. Kafka's default is 1 MiB, its largest possible 2 GiB.
const maxValue = 128 << 20

// maxLine is what a reader takes: a value in base64, with key and headers.
const maxLine = 512 << 20

// encodeLine appends one line.
func encodeLine(w io.Writer, l *lane.Letter, now time.Time) error {
	n := line{
		Written: now.UTC().Truncate(time.Millisecond), Sink: l.Sink, Topic: l.Topic, Incarnation: l.Incarnation, Partition: l.Partition, Offset: l.Offset,
		Reason: l.Reason, Timestamp: l.Timestamp, Missing: l.Missing, Key: present(l.Key), Value: present(l.Value),
	}
	if len(l.Value) > maxValue {
		short := l.Value[:maxValue]
		n.Value, n.Truncated = &short, int64(len(l.Value))
	}
	for _, h := range l.Headers {
		out := lineHeader{Value: present(h.Value)}
		if utf8.ValidString(h.Key) {
			out.Key = h.Key
		} else {
			out.Bytes = []byte(h.Key)
		}
		n.Headers = append(n.Headers, out)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(n)
}

func present(b []byte) *[]byte {
	if b == nil {
		return nil
	}
	return &b
}

func bytesOf(p *[]byte) []byte {
	if p == nil {
		return nil
	}
	return *p
}

var errNoLetter = errors.New("no dead letter")

// decodeLine reads one line.
func decodeLine(b []byte) (Found, error) {
	var n line
	if err := json.Unmarshal(b, &n); err != nil {
		return Found{}, errNoLetter // the error would quote what may be an event
	}
	if n.Sink == "" || n.Topic == "" || n.Written.IsZero() {
		return Found{}, errNoLetter
	}
	f := Found{Written: n.Written, Truncated: n.Truncated, Letter: lane.Letter{
		Sink: n.Sink, Topic: n.Topic, Incarnation: n.Incarnation, Partition: n.Partition, Offset: n.Offset,
		Reason: n.Reason, Timestamp: n.Timestamp, Missing: n.Missing, Key: bytesOf(n.Key), Value: bytesOf(n.Value),
	}}
	for _, h := range n.Headers {
		key := h.Key
		if h.Bytes != nil {
			key = string(h.Bytes)
		}
		f.Headers = append(f.Headers, lane.Header{Key: key, Value: bytesOf(h.Value)})
	}
	return f, nil
}
