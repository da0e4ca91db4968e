package config

import (
	"slices"
	"strings"

	"github.com/sluicekit/sluice/core/plan"
)

// Near is the name that was most probably meant, or "": the one that is spelt
// most alike, else one of which the other is the start.
func Near(name string, known []string) string {
	if near := plan.Nearest(name, known); len(near) > 0 {
		return near[0]
	}
	for _, k := range slices.Sorted(slices.Values(known)) {
		if len(name) >= 3 && len(k) >= 3 && k != name && (strings.HasPrefix(k, name) || strings.HasPrefix(name, k)) {
			return k
		}
	}
	return ""
}

// didYouMean is the hint for an unknown name, or "".
func didYouMean(name string, known []string) string {
	if n := Near(name, known); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}

// oneOf lists names as a sentence does.
func oneOf(names []string) string {
	switch len(names) {
	case 0:
		return "nothing"
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
