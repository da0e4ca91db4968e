package harness

import "fmt"

// sums is what a table must hold at certain positions.
type sums struct {
	at       []int64
	rows     int64
	ids      int64 // sum of the ids
	scatter  int64 // sum of what no other set of ids has but by chance
	cents    int64
	balances [accounts]int64
	events   [accounts]int64
}

// advance moves to positions that are not below those before.
func (s *sums) advance(t *truth, positions []int64, wanted func(event) bool) {
	if s.at == nil {
		s.at = make([]int64, len(positions))
	}
	for i, next := range positions {
		t.each(i, s.at[i], next, func(_, id int64) {
			e := makeEvent(id)
			if !wanted(e) {
				return
			}
			s.rows++
			s.ids += id
			s.scatter += id * id % 1_000_003
			s.cents += e.cents
			s.balances[e.account] += e.cents
			s.events[e.account]++
		})
		s.at[i] = max(s.at[i], next)
	}
}

// compare looks for a difference to what one snapshot saw of a table.
func (s *sums) compare(what string, got tableSums) error {
	want := tableSums{s.rows, s.ids, s.scatter, formatCents(s.cents)}
	if got != want {
		return fmt.Errorf("%s at positions %v: has %d rows (sum %d/%d, amount %s), must have %d (sum %d/%d, amount %s)",
			what, s.at, got.rows, got.ids, got.scatter, got.cents, want.rows, want.ids, want.scatter, want.cents)
	}
	return nil
}

// compareBalances does the same for the balances.
func (s *sums) compareBalances(got map[int64]balance) error {
	for account := range int64(accounts) {
		b, ok := got[account]
		if !ok {
			b = balance{"0.00", 0}
		}
		want := balance{formatCents(s.balances[account]), s.events[account]}
		if b != want {
			return fmt.Errorf("balance of account %d at positions %v: is %s of %d events, must be %s of %d",
				account, s.at, b.amount, b.events, want.amount, want.events)
		}
	}
	if len(got) > accounts {
		return fmt.Errorf("%d balances of %d accounts", len(got), accounts)
	}
	return nil
}
