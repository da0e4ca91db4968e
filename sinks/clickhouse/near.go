package clickhouse

import "strings"

// nearest suggests the column that was probably meant: the end of a message.
func (t *table) nearest(name string) string {
	best, distance := "", len(name)/2+1
	for _, c := range t.columns {
		if d := edits(strings.ToLower(name), strings.ToLower(c.name)); d < distance {
			best, distance = c.name, d
		}
	}
	if best == "" {
		return ""
	}
	return " (the nearest is " + best + ")"
}

// edits counts the bytes to insert, delete or replace.
func edits(a, b string) int {
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			next[j] = min(last[j]+1, next[j-1]+1)
			same := last[j-1]
			if a[i-1] != b[j-1] {
				same++
			}
			next[j] = min(next[j], same)
		}
		last = next
	}
	return last[len(b)]
}
