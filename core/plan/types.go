package plan

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/core/record"
)

// maxTypeText bounds the text of a type, and with it the nesting of lists.
const maxTypeText = 200

// ParseType reads a type as the YAML writes it: bool, int, uint, float,
// decimal(18,6), timestamp, string, bytes, json, list(T), map(T). A timestamp
// may name the unit of the number that it is read from, timestamp(ms); unit is
// then s, ms, us or ns, and else empty.
func ParseType(text string) (t record.Type, unit string, err error) {
	text = strings.TrimSpace(text)
	if len(text) > maxTypeText {
		return t, "", fmt.Errorf("type of %d bytes: at most %d", len(text), maxTypeText)
	}
	name, args, ok := splitType(text)
	if !ok {
		return t, "", fmt.Errorf("type %q: not closed", text)
	}
	switch name {
	case "decimal":
		t, err = parseDecimalType(text, args)
		return t, "", err
	case "timestamp":
		switch args {
		case "", "s", "ms", "us", "ns":
			return record.Type{Kind: record.Timestamp}, args, nil
		}
		return t, "", fmt.Errorf("type %q: the unit is s, ms, us or ns", text)
	case "list", "map":
		elem, unit, err := ParseType(args)
		if err != nil {
			return t, "", err
		}
		if unit != "" {
			return t, "", fmt.Errorf("type %q: a unit is for a single timestamp", text)
		}
		kind := record.List
		if name == "map" {
			kind = record.Map
		}
		return record.Type{Kind: kind, Elem: &elem}, "", nil
	}
	for _, k := range record.Kinds() {
		if k.String() == name && args == "" {
			return record.Type{Kind: k}, "", nil
		}
	}
	return t, "", fmt.Errorf("no type %q: bool, int, uint, float, decimal(p,s), timestamp, timestamp(s|ms|us|ns), string, bytes, json, list(T) or map(T)", text)
}

// splitType takes decimal(18,6) apart.
func splitType(text string) (name, args string, ok bool) {
	name, args, found := strings.Cut(text, "(")
	if !found {
		return name, "", true
	}
	args, ok = strings.CutSuffix(args, ")")
	return strings.TrimSpace(name), strings.TrimSpace(args), ok
}

func parseDecimalType(text, args string) (record.Type, error) {
	p, s, _ := strings.Cut(args, ",")
	precision, err1 := strconv.Atoi(strings.TrimSpace(p))
	scale, err2 := strconv.Atoi(strings.TrimSpace(s))
	if err1 != nil || err2 != nil {
		return record.Type{}, fmt.Errorf("type %q: write decimal(precision,scale), such as decimal(18,6)", text)
	}
	return decimalType(precision, scale)
}

// decimalType checks the parameters of a decimal.
func decimalType(precision, scale int) (record.Type, error) {
	if precision < 1 || precision > record.MaxPrecision || scale < 0 || scale > precision {
		return record.Type{}, fmt.Errorf("decimal(%d,%d): precision is 1 to %d, scale 0 to the precision", precision, scale, record.MaxPrecision)
	}
	return record.Type{Kind: record.Decimal, Precision: uint8(precision), Scale: uint8(scale)}, nil
}
