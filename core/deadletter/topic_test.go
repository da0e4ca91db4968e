package deadletter_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/sluicekit/sluice/core/deadletter"
	"github.com/sluicekit/sluice/core/lane"
	"github.com/sluicekit/sluice/core/source"
)

func kafka(t *testing.T, partitions int32, more ...kfake.Opt) *source.Cluster {
	t.Helper()
	k, err := kfake.NewCluster(append(more, kfake.NumBrokers(1), kfake.SeedTopics(partitions, "dead"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	c, err := source.Open(source.Options{Brokers: k.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// What is read from a topic is what was written, each letter once, whoever
// wrote it how often; what is no letter is counted.
func TestTopicKeepsAllOfALetter(t *testing.T) {
	c := kafka(t, 1)
	d := deadletter.NewTopic(c, "dead")
	want := odd()[:5] // the last one is too large for a topic
	for range 2 {
		if err := d.Write(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	foreign := []source.ProduceRecord{{Value: []byte("x")}, {Headers: []source.Header{{Key: "sluice-sink", Value: []byte("a")}, {Key: "sluice-offset", Value: []byte("many")}}}}
	if err := c.Produce(t.Context(), "dead", 0, foreign); err != nil {
		t.Fatal(err)
	}
	found, how := read(t, d, time.Time{})
	if got := lettersOf(found); !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v\nwant\n%+v", got, want)
	}
	if how != (deadletter.Reading{Repeats: 5, Unreadable: 2}) {
		t.Errorf("reading: %+v", how)
	}
}

// Of a record that is more than the topic takes as much is kept as it does take.
func TestTopicKeepsWhatFits(t *testing.T) {
	c := kafka(t, 1, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000"}))
	d := deadletter.NewTopic(c, "dead")
	noise := make([]byte, 40_000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	all := []lane.Letter{letter(0, noise[:10_000]), letter(1, noise[:10_000]), letter(2, noise), letter(3, nil)}
	all[1].Key = noise[10_000:]
	all[3].Headers = []lane.Header{{Key: "big", Value: noise}}
	if err := d.Write(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	found, _ := read(t, d, time.Time{})
	if len(found) != 4 {
		t.Fatalf("%d letters", len(found))
	}
	for i, n := range []int{10_000, 10_000, 0, 0} {
		if f := found[i]; f.Offset != int64(i) || !bytes.Equal(f.Value, noise[:n]) || (f.Value == nil) != (i == 3) || (f.Truncated > 0) != (i == 2) || f.Key != nil || f.Headers != nil {
			t.Errorf("%d: %d bytes of %d, %d of the key, %d headers", i, len(f.Value), f.Truncated, len(f.Key), len(f.Headers))
		}
	}
}

// What somebody else writes into the topic may bear any time: JSON, in which
// letters are shown, has no year 10000.
func TestTopicWithTimesThatNobodyCanShow(t *testing.T) {
	c := kafka(t, 1)
	d := deadletter.NewTopic(c, "dead")
	headers := []source.Header{{Key: "sluice-sink", Value: []byte("a@b")}, {Key: "sluice-topic", Value: []byte("events")}, {Key: "sluice-partition", Value: []byte("0")}, {Key: "sluice-timestamp", Value: []byte("0")}}
	for i, at := range []time.Time{time.UnixMilli(math.MaxInt64), time.UnixMilli(math.MaxInt64 / 10)} {
		h := append(slices.Clip(headers), source.Header{Key: "sluice-offset", Value: []byte{'0' + byte(i)}})
		if err := c.Produce(t.Context(), "dead", 0, []source.ProduceRecord{{Timestamp: at, Headers: h}}); err != nil {
			t.Fatal(err)
		}
	}
	found, _ := read(t, d, time.Time{})
	for _, f := range found {
		if _, err := json.Marshal(f.Written); err != nil {
			t.Error(err)
		}
	}
	if len(found) != 2 {
		t.Errorf("%d letters", len(found))
	}
}

// Many letters in several partitions are all read, and those of before a time
// are not.
func TestTopicIsReadFromATime(t *testing.T) {
	d := deadletter.NewTopic(kafka(t, 3), "dead")
	write := func(first, n int64) {
		t.Helper()
		for o := first; o < first+n; o += 100 {
			var batch []lane.Letter
			for i := range int64(100) {
				batch = append(batch, letter(o+i, make([]byte, 2000)))
			}
			if err := d.Write(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(0, 2000)
	time.Sleep(5 * time.Millisecond)
	later := time.Now().Truncate(time.Millisecond)
	time.Sleep(5 * time.Millisecond)
	write(2000, 300)
	if found, _ := read(t, d, time.Time{}); len(found) != 2300 {
		t.Errorf("%d letters, want 2300", len(found))
	}
	found, _ := read(t, d, later)
	if len(found) != 300 || found[0].Offset < 2000 {
		t.Errorf("%d letters since then, want 300", len(found))
	}
	if _, err := deadletter.NewTopic(kafka(t, 1), "none").Each(t.Context(), time.Time{}, nil); err == nil {
		t.Error("a topic that does not exist was read")
	}
}
