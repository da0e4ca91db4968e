package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/sluicekit/sluice/core/telemetry"
)

var update = flag.Bool("update", false, "write the table of metrics into README.md")

// busy is a registry in which every metric has a value.
func busy() *telemetry.Registry {
	r := telemetry.NewRegistry()
	for _, id := range []telemetry.LaneID{laneID("balances", 0), laneID("balances", 1),
		{Sink: "odd \"name\"\\\n\xff", Connection: "c", Stream: "s", Topic: "t", Partition: 2, Partitions: 2}} {
		l := r.Lane(id)
		for i := range reflect.ValueOf(l).Elem().NumField() {
			f := reflect.ValueOf(l).Elem().Field(i)
			if !reflect.TypeOf(l).Elem().Field(i).IsExported() {
				continue
			}
			switch x := f.Addr().Interface().(type) {
			case *telemetry.Counter:
				x.Add(i)
			case *telemetry.Gauge:
				x.Set(int64(i))
			case *telemetry.Histogram:
				x.ObserveN(300*time.Millisecond, 3)
				x.Observe(100 * 24 * time.Hour)
			}
		}
		l.SetMarks([]telemetry.Mark{{Partition: id.Partition, Position: 5, HighWatermark: 12}})
		l.SetState(telemetry.Running, "")
	}
	r.Stream("events").Rebalances.Add(2)
	return r
}

// parse reads the exposition with Prometheus' own parser.
func parse(t *testing.T, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	var p expfmt.TextParser
	families, err := p.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return families
}

func exposition(t *testing.T, s telemetry.Snapshot) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := s.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("wrote %d bytes and says %d, %v", b.Len(), n, err)
	}
	return b.Bytes()
}

func labels(m *dto.Metric) map[string]string {
	all := map[string]string{}
	for _, l := range m.GetLabel() {
		all[l.GetName()] = l.GetValue()
	}
	return all
}

func TestPrometheusReadsIt(t *testing.T) {
	r := busy()
	families := parse(t, exposition(t, r.Snapshot()))
	for _, m := range telemetry.Metrics() {
		f := families[m.Name]
		if f == nil {
			t.Errorf("%s is not written", m.Name)
			continue
		}
		if got := strings.ToLower(f.GetType().String()); got != m.Type || f.GetHelp() != m.Help {
			t.Errorf("%s is a %s, %q; documented as %s, %q", m.Name, got, f.GetHelp(), m.Type, m.Help)
		}
		for _, sample := range f.GetMetric() {
			got := labels(sample)
			for _, l := range m.Labels {
				if _, ok := got[l]; !ok || len(got) != len(m.Labels) {
					t.Errorf("%s has labels %v, documented are %v", m.Name, got, m.Labels)
				}
			}
		}
		delete(families, m.Name)
	}
	for name := range families {
		t.Errorf("%s is not documented", name)
	}
}

func TestValuesInTheExposition(t *testing.T) {
	r := telemetry.NewRegistry()
	l := r.Lane(laneID("balances", 3))
	l.Committed.Add(12345678901)
	l.LastEventTime.Set(1_700_000_000_250_000)
	l.SetMarks([]telemetry.Mark{{Partition: 3, Position: 1 << 60, HighWatermark: -1}})
	l.SetState(telemetry.Retrying, "x")
	for i := range 10 {
		l.CommitTime.Observe(time.Duration(i) * 100 * time.Millisecond)
	}
	r.SetMemory(func() telemetry.Memory { return telemetry.Memory{Budget: 1 << 40, Reading: 3, Sinks: 4} })
	text := exposition(t, r.Snapshot())
	for _, want := range []string{
		"sluice_memory_budget_bytes 1099511627776", "sluice_memory_reading_bytes 3", "sluice_memory_sinks_bytes 4",
		`sluice_records_committed_total{sink="balances",connection="billing",stream="events",topic="ad.events",partition="3"} 1.2345678901e+10`,
		`sluice_position{sink="balances",connection="billing",stream="events",topic="ad.events",partition="3"} 1152921504606846976`,
		`sluice_last_event_time_seconds{sink="balances",connection="billing",stream="events",topic="ad.events",partition="3"} 1.70000000025e+09`,
		`partition="3",state="retrying"} 1`, `partition="3",state="running"} 0`,
	} {
		if !bytes.Contains(text, []byte(want+"\n")) {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
	if bytes.Contains(text, []byte("sluice_high_watermark{")) {
		t.Error("a high watermark that is not known is shown")
	}
	h := parse(t, text)["sluice_commit_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 10 || h.GetSampleSum() != 4.5 {
		t.Errorf("count %d, sum %v; want 10 and 4.5", h.GetSampleCount(), h.GetSampleSum())
	}
	last := uint64(0)
	for _, b := range h.GetBucket() {
		exact := uint64(0)
		for i := range 10 {
			if float64(i)*0.1 < b.GetUpperBound() {
				exact++
			}
		}
		if b.GetCumulativeCount() != exact || exact < last {
			t.Errorf("bucket up to %v has %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), exact)
		}
		last = exact
	}
	if last != 10 {
		t.Errorf("the last bucket has %d, want all 10", last)
	}
}

func TestReleasedLanesShowCountersOnly(t *testing.T) {
	r := busy()
	r.Lane(laneID("balances", 1)).Release()
	for name, f := range parse(t, exposition(t, r.Snapshot())) {
		shown := false
		if _, ok := labels(f.GetMetric()[0])["partition"]; !ok {
			continue // of the stream or the sink
		}
		for _, m := range f.GetMetric() {
			shown = shown || labels(m)["partition"] == "1"
		}
		if want := strings.HasSuffix(name, "_total") || name == "sluice_state"; shown != want && !strings.HasSuffix(name, "_seconds") {
			t.Errorf("%s of a slot that was given away: shown %v, want %v", name, shown, want)
		}
	}
}

func TestOddNamesAreEscaped(t *testing.T) {
	f := parse(t, exposition(t, busy().Snapshot()))["sluice_commits_total"]
	for _, m := range f.GetMetric() {
		if labels(m)["sink"] == "odd \"name\"\\\n\ufffd" {
			return
		}
	}
	t.Error("the odd name did not come back")
}

// TestWriteToTellsAnError has a reader that goes away.
func TestWriteToTellsAnError(t *testing.T) {
	r, w := io.Pipe()
	r.Close() //nolint:errcheck // a pipe in memory
	if _, err := busy().Snapshot().WriteTo(w); err == nil {
		t.Error("no error")
	}
}

func TestREADMEListsTheMetrics(t *testing.T) {
	var table strings.Builder
	table.WriteString("| metric | type | labels | |\n|---|---|---|---|\n")
	for _, m := range telemetry.Metrics() {
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, strings.Join(m.Labels, ", "), m.Help)
	}
	const begin, end = "<!-- metrics -->\n", "<!-- /metrics -->\n"
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(readme), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("README.md has no place for the table")
	}
	if old == table.String() {
		return
	}
	if !*update {
		t.Fatalf("README.md is not true any more: run go test -update. It should say\n%s", table.String())
	}
	if err := os.WriteFile("README.md", []byte(before+begin+table.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// serve runs Serve until the test ends, and fails if it does not return then.
func serve(t *testing.T, r *telemetry.Registry, addr string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	bound, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- telemetry.Serve(ctx, addr, r.Handler(), slog.New(slog.DiscardHandler), func(a net.Addr) { bound <- a })
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(2 * time.Minute):
			t.Error("Serve did not return")
		}
	})
	select {
	case a := <-bound:
		return a.String()
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return ""
}

func get(t *testing.T, url string) (int, string, string) {
	t.Helper()
	a, err := http.Get(url) //nolint:gosec // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close() //nolint:errcheck // only read from
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(b), a.Header.Get("Content-Type")
}

// Times are events' words, and JSON has no year 10000: one such event must not
// leave /status without an answer.
func TestStatusOfExtremes(t *testing.T) {
	for _, us := range []int64{math.MaxInt64, math.MinInt64, 253_402_300_800_000_000, -62_167_219_200_000_001} {
		r := busy()
		l := r.Lane(telemetry.LaneID{Sink: "s\"\n\\", Connection: "c\xff", Stream: "e", Topic: "t"})
		l.LastEventTime.Set(us)
		l.NewestRecord.Set(us)
		l.Read.Add(math.MaxInt)
		l.SetMarks([]telemetry.Mark{{Position: 0, HighWatermark: math.MaxInt64}, {Partition: 1, Position: 0, HighWatermark: math.MaxInt64}})
		l.SetState(telemetry.Running, "")
		addr := serve(t, r, ":0")
		_, text, _ := get(t, "http://"+addr+"/status")
		var s telemetry.Snapshot
		if err := json.Unmarshal([]byte(text), &s); err != nil || len(s.Lanes) != 4 {
			t.Errorf("%d: /status: %v: %q", us, err, text)
		}
		for _, l := range s.Lanes {
			if l.LagRecords < 0 {
				t.Errorf("a lag of %d", l.LagRecords)
			}
		}
		if code, text, _ := get(t, "http://"+addr+"/metrics"); code != 200 || len(parse(t, []byte(text))) == 0 {
			t.Errorf("%d: /metrics: %d", us, code)
		}
	}
}

func TestServe(t *testing.T) {
	r := busy()
	addr := serve(t, r, ":0")
	if !strings.HasPrefix(addr, "127.0.0.1:") {
		t.Fatalf("without a host it listens on %s, want loopback", addr)
	}
	if code, text, kind := get(t, "http://"+addr+"/metrics"); code != 200 || kind != "text/plain; version=0.0.4; charset=utf-8" || len(parse(t, []byte(text))) == 0 {
		t.Errorf("/metrics: %d, %s", code, kind)
	}
	code, text, kind := get(t, "http://"+addr+"/status")
	var s telemetry.Snapshot
	if err := json.Unmarshal([]byte(text), &s); code != 200 || kind != "application/json" || err != nil || len(s.Lanes) != 3 {
		t.Errorf("/status: %d, %s, %v: %s", code, kind, err, text)
	}
	if code, text, _ := get(t, "http://"+addr+"/ready"); code != 200 || text != "ready\n" {
		t.Errorf("/ready: %d, %s", code, text)
	}
	r.Lane(laneID("balances", 1)).SetState(telemetry.Stopped, "gap at [5,9)")
	if code, text, _ := get(t, "http://"+addr+"/ready"); code != 503 || text != "balances@billing, ad.events[1]: stopped: gap at [5,9)\n" {
		t.Errorf("/ready with a stopped sink: %d, %s", code, text)
	}
	if code, _, _ := get(t, "http://"+addr+"/live"); code != 200 {
		t.Errorf("/live: %d", code)
	}
	if code, _, _ := get(t, "http://"+addr+"/debug/pprof/"); code != 404 {
		t.Errorf("pprof is served: %d", code)
	}
	a, err := http.Post("http://"+addr+"/metrics", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close() //nolint:errcheck // only read from
	if a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", a.StatusCode)
	}
}

func TestServeEndsWithARequestUnderWay(t *testing.T) {
	addr := serve(t, busy(), "127.0.0.1:0")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // the server closes it
	if _, err := c.Write([]byte("GET /metrics HT")); err != nil {
		t.Fatal(err)
	}
	// The clean-up of serve now proves that half a request holds nothing up.
}

func TestServeTellsWhyItCannot(t *testing.T) {
	addr := serve(t, busy(), "127.0.0.1:0")
	for _, a := range []string{addr, "nonsense", "127.0.0.1:http:1", "127.0.0.1:99999"} {
		if err := telemetry.Serve(t.Context(), a, http.NotFoundHandler(), slog.New(slog.DiscardHandler), nil); err == nil {
			t.Errorf("%s: no error", a)
		}
	}
}
