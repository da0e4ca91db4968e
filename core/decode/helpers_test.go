package decode_test

import (
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/core/record"
)

// path parses payload.items[0].price.
func path(text string) record.Path {
	var p record.Path
	for _, part := range strings.Split(text, ".") {
		name, rest, _ := strings.Cut(part, "[")
		p = append(p, record.Step{Name: name})
		for rest != "" {
			index, more, _ := strings.Cut(rest, "]")
			i, err := strconv.Atoi(index)
			if err != nil {
				panic(err)
			}
			p = append(p, record.Step{Index: i})
			rest = strings.TrimPrefix(more, "[")
		}
	}
	return p
}
