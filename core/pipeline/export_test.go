package pipeline

import (
	"context"

	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

// Raw reads records of partition 0 again as a lane's feed does.
func Raw(ctx context.Context, cluster *source.Cluster, topic string, id [16]byte, offsets []int64) ([]lane.Letter, error) {
	return (&kafka{Cluster: cluster}).cursor(cursorOptions{budget: &Budget{}, topic: topic, topicID: id, changed: func() {}}).raw(ctx, offsets)
}

// Account is what one lane holds of a sink's portion.
type Account = account

// NewAccounts makes lanes of one sink, and the channels that wake them.
func NewAccounts(b *Budget, n int) (all []*Account, wake []chan struct{}) {
	p := newPortion(b)
	for range n {
		wake = append(wake, make(chan struct{}, 1))
		all = append(all, p.account(wake[len(wake)-1]))
	}
	return all, wake
}

// Borrow is borrow.
func (a *Account) Borrow(n int64, must bool) bool { return a.borrow(n, must) }

// Repay is repay.
func (a *Account) Repay() { a.repay() }

// Pressed is pressed.
func (a *Account) Pressed() bool { return a.pressed() }

// Keeper gives back so many bytes when it is asked.
type Keeper struct {
	Budget *Budget
	Bytes  int64
}

// Hold takes the bytes.
func (k *Keeper) Hold() {
	k.Budget.Charge(k.Bytes)
	k.Budget.keep(k)
}

func (k *Keeper) spare(n need) int64 {
	if n == idle || k.Bytes == 0 {
		return 0
	}
	freed := k.Bytes
	k.Bytes = 0
	k.Budget.Charge(-freed)
	return freed
}
