package nearest

import "strings"

// Name is the first of the names that are spelt most like name, whatever their
// letter case, or "" where each differs in more than half of its bytes.
func Name(name string, among []string) string {
	best, distance := "", len(name)/2+1
	for _, a := range among {
		if d := edits(strings.ToLower(name), strings.ToLower(a)); d < distance {
			best, distance = a, d
		}
	}
	return best
}

// edits counts the bytes to insert, delete or replace.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
