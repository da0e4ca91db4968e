package sinktest_test

import (
	"strings"
	"testing"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/sink/sinktest"
)

// TestMutants runs the kit on sinks that are wrong in one way each. The cases
// that are named, alone, must find it, in words that say what is wrong.
func TestMutants(t *testing.T) {
	f := func(d sink.Delivery, bug, says string, cases ...string) {
		t.Helper()
		resumes := d == resuming
		if resumes {
			d = sink.Replay
		}
		t.Run(bug, func(t *testing.T) {
			said := sinktest.Failures(t, variant{d, resumes, bug, nil}.target(t), 200, cases...)
			for _, c := range cases {
				if len(said[c]) == 0 {
					t.Errorf("%s does not notice a sink that %s", c, bug)
				}
			}
			all := ""
			for _, lines := range said {
				all += strings.Join(lines, "\n") + "\n"
			}
			if !strings.Contains(all, says) {
				t.Errorf("a sink that %s is reported without %q:\n%.2000s", bug, says, all)
			}
		})
	}
	f(sink.Replay, "doubles on retry", "is at the destination twice", "EqualBatchTwice", "OldOwner", "Crash")
	f(sink.Atomic, "forgets the position", "position", "Found", "EmptyBatch")
	f(sink.Atomic, "ignores the compare-and-set", "is at the destination twice", "GapAndOverlap", "OldOwner", "EqualBatchTwice", "Crash")
	f(sink.Atomic, "accepts a gap", "want Stale", "GapAndOverlap")
	f(sink.Atomic, "compares the first partition only", "want Stale", "GapAndOverlap")
	f(sink.Atomic, "loses empty batches", "a batch without rows moves it too", "EmptyBatch")
	f(sink.Replay, "fails on empty batches", "without rows", "EmptyBatch")
	f(sink.Atomic, "takes a repeat for another batch", "again", "EqualBatchTwice")
	f(sink.Atomic, "finds no dead set", "dead set", "DeadSet", "Crash")
	f(sink.Atomic, "finds more than there is", "High [44], want [43]", "Found")
	f(sink.Replay, "finds more than there is", "beyond", "Found", "Crash")
	f(sink.Replay, "forgets that it was there", "want Has", "Found", "Crash")
	f(sink.Replay, "forgets other incarnations", "incarnation", "OtherIncarnation")
	f(sink.Atomic, "commits in two steps", "is at the destination twice", "Crash")
	f(sink.Replay, "names batches by their owner", "is at the destination twice", "OldOwner", "OldOwnerLater", "EqualBatchTwice", "Crash")
	f(sink.Replay, "names batches by their first offset", "not at the destination, though committed", "WideSlot")
	f(sink.Replay, "names batches by their first partition", "not at the destination, though committed", "WideSlot", "Crash")
	f(sink.Replay, "names batches by the order of their rows", "is at the destination ", "Crash")
	f(sink.Replay, "shows what is staged", "in no batch", "Invisible")
	f(resuming, "resumes what is not there", "not at the destination, though committed", "OldOwner", "Crash")
	f(resuming, "does not fence what it resumes", "is at the destination twice", "OldOwner", "Crash")

	f(sink.Atomic, "drops the last row", "not at the destination", "Sequence", "ManyRows", "Types", "Crash")
	f(sink.Replay, "swaps null and zero", "want null", "Sequence", "Types")
	f(sink.Replay, "cuts times to milliseconds", "type timestamp: the value 1700000000123456 comes back as 1700000000123000", "Types", "OneRow")
	f(sink.Replay, "takes decimals for floats", "type decimal(38,0)", "Types")
	f(sink.Replay, "cuts long texts", "16777216 bytes", "HugeValue")
	f(sink.Replay, "takes every kind", "was taken, which is not among the Spec's Kinds", "RefusedKinds")
	f(sink.Replay, "keeps chunks", "never wrote", "Sequence", "ManyRows")
	f(sink.Replay, "keeps rows of a refused chunk", "twice", "Poison")
	f(sink.Replay, "blames the wrong row", "offset 102", "Poison")
	f(sink.Replay, "shows what it refuses", "the content of a row", "Poison")
	f(sink.Replay, "does not say what it holds", "returned size 0", "OneRow")
	f(sink.Replay, "makes long tokens", "token of 78 bytes", "OneRow")

	f(sink.Atomic, "marks everything refused", "refused", "Crash")
	f(sink.Replay, "marks everything refused", "by owner", "Crash")
	f(sink.Atomic, "takes errors for success", "is not at the destination, though committed", "ServerAway", "Crash")
	f(sink.Replay, "takes errors for success", "is not at the destination, though committed", "ServerAway")
	f(sink.Atomic, "logs what it returns", "logged the error", "ServerAway", "Crash")
	f(sink.Atomic, "blames rows for the network", "rows are blamed", "ServerAway")
	f(sink.Replay, "gives up without a server", "marked Permanent", "ServerAway")
	f(sink.Replay, "ignores its context", "did not return within", "NoAnswer")
	f(sink.Replay, "leaves a goroutine", "goroutines are left", "Goroutines")
	f(sink.Replay, "shows secrets", "shows \"canary", "Secrets")
}

// resuming stands for Replay with a writer that resumes.
const resuming = sink.AtLeastOnce + 1
