package plan

import (
	"cmp"
	"slices"
)

// maxNear is how many names a hint offers.
const maxNear = 3

// Nearest picks the names that look most like name, nearest first: those that
// a person may have meant. It offers at most three, and none if nothing is
// near.
func Nearest(name string, among []string) []string {
	if len(name) > 100 {
		return nil
	}
	type near struct {
		name     string
		distance int
	}
	var found []near
	for _, a := range among {
		if len(a) > 100 {
			continue
		}
		if d := distance(name, a); d <= max(1, len(name)/3) && a != name {
			found = append(found, near{a, d})
		}
	}
	slices.SortFunc(found, func(a, b near) int {
		if a.distance != b.distance {
			return a.distance - b.distance
		}
		return cmp.Compare(a.name, b.name)
	})
	var names []string
	for i, n := range found {
		if i == maxNear {
			break
		}
		names = append(names, n.name)
	}
	return names
}

// distance is the number of bytes to insert, drop, change or swap with their
// neighbour to make a out of b. Letter case does not count: CampaignID is near campaignId.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if fold(a[i]) == fold(b[j]) {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && fold(a[i]) == fold(b[j-1]) && fold(a[i-1]) == fold(b[j]) {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
