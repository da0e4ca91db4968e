package sinktest

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// Target is a sink under test. There is no list of tests to leave out: what a
// sink cannot do is in its Spec (Kinds, Delivery, Grouped).
type Target struct {
	Spec sink.Spec

	// New makes an empty destination for the rows of one test: a folder, a
	// database, a table of a new name. It ends with t.
	New func(t testing.TB, need Need) Destination

	// Load reads YAML files as the program does, and returns its error. The kit
	// hands it the Spec's example, cut into the connections and the sink, beside
	// a stream named events.
	Load func(paths []string) error

	// Server is the address (host:port) of the server that all destinations are
	// on; "" if there is none. The kit puts a proxy before it, and hands its
	// address to New.
	Server string

	// Kill ends the server as a crash does, Start starts it again on the same
	// data and address. Both or neither.
	Kill  func() error
	Start func(ctx context.Context) error
}

// Need is what a test wants of a destination.
type Need struct {
	Schema  *record.Schema
	Keys    []string // the grouping columns of an aggregate, in order; nil without one
	Address string   // where the sink connects instead of Target.Server; "" without one
}

// Destination is an empty place for rows.
type Destination struct {
	Options sink.Options // as Spec.Options makes them, filled
	Conn    sink.Options // as Spec.Connection makes them, filled; nil without one

	// Rows reads what a user of the destination sees now, in any order, going
	// past the sink and its proxy.
	Rows func(ctx context.Context) ([]Row, error)
}

// Row is one row at the destination: a value per field of the schema, in its
// order. nil is null; otherwise, by the field's kind:
//
//	bool       a bool, or 0 and 1 as an integer or text
//	int, uint  any Go integer, or its digits as text
//	float      a float64, or its text
//	decimal    its text
//	timestamp  a time.Time, or its text in UTC (RFC 3339, or with a space
//	           instead of the T and without a zone), or microseconds since 1970
//	           as an int64
//	string     text
//	json       text; white space, the order of members and the way that
//	           numbers are written do not count, and a JSON null may be nil
//	bytes      text, as it is: not base64
//	list       []any of such values
//	map        map[string]any of such values
//
// where text is a string, a type made of it such as json.Number, or a []byte.
type Row []any

// The environment variables that repeat a run and make it longer.
const (
	seedVariable   = "SLUICE_SINKTEST_SEED"
	roundsVariable = "SLUICE_SINKTEST_ROUNDS"
)

// How many faults the crash test brings about.
const (
	defaultRounds = 200
	shortRounds   = 40 // with -short
)

// Run is the test of a sink: a failure is an error of the sink, told in
// sentences.
func Run(t *testing.T, target Target) {
	t.Helper()
	s := settings{printed: uint64(time.Now().UnixNano()), rounds: defaultRounds}
	if testing.Short() {
		s.rounds = shortRounds
	}
	if text := os.Getenv(seedVariable); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
		s.printed = n
	}
	if text := os.Getenv(roundsVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", roundsVariable, err)
		}
		s.rounds = n
	}
	t.Logf("seed %d (%s repeats it)", s.printed, seedVariable)
	for _, c := range cases() {
		if c.wanted == nil || c.wanted(target) {
			t.Run(c.name, func(t *testing.T) { c.run(newBench(t, target, s.of(c.name))) })
		}
	}
}

// settings are what a run may vary.
type settings struct {
	printed uint64 // what repeats the run
	seed    uint64 // of one case
	rounds  int
}

// of gives every case its own course of chance, whichever cases run.
func (s settings) of(name string) settings {
	h := fnv.New64a()
	h.Write([]byte(name))
	s.seed = s.printed ^ h.Sum64()
	return s
}

func (s settings) random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(s.seed, stream)) }

// testCase is one test. wanted says whether the Spec promises what it tests;
// nil: every sink does.
type testCase struct {
	name   string
	run    func(*bench)
	wanted func(Target) bool
}

func cases() []testCase {
	atomic := func(t Target) bool { return t.Spec.Delivery == sink.Atomic }
	exact := func(t Target) bool { return t.Spec.Delivery != sink.AtLeastOnce }
	server := func(t Target) bool { return t.Server != "" }
	killed := func(t Target) bool { return t.Kill != nil }
	grouped := func(t Target) bool { return t.Spec.Grouped }
	return []testCase{
		{"Spec", checkSpec, nil},
		{"Options", checkVocabulary, nil},
		{"Example", checkExample, nil},
		{"Secrets", checkSecrets, nil},

		{"Types", everyType, nil},
		{"RefusedKinds", refusedKinds, nil},
		{"Poison", poison, nil},

		{"OneRow", oneRow, nil},
		{"Sequence", sequence, nil},
		{"Invisible", invisible, nil},
		{"EqualBatchTwice", equalTwice, exact},
		{"EmptyBatch", emptyBatch, nil},
		{"DeadSet", deadSet, nil},
		{"GapAndOverlap", gapAndOverlap, atomic},
		{"Found", foundBeforeAndAfter, nil},
		{"OtherIncarnation", otherIncarnation, exact},
		{"WideSlot", wideSlot, nil},
		{"TwoSlots", twoSlots, nil},
		{"TwoSinks", twoSinks, nil},
		{"ManyRows", manyRows, nil},
		{"HugeValue", hugeValue, nil},
		{"Grouped", groupedRows, grouped},

		{"OldOwner", oldOwner, exact},
		{"OldOwnerLater", oldOwnerLater, exact},

		{"Cancel", cancelled, nil},
		{"NoAnswer", noAnswer, server},
		{"ServerAway", serverAway, server},
		{"ServerKilled", serverKilled, killed},
		{"Goroutines", goroutines, nil},

		{"Crash", crash, nil},
	}
}
