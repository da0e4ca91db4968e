package clickhouse_test

import (
	"testing"

	"github.com/sluicekit/sluice/sinks/clickhouse"
)

// TestMistakesInOrder: the same mistakes are told in the same order each time.
func TestMistakesInOrder(t *testing.T) {
	o := clickhouse.Spec().Options().(*clickhouse.Options)
	o.Table, o.Provenance.Topic, o.Provenance.Offset, o.Provenance.Cut = "t", "_sink", "_partition", ""
	conn := connection("h", "d")
	conn.Settings = map[string]string{"offset": "1", "limit": "1", "async_insert": "1"}
	for range 50 {
		if got, want := o.Validate().Error(), "provenance.topic: names the column _sink, as provenance.sink does\n"+
			"provenance.offset: names the column _partition, as provenance.partition does\n"+
			"provenance.cut: is empty; say off: true to do without all of them"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		const own = " is set by the sink itself: what is exact depends on it"
		if got, want := conn.Validate().Error(), "settings: async_insert"+own+"\nsettings: limit"+own+"\nsettings: offset"+own; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}
