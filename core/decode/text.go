package decode

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"
)

// Text is a whole event as JSON text, by the schema that it was written with,
// for a person to look at. An error says why it has none: what the event is
// lacking, or that the registry cannot be asked now.
func (s *Stream) Text(ctx context.Context, value []byte) ([]byte, error) {
	if len(value) > s.options.Limits.Record {
		return nil, errors.New(faultTexts[faultLong])
	}
	if s.options.Format == JSON {
		if !json.Valid(value) {
			return nil, errors.New("not valid JSON")
		}
		return value, nil
	}
	n, i := s.reader, 0
	if s.options.Framing == Confluent {
		if len(value) < 5 || value[0] != 0 {
			return nil, errors.New("the event does not start with a zero byte and a schema id")
		}
		i = 5
		if s.schemas != nil {
			var bad string
			var err error
			// Nobody waits for a schema to be registered: the record is old.
			n, bad, err = s.schemas.get(ctx, binary.BigEndian.Uint32(value[1:]), time.Time{}.UnixMilli())
			if err != nil {
				return nil, err
			}
			if bad != "" {
				return nil, errors.New(bad)
			}
		}
	}
	r := renderer{limits: &s.options.Limits}
	next, f := r.value(n, value, i, 0)
	switch {
	case f != 0:
		return nil, errors.New(faultTexts[f])
	case next != len(value):
		return nil, errors.New(faultTexts[faultTrailing])
	}
	return r.out, nil
}
