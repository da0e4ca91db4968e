package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/ledger"
)

// finish fills in defaults and checks what no document shows by itself.
func (l *loader) finish() {
	l.checkGroups()
	l.checkStates()
	for i, s := range l.sinks {
		s.decoder.problems = nil // those of the document are in the list already
		l.finishSink(s, l.sinks[:i])
		l.problems = append(l.problems, s.decoder.problems...)
		l.config.Sinks = append(l.config.Sinks, s.Sink)
		l.config.places[s.Name] = place{s.decoder.file, s.doc, "", nil}
	}
	l.checkLedger()
	if len(l.problems) > 0 {
		return
	}
	if len(l.config.Sinks) == 0 {
		l.warnings = append(l.warnings, Problem{File: l.firstName(), Message: "no sinks: nothing would be written", Hint: "a sink is a document that starts with sink: NAME"})
	}
	for _, s := range l.config.Streams {
		if len(l.config.Sinks) > 0 && len(l.config.SinksOf(s.Name)) == 0 {
			d := l.streams[s.Name]
			l.warnings = append(l.warnings, d.at.file.at(d.at.node, d.at.path, "no sink reads this stream", ""))
		}
	}
}

func (l *loader) firstName() string {
	if len(l.read) == 0 {
		return "configuration"
	}
	return l.read[0].name
}

// checkGroups refuses two streams with one group: they would take each other's
// partitions and overwrite each other's progress.
func (l *loader) checkGroups() {
	first := map[string]string{}
	for _, s := range l.config.Streams {
		if s.Kafka.Group == "" {
			continue
		}
		if other, ok := first[s.Kafka.Group]; ok {
			d := l.streams[s.Name]
			at := d.body.file.at(nearest(d.body.node, "kafka.group"), d.body.path+".kafka.group",
				"is the group of the stream "+other+" as well", "each stream needs a group of its own")
			l.problems = append(l.problems, at)
			continue
		}
		first[s.Kafka.Group] = s.Name
	}
}

// checkLedger refuses more sinks on a stream than its group's offsets can
// record. With slots: that depends on the topic, and is checked when it is known.
func (l *loader) checkLedger() {
	for i := range l.config.Streams {
		s := &l.config.Streams[i]
		if s.Slots > 0 {
			continue
		}
		if err := ledger.Check(l.config.Entries(s.Name), 1); err != nil {
			at := l.streams[s.Name].at
			l.problems = append(l.problems, at.file.at(at.node, at.path, err.Error(), ""))
		}
	}
}

// finishSink checks a sink against streams, connections and other sinks, and
// fills in its settings.
func (l *loader) finishSink(s *sinkDoc, before []*sinkDoc) {
	d := s.decoder
	for _, o := range before {
		if o.Name == s.Name && s.Name != "" {
			at := place{o.decoder.file, nearest(o.doc, "sink"), "", nil}
			d.failAt(s.doc, "", "sink", "a sink of that name exists already: "+at.String(), "")
			break
		}
	}
	settings := s.settings
	stream := l.streams[s.From]
	if stream != nil {
		settings = settings.over(stream.defaults)
	} else if s.From != "" {
		d.failAt(s.doc, "", "from", called("stream", s.From, child(s.doc, "from")), l.hint(s.From, l.streamNames(), "stream"))
	}
	if l.defaults != nil {
		settings = settings.over(*l.defaults)
	}
	settings.apply(&s.Sink)
	if s.OnBadRecord == DeadLetter && stream != nil && stream.DeadLetters.None() {
		d.failAt(s.doc, "", "on_bad_record", "the stream "+s.From+" has no dead_letters", "add dead_letters: {topic: …} or {dir: …} to it")
	}
	if s.OnBadRecord == StopOnBad && s.settings.MaxBad != nil {
		d.failAt(s.doc, "", "max_bad", "has no meaning with on_bad_record: stop, which stops at the first bad record", "add on_bad_record: dead_letter")
	}
	if s.Spec.Connection != nil {
		l.targets(s)
	}
}

// targets finds the connections of a sink.
func (l *loader) targets(s *sinkDoc) {
	d := s.decoder
	seen := map[string]bool{}
	for i := range s.Targets {
		t := &s.Targets[i]
		at := fmt.Sprintf("connection[%d]", i)
		if len(s.Targets) == 1 && child(s.typeAt.value, at) == child(s.typeAt.value, "connection") {
			at = "connection"
		}
		if seen[t.Connection] {
			d.failAt(s.typeAt.value, s.Spec.Type, at, "given twice", "")
			continue
		}
		seen[t.Connection] = true
		if d.isBlamed(join(s.Spec.Type, at)) {
			continue
		}
		j := slices.IndexFunc(l.config.Connections, func(c Connection) bool { return c.Name == t.Connection })
		switch {
		case j < 0 && l.connections[t.Connection].node != nil:
			// It is there and could not be decoded, which is said at its place.
		case j < 0:
			d.failAt(s.typeAt.value, s.Spec.Type, at, called("connection", t.Connection, child(s.typeAt.value, at)), l.hint(t.Connection, l.connectionNames(s.Spec.Type), s.Spec.Type+" connection"))
		case l.config.Connections[j].Type != s.Spec.Type:
			c := l.config.Connections[j]
			d.failAt(s.typeAt.value, s.Spec.Type, at, "the connection "+c.Name+" is one of "+c.Type+", not of "+s.Spec.Type, didYouMean(t.Connection, l.connectionNames(s.Spec.Type)))
		default:
			t.Options = l.config.Connections[j].Options
		}
	}
}

// called says that a name is unknown, and shows it unless a reference yields it.
func called(what, name string, n *yaml.Node) string {
	if n != nil && strings.Contains(n.Value, "${") {
		return "what the reference stands for is the name of no " + what
	}
	return "no " + what + " is called " + quote(name)
}

// hint names what was probably meant, or all there is.
func (l *loader) hint(name string, known []string, what string) string {
	if h := didYouMean(name, known); h != "" {
		return h
	}
	if len(known) == 0 {
		return "there is no " + what
	}
	if len(known) > 12 {
		return ""
	}
	return "known are " + strings.Join(known, ", ")
}

func (l *loader) streamNames() []string {
	var out []string
	for name := range l.streams {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (l *loader) connectionNames(typ string) []string {
	var out []string
	for _, c := range l.config.Connections {
		if c.Type == typ {
			out = append(out, c.Name)
		}
	}
	slices.Sort(out)
	return out
}
