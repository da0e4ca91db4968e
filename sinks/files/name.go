package files

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/core/record"
)

// ours is the folder below dir that holds what is not rows. Readers of data
// folders leave out names that begin with an underscore.
const (
	ours     = "_sluice"
	tmpDir   = ours + "/tmp"
	marksDir = ours + "/marks"
)

// extensions are all that a file of this sink can have. A name without its
// extension is a batch's identity, so that a batch written again after
// compression: was changed is found under the old name too.
var extensions = [...]string{".jsonl.zst", ".jsonl"}

// slotName makes the names of one slot.
type slotName struct {
	topic     string // escaped
	partition int32
	sink      string // hash of the sink's id
	topicHash string // hash of topic and incarnation
}

// stem is the name of a cut's file without its extension:
//
//	clicks-3-00000000000000001200-00000000000000001800-SINK-TOPIC
//	clicks-4+4-00000000000000000010-00000000000000000020-VECTOR-SINK-TOPIC
//
// The second is that of a slot of several partitions: the first one's range,
// and a hash of all. Offsets have as many digits as Kafka's own files, so that
// names sort as offsets do.
func (n slotName) stem(c record.Cut) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s-%d", n.topic, n.partition)
	// The cut says how many partitions it has: one that was pending while the
	// slot grew has fewer than the slot has now, and keeps its name.
	partitions := len(c.Ranges)
	if partitions > 1 {
		fmt.Fprintf(&b, "+%d", partitions)
	}
	fmt.Fprintf(&b, "-%020d-%020d", c.Ranges[0].First, c.Ranges[0].Next)
	if partitions > 1 {
		v := make([]string, len(c.Ranges))
		for i, r := range c.Ranges {
			v[i] = fmt.Sprintf("%d-%d", r.First, r.Next)
		}
		b.WriteString("-" + short(v...))
	}
	fmt.Fprintf(&b, "-%s-%s", n.sink, n.topicHash)
	return b.String()
}

// found is what a file's name says.
type found struct {
	topic      string // escaped
	partition  int32
	partitions int
	first      int64
	next       int64
	sink       string
	topicHash  string
}

// parse reads a name that stem made, with an extension; ok is false for any
// other. It reads from the right, since a topic may hold dashes.
func parse(name string) (f found, ok bool) {
	stem, ok := "", false
	for _, ext := range extensions {
		if stem, ok = strings.CutSuffix(name, ext); ok {
			break
		}
	}
	if !ok {
		return f, false
	}
	parts := strings.Split(stem, "-")
	pop := func() string {
		last := parts[len(parts)-1]
		parts = parts[:len(parts)-1]
		return last
	}
	if len(parts) < 6 {
		return f, false
	}
	f.topicHash, f.sink = pop(), pop()
	if !isHash(f.topicHash) || !isHash(f.sink) {
		return f, false
	}
	several := isHash(parts[len(parts)-1])
	if several {
		pop()
	}
	if len(parts) < 4 {
		return f, false
	}
	next, first, slot := pop(), pop(), pop()
	f.topic = strings.Join(parts, "-")
	p, count, plus := strings.Cut(slot, "+")
	f.partitions = 1
	var errs [4]error
	f.next, errs[0] = strconv.ParseInt(next, 10, 64)
	f.first, errs[1] = strconv.ParseInt(first, 10, 64)
	p64, err := strconv.ParseInt(p, 10, 32)
	f.partition, errs[2] = int32(p64), err
	if plus {
		f.partitions, errs[3] = strconv.Atoi(count)
	}
	return f, errors.Join(errs[:]...) == nil && plus == several && len(next) == 20 && len(first) == 20
}

// hashLength is that of a hash in a name: 64 bits in hexadecimal digits, and
// so never taken for an offset, which has 20.
const hashLength = 16

// short is a hash of several texts.
func short(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d:%s", len(t), t)
	}
	return hex.EncodeToString(h.Sum(nil))[:hashLength]
}

func isHash(s string) bool {
	if len(s) != hashLength {
		return false
	}
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return false
		}
	}
	return true
}

// maxText is how much of a topic's or sink's name a path shows; longer ones are
// cut and end in a hash. A file's name then stays below the 255 bytes that
// file systems allow.
const maxText = 96

// escape makes a text one harmless element of a path: letters, digits, ".", "-"
// and "_" stand for themselves, but neither dot nor underscore begins it; all
// else is %XX.
func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-',
			i > 0 && (c == '.' || c == '_'):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() == 0 {
		return "%"
	}
	if b.Len() > maxText {
		return b.String()[:maxText-hashLength-1] + "~" + short(text)
	}
	return b.String()
}

// template is a folder with places for the sink, the topic and the slot's first
// partition.
type template struct{ text string }

// parseTemplate checks a folder. Its static parts are as harmless as escape
// makes the others, and each element is short enough for a file system.
func parseTemplate(text string) (template, error) {
	if text == "" {
		return template{}, errors.New(`is empty; use "." to write into dir itself`)
	}
	if text == "." {
		return template{text}, nil
	}
	for _, element := range strings.Split(text, "/") {
		if element == "" {
			return template{}, fmt.Errorf("%q has an empty element", text)
		}
		if element[0] == '.' || element[0] == '_' {
			return template{}, fmt.Errorf("element %q begins with %q, which readers take for hidden", element, element[:1])
		}
		places := strings.Count(element, "{topic}") + strings.Count(element, "{sink}") + strings.Count(element, "{partition}")
		static := strings.NewReplacer("{sink}", "", "{topic}", "", "{partition}", "").Replace(element)
		for _, r := range static {
			if r == '%' {
				return template{}, fmt.Errorf("element %q: time parts are not possible: the path of a file is a function of its offsets alone", element)
			}
			if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_=+", r) {
				return template{}, fmt.Errorf("element %q: want letters, digits, . - _ = + and {sink}, {topic}, {partition}", element)
			}
		}
		if len(static)+places*maxText > 255 {
			return template{}, fmt.Errorf("element %q can be longer than 255 bytes", element)
		}
	}
	if len(text) > 1024 {
		return template{}, errors.New("is longer than 1024 bytes")
	}
	return template{text}, nil
}

// folder fills the places, for a sink's and a topic's name as they are.
func (t template) folder(sink, topic string, partition int32) string {
	return path.Clean(strings.NewReplacer("{sink}", escape(sink), "{topic}", escape(topic),
		"{partition}", strconv.Itoa(int(partition))).Replace(t.text))
}
