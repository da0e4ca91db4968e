package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// rawStream is a stream as the YAML has it.
type rawStream struct {
	Kafka       *Kafka      `yaml:"kafka"`
	Files       *Files      `yaml:"files"`
	Format      Format      `yaml:"format"`
	Framing     Framing     `yaml:"framing"`
	Registry    *Registry   `yaml:"registry"`
	Schema      string      `yaml:"schema"`
	Envelope    Envelope    `yaml:"envelope"`
	Types       declared    `yaml:"types"`
	DeadLetters DeadLetters `yaml:"dead_letters"`
	Slots       int         `yaml:"slots"`
	Defaults    settings    `yaml:"defaults"`
}

// ofTable is on_new_field where it is looked for first: beside what all types of
// sink have. Only sinks of tables that can grow have it, among their own options,
// and so no default for all can be said.
type ofTable struct{}

func (*ofTable) decode(d *decoder, n *yaml.Node, path string) {
	d.fail(n, path, "this is an option of the sink's type", "write it below the type, such as clickhouse: {on_new_field: ignore}; others do not have it")
}

// declared keeps the order of types:.
type declared []Declared

func (t *declared) decode(d *decoder, n *yaml.Node, path string) {
	pairs, _ := d.pairs(n, path)
	for _, p := range pairs {
		at := join(path, p.key.Value)
		text, ok := d.text(p.value, at, "a type such as int or decimal(18,6)")
		if !ok || d.isBlamed(at) {
			continue
		}
		typ, unit, err := plan.ParseType(text.value)
		switch {
		case err != nil:
			name, _, _ := strings.Cut(text.value, "(")
			d.wrongValue(p.value, at, text, "a type such as int or decimal(18,6)", &unitError{err.Error(), didYouMean(name, kindNames())})
		default:
			*t = append(*t, Declared{Path: p.key.Value, Type: typ, Unit: unit})
		}
	}
}

func kindNames() []string {
	var out []string
	for _, k := range record.Kinds() {
		out = append(out, k.String())
	}
	return out
}

// sharedDocument decodes streams, connections, defaults and limits.
func (l *loader) sharedDocument(d *decoder, doc *yaml.Node) {
	pairs, _ := d.pairs(doc, "")
	for _, p := range pairs {
		at := place{d.file, p.key, p.key.Value, nil}
		switch p.key.Value {
		case "streams":
			l.named(d, p, func(e pair, path string) { l.stream(d, e, path) })
		case "connections":
			l.named(d, p, func(e pair, path string) { l.connection(d, e, path) })
		case "defaults":
			if l.twice(d, l.defaultsAt, at) {
				continue
			}
			l.defaultsAt, l.defaults = at, &settings{}
			d.settings(p.value, p.key.Value, l.defaults)
		case "limits":
			if l.twice(d, l.limitsAt, at) {
				continue
			}
			l.limitsAt = at
			d.into(p.value, p.key.Value, &l.config.Limits)
			if m := l.config.Limits.Memory; m != 0 && (m < minMemory || m > maxMemory) {
				d.failAt(p.value, "limits", "memory", "must be from 32MiB to 16TiB", "")
			}
		default:
			d.unknown(p.key, "", "unknown option", []string{"streams", "connections", "defaults", "limits"})
		}
	}
}

// Bounds of the budget: the least holds a few fetched answers and decoded
// chunks; the most is more than machines have, and far from overflowing where
// the collector's limit is three times as much.
const (
	minMemory = 32 << 20
	maxMemory = 16 << 40
)

// twice reports what was already given in another place.
func (l *loader) twice(d *decoder, first, at place) bool {
	if first.node == nil {
		return false
	}
	d.fail(at.node, at.path, "given twice: first in "+first.String(), "")
	return true
}

// String is where a place is, as messages refer to it.
func (p place) String() string {
	return fmt.Sprintf("%s:%d:%d", p.file.name, p.node.Line, p.node.Column)
}

// named walks a mapping of names.
func (l *loader) named(d *decoder, p pair, each func(e pair, path string)) {
	pairs, _ := d.pairs(p.value, p.key.Value)
	for _, e := range pairs {
		path := join(p.key.Value, e.key.Value)
		if !validName(e.key.Value) {
			d.fail(e.key, path, "a name has up to 64 characters of a-z, 0-9, _ and -, the first a letter or digit", "")
			continue
		}
		each(e, path)
	}
}

func validName(s string) bool {
	return consistsOf(s, "abcdefghijklmnopqrstuvwxyz0123456789_-", 64) && s[0] != '_' && s[0] != '-'
}

// consistsOf says whether a text has 1 to most bytes, all of them of alphabet.
func consistsOf(s, alphabet string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, alphabet) == ""
}

// stream decodes one stream and checks what it says by itself.
func (l *loader) stream(d *decoder, e pair, path string) {
	if first, ok := l.streams[e.key.Value]; ok {
		l.twice(d, first.at, place{d.file, e.key, path, nil})
		return
	}
	raw := rawStream{}
	d.into(e.value, path, &raw)
	s := &streamDoc{at: place{d.file, e.key, path, nil}, body: place{d.file, e.value, path, e.key}, defaults: raw.Defaults}
	s.Stream = Stream{
		Name: e.key.Value, Format: raw.Format, Framing: raw.Framing, Registry: raw.Registry, Envelope: raw.Envelope, Types: raw.Types,
		DeadLetters: raw.DeadLetters, Slots: raw.Slots,
	}
	switch {
	case raw.Files != nil && raw.Kafka != nil:
		d.failAt(e.value, path, "files", "there is kafka: already", "a stream is read from one of the two")
	case raw.Files != nil:
		s.Files = raw.Files
		d.checkFiles(e, path, s)
	case raw.Kafka != nil:
		s.Kafka = *raw.Kafka
		d.checkKafka(e, path, &s.Kafka)
	case child(e.value, "files") == nil:
		d.missing(e, path, "kafka", "where the events are: kafka: {brokers: […], topics: […], group: …} or files: {paths: […], state: …}")
	}
	d.checkStream(e, path, &s.Stream, raw.Schema)
	if l.streams == nil {
		l.streams = map[string]*streamDoc{}
	}
	l.streams[s.Name] = s
	l.config.Streams = append(l.config.Streams, s.Stream)
	l.config.streams[s.Name] = s.body
}

func (d *decoder) checkKafka(e pair, path string, k *Kafka) {
	at := path + ".kafka"
	in := pairAt(e.value, "kafka")
	body := in.value
	if len(k.Brokers) == 0 {
		d.missing(in, at, "brokers", "a list of host:port")
	}
	for i, b := range k.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || !validPort(port) {
			d.failAt(body, at, fmt.Sprintf("brokers[%d]", i), "must be host:port", "")
		}
	}
	if len(k.Topics) == 0 {
		d.missing(in, at, "topics", "a name, or a list of names")
	}
	seen := map[string]bool{}
	for i, t := range k.Topics {
		if !validTopic(t) {
			d.failAt(body, at, fmt.Sprintf("topics[%d]", i), "is no name of a topic", "")
		} else if seen[t] {
			d.failAt(body, at, fmt.Sprintf("topics[%d]", i), "given twice", "")
		}
		seen[t] = true
	}
	if k.Group == "" {
		d.missing(in, at, "group", "there is no default, so that no second installation joins this one by accident")
	}
	if k.SASL != nil {
		d.checkSASL(in, at, k)
	}
	d.checkTLS(in, at, k.TLS)
	d.within(body, at, "session_timeout", &k.SessionTimeout, 10*time.Second, time.Second, 30*time.Minute)
	d.within(body, at, "rebalance_timeout", &k.RebalanceTimeout, max(60*time.Second, k.SessionTimeout), time.Second, time.Hour)
	if k.RebalanceTimeout < k.SessionTimeout {
		d.failAt(body, at, "rebalance_timeout", "must not be shorter than session_timeout", "")
	}
	d.withinSize(child(body, "fetch"), at+".fetch", "partition_bytes", &k.Fetch.PartitionBytes, 4<<20, 16<<10, 64<<20)
}

func (d *decoder) checkSASL(in pair, at string, k *Kafka) {
	sasl := pairAt(in.value, "sasl")
	for _, o := range []struct {
		name string
		set  bool
	}{{"mechanism", k.SASL.Mechanism != ""}, {"username", k.SASL.Username != ""}, {"password", k.SASL.Password.Set()}} {
		if !o.set {
			d.missing(sasl, at+".sasl", o.name, "")
		}
	}
	if k.TLS == nil && k.SASL.Mechanism == "PLAIN" {
		d.warn(in.value, at, "sasl.mechanism", "PLAIN without tls: sends the password in the clear", "")
	}
}

// checkStream checks all but kafka:.
func (d *decoder) checkStream(e pair, path string, s *Stream, schema string) {
	if s.Format == "" {
		d.missing(e, path, "format", "avro or json")
	}
	if s.Registry != nil {
		d.checkRegistry(e, path, s.Registry)
	}
	switch {
	case s.Files != nil: // checked there
	case s.Format == Avro && s.Registry == nil && schema == "":
		d.missing(e, path, "registry", "avro needs registry: {url: …} or schema: FILE.avsc")
	case s.Framing == Bare && s.Registry != nil:
		d.failAt(e.value, path, "framing", "bare values have no schema ids, and registry: needs them", "")
	case s.Format == JSON && s.Framing != "":
		d.failAt(e.value, path, "framing", "has no meaning with format: json", "")
	case s.Format == JSON && s.Registry != nil:
		d.failAt(e.value, path, "registry", "has no meaning with format: json", "")
	case s.Format == JSON && schema != "":
		d.failAt(e.value, path, "schema", "has no meaning with format: json", "say types: instead")
	}
	if schema != "" {
		s.SchemaPath = d.file.path(schema)
		b, err := readFile(s.SchemaPath, maxFile)
		if err != nil {
			d.failAt(e.value, path, "schema", "the file "+err.Error(), "")
		}
		s.Schema = b
	}
	if t := s.DeadLetters.Topic; t != "" && !validTopic(t) {
		d.failAt(e.value, path, "dead_letters.topic", "is no name of a topic", "")
	} else if t != "" && slices.Contains(s.Kafka.Topics, t) {
		d.failAt(e.value, path, "dead_letters.topic", "is a topic that the stream reads", "")
	}
	if dir := s.DeadLetters.Dir; dir != "" {
		s.DeadLetters.Dir = d.file.path(dir)
		if s.DeadLetters.Topic != "" {
			d.failAt(e.value, path, "dead_letters.dir", "there is a topic: already", "leave one of the two out")
		}
	}
	if s.Slots < 0 || s.Slots > MaxSlots {
		d.failAt(e.value, path, "slots", fmt.Sprintf("must be from 1 to %d", MaxSlots), "")
	}
}

func (d *decoder) checkRegistry(e pair, path string, r *Registry) {
	at := path + ".registry"
	in := pairAt(e.value, "registry")
	u, err := url.Parse(r.URL)
	switch {
	case r.URL == "":
		d.missing(in, at, "url", "such as http://registry:8081")
	case err == nil && u.User != nil || strings.Contains(r.URL, "@"):
		d.conceal(child(in.value, "url"))
		d.failAt(in.value, at, "url", "must not hold a user or a password", "say username: and password: instead")
	case strings.ContainsAny(r.URL, "?#"):
		d.conceal(child(in.value, "url")) // a token, often
		d.failAt(in.value, at, "url", "must not have a query or a fragment", "")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		d.failAt(in.value, at, "url", "must be a URL such as http://registry:8081", "")
	}
	if r.Password.Set() && r.Username == "" {
		d.missing(in, at, "username", "there is a password")
	}
	d.checkTLS(in, at, r.TLS)
	d.within(in.value, at, "grace", &r.Grace, time.Minute, time.Second, 7*24*time.Hour)
}

// within fills in the default of a duration and checks its bounds.
func (d *decoder) within(n *yaml.Node, path, name string, v *time.Duration, fallback, least, most time.Duration) {
	switch {
	case child(n, name) == nil:
		*v = fallback
	case d.isBlamed(join(path, name)):
		*v = fallback // said already
	case *v < least || *v > most:
		d.failAt(n, path, name, fmt.Sprintf("must be from %s to %s", FormatDuration(least), FormatDuration(most)), "")
	}
}

func (d *decoder) withinSize(n *yaml.Node, path, name string, v *sink.Size, fallback, least, most sink.Size) {
	switch {
	case child(n, name) == nil:
		*v = fallback
	case d.isBlamed(join(path, name)):
		*v = fallback
	case *v < least || *v > most:
		d.failAt(n, path, name, fmt.Sprintf("must be from %s to %s", FormatSize(least), FormatSize(most)), "")
	}
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func validTopic(s string) bool {
	return consistsOf(s, letters+"0123456789._-", 249) && s != "." && s != ".."
}
