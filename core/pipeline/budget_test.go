package pipeline_test

import (
	"context"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/pipeline"
)

// Readers beyond their half of the budget wait in turn; what others can do without is taken first; one that wants more than there is is let
// in when nobody else reads.
func TestReadersShareTheirHalf(t *testing.T) {
	b := pipeline.NewBudget(200)
	ctx := t.Context()
	spare := &pipeline.Keeper{Budget: b, Bytes: 60}
	spare.Hold()
	for range 2 { // the second one takes what was kept
		if err := b.Reserve(ctx, 40); err != nil {
			t.Fatal(err)
		}
	}
	if reading, _ := b.Used(); reading != 80 {
		t.Fatalf("%d bytes, want 80: what was kept was not taken back", reading)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := b.Reserve(short, 30); err == nil {
		t.Fatal("let in beyond the half")
	}
	turns := make(chan int64, 2)
	for _, n := range []int64{500, 10} {
		go func() {
			if b.Reserve(ctx, n) == nil {
				turns <- n
			}
		}()
		time.Sleep(20 * time.Millisecond) // they come in this order
	}
	select {
	case n := <-turns:
		t.Fatalf("%d was let in before its turn", n)
	default:
	}
	b.Charge(-80)
	if n := <-turns; n != 500 {
		t.Fatalf("%d came first, want 500", n)
	}
	b.Charge(-500)
	if n := <-turns; n != 10 {
		t.Fatalf("%d came second", n)
	}
	b.Charge(-10)
	if reading, _ := b.Used(); reading != 0 {
		t.Fatalf("%d bytes are charged at the end", reading)
	}
}

// A sink that takes all it can get leaves something to the others; its lanes wait for each other, and are told when to commit.
func TestADeadSinkLeavesRoom(t *testing.T) {
	b := pipeline.NewBudget(6000) // half of it is for sinks
	dead, wake := pipeline.NewAccounts(b, 50)
	holding := 0
	for _, a := range dead {
		if !a.Borrow(100, false) {
			continue
		}
		a.Hold(100)
		a.Repay()
		holding++
	}
	if _, held := b.Used(); held < 1800 || held > 2000 {
		t.Fatalf("a sink alone holds %d of 3000 bytes, want at most two thirds", held)
	}
	if !dead[0].Pressed() || !dead[0].Full() {
		t.Error("a lane that holds rows is not told that others wait")
	}
	others, _ := pipeline.NewAccounts(b, 1)
	if !others[0].Borrow(400, false) {
		t.Error("another sink gets nothing")
	}
	others[0].Repay()
	if !dead[0].Borrow(1000, true) {
		t.Error("a batch that is repeated does not get its end")
	}
	dead[0].Repay()
	// The first one that waits is woken when a lane has committed, and no other.
	for len(wake[holding]) > 0 { // it may have been woken for less than it wants
		<-wake[holding]
	}
	if dead[holding].Borrow(100, false) {
		t.Error("let in although there is no room")
	}
	dead[0].Hold(-100)
	select {
	case <-wake[holding]:
	default:
		t.Fatal("not woken")
	}
	if dead[holding+1].Borrow(100, false) {
		t.Error("the second one overtook the first")
	}
	if !dead[holding].Borrow(100, false) {
		t.Error("the first one is not let in")
	}
	// A record of any size is let in where the sink holds nothing.
	alone, _ := pipeline.NewAccounts(b, 1)
	if !alone[0].Borrow(1<<30, false) {
		t.Error("a sink that holds nothing waits")
	}
}
