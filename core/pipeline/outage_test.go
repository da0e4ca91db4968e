package pipeline_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/pipeline"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/telemetry"
)

// avroBench is a bench whose events are Avro, with a registry.
type avroBench struct {
	*bench
	admin *sr.Client
	away  atomic.Bool // the registry answers 503
	id    uint32      // of the schema
}

const clickSchema = `{"type":"record","name":"event","fields":[{"name":"id","type":"string"},{"name":"n","type":"long"}]}`

func newAvroBench(t *testing.T, grace time.Duration) *avroBench {
	t.Helper()
	b := &avroBench{bench: newBench(t, 1)}
	r := srfake.New()
	t.Cleanup(r.Close)
	r.Intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodGet && b.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	var err error
	if b.admin, err = sr.NewClient(sr.URLs(r.URL())); err != nil {
		t.Fatal(err)
	}
	b.id = b.register(clickSchema)
	client, err := decode.NewRegistry(decode.RegistryOptions{URL: r.URL(), Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if b.events, err = decode.Open(t.Context(), decode.Options{Format: decode.Avro, Registry: client, Subject: "events-value", Grace: grace}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *avroBench) register(schema string) uint32 {
	b.t.Helper()
	s, err := b.admin.CreateSchema(b.t.Context(), "events-value", sr.Schema{Schema: schema, Type: sr.TypeAvro})
	if err != nil {
		b.t.Fatal(err)
	}
	return uint32(s.ID)
}

// event is e<n> as the schema has it, under any id.
func event(id uint32, n int) *kgo.Record {
	name := fmt.Sprintf("e%d", n)
	v := append(binary.BigEndian.AppendUint32([]byte{0}, id), byte(2*len(name)))
	return &kgo.Record{Topic: "events", Value: binary.AppendVarint(append(v, name...), int64(n))}
}

func (b *avroBench) send(records ...*kgo.Record) {
	b.t.Helper()
	if err := b.client.ProduceSync(b.t.Context(), records...).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

var ofEvents = plan.Spec{Fields: []plan.Field{{Name: "id", Expr: "id"}, {Name: "n", Expr: "n"}}}

// inState waits until the only lane is in a state, and returns its reason.
func (b *bench) inState(m *telemetry.Registry, want telemetry.State) (reason string) {
	b.t.Helper()
	b.wait("state "+want.String(), func() bool {
		lanes := m.Snapshot().Lanes
		if len(lanes) != 1 || lanes[0].State != want {
			return false
		}
		reason = lanes[0].Reason
		return true
	})
	return reason
}

// A thousand records with a thousand made-up schema ids cost one grace, not a
// thousand, and each of them gets its letter.
func TestMadeUpSchemaIDs(t *testing.T) {
	b := newAvroBench(t, time.Second)
	s := newShelf()
	var records []*kgo.Record
	for i := range 1000 {
		records = append(records, event(1_000_000+uint32(i), i))
	}
	b.send(append(records, event(b.id, 5000))...)
	began := time.Now()
	stop, m := b.run([]pipeline.Sink{b.sink("all", s, ofEvents)}, 0)
	defer stop()
	b.wait("the row behind them", func() bool { return len(s.all()) == 1 })
	t.Logf("took %s", time.Since(began)) // a thousand graces would be longer than the wait is
	b.wait("1000 letters", func() bool { return b.dead() == 1000 })
	if reason := b.inState(m, telemetry.Running); reason != "" {
		t.Errorf("running with reason %q", reason)
	}
}

// While a schema is missing, and while the registry is away, the lane shows what
// it waits for and nothing is put aside; then it goes on by itself.
func TestRegistryOutageShows(t *testing.T) {
	b := newAvroBench(t, time.Hour)
	s := newShelf()
	b.send(event(b.id, 1))
	stop, m := b.run([]pipeline.Sink{b.sink("all", s, ofEvents)}, 0)
	defer stop()
	b.wait("a row", func() bool { return len(s.all()) == 1 })
	b.send(event(b.id+1, 2))
	if reason := b.inState(m, telemetry.NoSchema); !strings.Contains(reason, fmt.Sprintf("schema id %d ", b.id+1)) || !strings.Contains(reason, "waiting since 20") {
		t.Errorf("reason %q", reason)
	}
	b.away.Store(true)
	if reason := b.inState(m, telemetry.NoRegistry); !strings.Contains(reason, "no answer of use since 20") || !strings.Contains(reason, "status 503") {
		t.Errorf("reason %q", reason)
	}
	b.away.Store(false)
	if got := b.register(strings.Replace(clickSchema, `"n","type":"long"`, `"n","type":"int"`, 1)); got != b.id+1 {
		t.Fatalf("schema id %d, want %d", got, b.id+1)
	}
	b.wait("the second row", func() bool { return len(s.all()) == 2 })
	b.inState(m, telemetry.Running)
	if n := b.dead(); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

// While the brokers cannot be read, the lane says since when, and goes on by
// itself.
func TestBrokerOutageShows(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 10, 1)
	stop, m := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	defer stop()
	b.wait("5 rows", func() bool { return len(s.all()) == 5 })
	var away atomic.Bool
	away.Store(true)
	b.cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if !away.Load() {
			return nil, nil, false
		}
		resp := r.ResponseKind().(*kmsg.FetchResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp, nil, true
	})
	if reason := b.inState(m, telemetry.NoBroker); !strings.Contains(reason, "nothing can be read from Kafka since 20") {
		t.Errorf("reason %q", reason)
	}
	b.produce(10, 20, 1)
	away.Store(false)
	b.wait("10 rows", func() bool { return len(s.all()) == 10 })
	b.inState(m, telemetry.Running)
}

// While the group cannot be joined there is no lane to say so: the stream does.
func TestAGroupThatCannotBeJoinedShows(t *testing.T) {
	b := newBench(t, 1)
	s := newShelf()
	b.produce(0, 10, 1)
	var away atomic.Bool
	away.Store(true)
	b.cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if away.Load() {
			return nil, errors.New("no answer"), true // closes the connection
		}
		return nil, nil, false
	})
	stop, m := b.run([]pipeline.Sink{b.sink("clicks", s, ofClicks)}, 0)
	defer stop()
	state := func() telemetry.StreamSnapshot {
		if all := m.Snapshot().Streams; len(all) == 1 {
			return all[0]
		}
		return telemetry.StreamSnapshot{}
	}
	b.wait("the stream to say so", func() bool { return state().State == telemetry.NoBroker })
	if reason := state().Reason; !strings.Contains(reason, "the group cannot be joined since 20") {
		t.Errorf("reason %q", reason)
	}
	away.Store(false)
	b.wait("5 rows", func() bool { return len(s.all()) == 5 })
	if got := state(); got.State != telemetry.Running || got.Reason != "" {
		t.Errorf("state %s, reason %q", got.State, got.Reason)
	}
}
