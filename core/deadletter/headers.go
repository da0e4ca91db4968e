package deadletter

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

// ours is how the names of our headers begin. Those of the record that begin
// so get originalPrefix in front: nobody can make a letter say what we did not.
const (
	ours           = "sluice-"
	originalPrefix = "sluice-original-"
)

func headersOf(l *lane.Letter) []source.Header {
	h := []source.Header{
		{Key: "sluice-sink", Value: []byte(l.Sink)},
		{Key: "sluice-topic", Value: []byte(l.Topic)},
		{Key: "sluice-partition", Value: strconv.AppendInt(nil, int64(l.Partition), 10)},
		{Key: "sluice-offset", Value: strconv.AppendInt(nil, l.Offset, 10)},
		{Key: "sluice-incarnation", Value: []byte(l.Incarnation)},
		{Key: "sluice-reason", Value: []byte(l.Reason)},
		{Key: "sluice-timestamp", Value: strconv.AppendInt(nil, l.Timestamp, 10)},
	}
	switch {
	case l.Missing:
		h = append(h, source.Header{Key: "sluice-missing", Value: []byte("the record was deleted before its letter was written")})
	case l.Value == nil:
		h = append(h, source.Header{Key: "sluice-null-value", Value: []byte("true")})
	}
	if l.Key != nil {
		h = append(h, source.Header{Key: "sluice-key", Value: l.Key})
	}
	for _, o := range l.Headers {
		key := o.Key
		if strings.HasPrefix(key, ours) {
			key = originalPrefix + key
		}
		h = append(h, source.Header{Key: key, Value: o.Value})
	}
	return h
}

// foundIn reads a letter back from the topic's record.
func foundIn(r source.Record) (Found, error) {
	const last = 253_402_300_799_999 // of the year 9999: anybody can write any time, and JSON has no later one
	f := Found{Written: time.UnixMilli(min(max(r.Timestamp, 0), last)).UTC()}
	var partition, offset, timestamp string
	null := false
	for k, v := range r.Headers.All() {
		switch key := string(k); key {
		case "sluice-sink":
			f.Sink = string(v)
		case "sluice-topic":
			f.Topic = string(v)
		case "sluice-partition":
			partition = string(v)
		case "sluice-offset":
			offset = string(v)
		case "sluice-incarnation":
			f.Incarnation = string(v)
		case "sluice-reason":
			f.Reason = string(v)
		case "sluice-timestamp":
			timestamp = string(v)
		case "sluice-missing":
			f.Missing = true
		case "sluice-null-value":
			null = true
		case "sluice-key":
			f.Key = append([]byte{}, v...)
		case "sluice-truncated":
			f.Truncated, _ = strconv.ParseInt(string(v), 10, 64)
		case "sluice-truncated-headers": // key and headers are gone, which shows
		default:
			if rest, ok := strings.CutPrefix(key, originalPrefix); ok && strings.HasPrefix(rest, ours) {
				key = rest
			}
			f.Headers = append(f.Headers, lane.Header{Key: key, Value: slices.Clone(v)})
		}
	}
	p, err1 := strconv.ParseInt(partition, 10, 32)
	o, err2 := strconv.ParseInt(offset, 10, 64)
	t, err3 := strconv.ParseInt(timestamp, 10, 64)
	if f.Sink == "" || f.Topic == "" || err1 != nil || err2 != nil || err3 != nil {
		return Found{}, errNoLetter // a record that somebody else has written there
	}
	f.Partition, f.Offset, f.Timestamp = int32(p), o, t
	if !null && !f.Missing {
		f.Value = append([]byte{}, r.Value...)
	}
	return f, nil
}
