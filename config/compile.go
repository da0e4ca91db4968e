package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// Compile checks where, fields and aggregate of each sink against the events
// of its stream, and returns a plan per sink. Sinks of a stream that is not in
// events are left out. The error is Problems.
func (c *Config) Compile(events map[string]plan.Events) (map[string]*plan.Plan, error) {
	plans := map[string]*plan.Plan{}
	var problems Problems
	for i := range c.Sinks {
		s := &c.Sinks[i]
		e, ok := events[s.From]
		if !ok {
			continue
		}
		p, found := plan.Compile(s.Plan(), e)
		at := c.places[s.Name]
		for _, f := range found {
			problems = append(problems, at.part(f))
		}
		if len(found) > 0 || c.partly {
			continue
		}
		problems = append(problems, at.kinds(s, p.Schema())...)
		problems = append(problems, at.fit(s, p)...)
		plans[s.Name] = p
	}
	if len(problems) == 0 {
		return plans, nil
	}
	problems = problems.sorted()
	for _, p := range c.places {
		p.file.show(problems)
	}
	return nil, problems
}

// Plan is what the sink asks of its stream.
func (s *Sink) Plan() plan.Spec {
	spec := plan.Spec{Where: s.Where, All: s.All}
	for _, f := range s.Fields {
		spec.Fields = append(spec.Fields, plan.Field(f))
	}
	if s.Aggregate != nil {
		spec.Aggregate = &plan.Aggregate{By: s.Aggregate.By}
		for _, c := range s.Aggregate.Columns {
			spec.Aggregate.Columns = append(spec.Aggregate.Columns, plan.Column(c))
		}
	}
	return spec
}

// part finds the place of a mistake in an expression: exactly, unless the text
// holds references, whose values are not in the file.
func (p place) part(f plan.Problem) Problem {
	value, key, exact := find(p.node, f.Part)
	if exact && value.Kind == yaml.MappingNode { // a field written as {from: …}
		if from := child(value, "from"); from != nil {
			value = from
		}
	}
	if !exact {
		if key != nil {
			value = key
		} else if k, _ := entry(p.node, "sink"); k != nil {
			value = k
		}
	}
	offset := f.Offset
	if i := strings.Index(value.Value, "${"); !exact || value.Kind != yaml.ScalarNode || i >= 0 && i < offset {
		offset = 0
	}
	return p.file.within(value, offset, 1, f.Part, f.Message, f.Hint)
}

// fit asks the sink's options whether they go together with its rows.
func (p place) fit(s *Sink, rows *plan.Plan) (out Problems) {
	f, ok := s.Options.(sink.Fitter)
	if !ok {
		return nil
	}
	for _, err := range flatten(f.Fit(rows.Schema(), rows.Keys())) {
		part, message := s.Spec.Type, err.Error()
		if blamed := (*sink.FieldError)(nil); errors.As(err, &blamed) {
			part, message = join(part, blamed.Path), blamed.Message
		}
		out = append(out, p.file.at(nearest(p.node, part), part, message, ""))
	}
	return out
}

// kinds refuses columns that the sink's type cannot hold.
func (p place) kinds(s *Sink, rows *record.Schema) Problems {
	var out Problems
	for _, f := range rows.Fields {
		if slices.Contains(s.Spec.Kinds, f.Type.Kind) {
			continue
		}
		part, value := "fields", nearest(p.node, "fields")
		for _, prefix := range []string{"fields.", "aggregate.columns."} {
			if k, _ := entry(child(p.node, strings.TrimSuffix(prefix, ".")), f.Name); k != nil {
				part, value = prefix+f.Name, k
			}
		}
		message := fmt.Sprintf("%s cannot hold %s", s.Spec.Type, f.Type)
		if part == "fields" {
			message = "the field " + f.Name + ": " + message
		}
		hint := ""
		if slices.Contains(s.Spec.Kinds, record.JSON) {
			hint = "write {from: …, as: json}"
		}
		out = append(out, p.file.at(value, part, message, hint))
	}
	return out
}
