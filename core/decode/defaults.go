package decode

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
)

var errDefault = errors.New("a default that does not fit its type")

// What one default may cost: fields that are missing in it take their own
// defaults, of which names make any number.
const (
	maxDefaultSteps = 10_000
	maxDefaultText  = 4 << 20 // bytes of its texts and keys
)

// encodeDefault encodes the default of a field, as the schema's JSON gives it,
// in Avro: a default is then read by the same steps as a written value.
func encodeDefault(f *field) ([]byte, error) {
	d := defaults{steps: maxDefaultSteps, text: maxDefaultText}
	return d.value(nil, f.typ, f.def)
}

type defaults struct{ steps, text int } // what is left

// spend says whether there is enough left for a text.
func (d *defaults) spend(s string) bool {
	d.text -= len(s)
	return d.text >= 0
}

func (d *defaults) value(out []byte, n *node, v any) ([]byte, error) {
	if d.steps--; d.steps < 0 {
		return nil, errDefault
	}
	switch n.kind {
	case avroNull:
		if v == nil {
			return out, nil
		}
	case avroBoolean:
		if b, ok := v.(bool); ok {
			if b {
				return append(out, 1), nil
			}
			return append(out, 0), nil
		}
	case avroInt, avroLong, avroFloat, avroDouble:
		return appendNumber(out, n, v)
	case avroString, avroBytes, avroFixed, avroEnum:
		if s, ok := v.(string); ok && d.spend(s) {
			return appendText(out, n, s)
		}
	case avroUnion:
		// Avro takes the first branch; newer versions any that fits. What one that
		// does not fit leaves behind out is written over by the next.
		for i, b := range n.branches {
			if got, err := d.value(appendVarint(out, int64(i)), b, v); err == nil {
				return got, nil
			}
		}
	default:
		return d.compound(out, n, v)
	}
	return nil, errDefault
}

func appendNumber(out []byte, n *node, v any) ([]byte, error) {
	num, ok := v.(json.Number)
	if !ok {
		return nil, errDefault
	}
	switch n.kind {
	case avroFloat:
		f, err := strconv.ParseFloat(string(num), 32)
		return binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(f))), err
	case avroDouble:
		f, err := num.Float64()
		return binary.LittleEndian.AppendUint64(out, math.Float64bits(f)), err
	}
	i, err := num.Int64()
	if err != nil || n.kind == avroInt && i != int64(int32(i)) {
		return nil, errDefault
	}
	return appendVarint(out, i), nil
}

// appendText: bytes and fixed are written one code point per byte.
func appendText(out []byte, n *node, s string) ([]byte, error) {
	switch n.kind {
	case avroEnum:
		i := slices.Index(n.symbols, s)
		if i < 0 {
			return nil, errDefault
		}
		return appendVarint(out, int64(i)), nil
	case avroString:
		return append(appendVarint(out, int64(len(s))), s...), nil
	}
	var raw []byte
	for _, r := range s {
		if r > 0xff {
			return nil, errDefault
		}
		raw = append(raw, byte(r))
	}
	if n.kind == avroFixed {
		if len(raw) != n.size {
			return nil, errDefault
		}
		return append(out, raw...), nil
	}
	return append(appendVarint(out, int64(len(raw))), raw...), nil
}

func (d *defaults) compound(out []byte, n *node, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case []any:
		if n.kind != avroArray {
			return nil, errDefault
		}
		if len(v) > 0 {
			out = appendVarint(out, int64(len(v)))
		}
		for _, e := range v {
			if out, err = d.value(out, n.items, e); err != nil {
				return nil, err
			}
		}
		return append(out, 0), nil
	case map[string]any:
		if n.kind == avroMap {
			return d.entries(out, n, v)
		}
		if n.kind != avroRecord {
			return nil, errDefault
		}
		for _, f := range n.fields {
			e, ok := v[f.name]
			if !ok {
				if e = f.def; !f.hasDef {
					return nil, errDefault
				}
			}
			if out, err = d.value(out, f.typ, e); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, errDefault
}

// entries writes the entries in the order of their keys, so that a default
// is the same bytes on every run.
func (d *defaults) entries(out []byte, n *node, v map[string]any) ([]byte, error) {
	if len(v) > 0 {
		out = appendVarint(out, int64(len(v)))
	}
	keys := make([]string, 0, len(v))
	for k := range v {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var err error
	for _, k := range keys {
		if !d.spend(k) {
			return nil, errDefault
		}
		out = append(appendVarint(out, int64(len(k))), k...)
		if out, err = d.value(out, n.items, v[k]); err != nil {
			return nil, err
		}
	}
	return append(out, 0), nil
}

func appendVarint(out []byte, v int64) []byte {
	return binary.AppendUvarint(out, uint64(v<<1)^uint64(v>>63))
}
