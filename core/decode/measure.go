package decode

import "fmt"

// NewMeasure makes a function that tells how many bytes the Avro value at the
// start of its argument has, by a writer's schema, or -1 where there is none. It
// is for one goroutine: where values follow each other without a length, as in
// the blocks of a container, nothing else tells where the next one starts.
func NewMeasure(schema []byte, l Limits) (func(value []byte) int, error) {
	l = l.withDefaults()
	l.Items, l.String, l.Record = 100*l.Items, 1<<30, 1<<30 // who reads the value judges it
	if len(schema) > l.Schema {
		return nil, fmt.Errorf("a schema of %d bytes: the limit is %d", len(schema), l.Schema)
	}
	n, err := parseSchema(schema)
	if err != nil {
		return nil, err
	}
	s := &Stream{options: Options{Format: Avro, Limits: l}, reader: n}
	d, err := s.NewDecoder(nil)
	if err != nil {
		return nil, err
	}
	return func(value []byte) int {
		d.m.fault = 0
		return d.m.exec(value, 0, 0)
	}, nil
}
