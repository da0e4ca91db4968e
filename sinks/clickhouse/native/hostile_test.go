package native_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/clickhouse/native"
)

func text(s string) string {
	return string(binary.AppendUvarint(nil, uint64(len(s)))) + s
}

// What a good server sends, in its turn.
var (
	hello     = "\x00" + text("ClickHouse") + "\x1a\x07" + string(binary.AppendUvarint(nil, 54450)) + text("UTC") + text("host") + "\x01"
	header    = "\x01" + text("") + "\x01\x00\x02\xff\xff\xff\xff\x00\x01\x00" + text("n") + text("Int64")
	exception = "\x02" + "\xf1\x00\x00\x00" + text("DB::Exception") + text("geheim4711") + text("stack") + "\x00"
	progress  = "\x03\x01\x02\x03\x04\x05"
	end       = "\x05"
)

// serve answers one connection: it sends each part when the one before has been
// answered, and then says no more; all, if there is one, is closed when it has
// said everything.
func serve(t *testing.T, all chan<- struct{}, parts ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		say(c, parts)
		if all != nil {
			close(all)
		}
		io.Copy(io.Discard, c) //nolint:errcheck // until the client goes
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func say(c net.Conn, parts []string) {
	buf := make([]byte, 64<<10)
	for _, p := range parts {
		time.Sleep(20 * time.Millisecond) // all that the client sends in one go is there
		if _, err := c.Read(buf); err != nil {
			return
		}
		for len(p) > 0 { // in small pieces
			n := min(len(p), 1+len(p)/3)
			if _, err := io.WriteString(c, p[:n]); err != nil {
				return
			}
			p = p[n:]
		}
	}
}

// shortly: what has been said is there.
func shortly() { time.Sleep(30 * time.Millisecond) }

// insert goes all the way, and says how far it came.
// Before it sends the block it waits for what the server is about to say.
func insert(ctx context.Context, t *testing.T, address string, said func()) (stage string, err error) {
	t.Helper()
	c, err := native.Dial(ctx, native.Options{Address: address, Username: "u", Password: "geheim4711", Compression: native.None, Name: "test"})
	if err != nil {
		return "dial", err
	}
	defer c.Close()
	if _, err := c.Open(ctx, "INSERT", nil); err != nil {
		return "open", err
	}
	said()
	typ, err := native.ParseType("Int64")
	if err != nil {
		t.Fatal(err)
	}
	col, err := native.NewColumn("n", typ, record.Type{Kind: record.Int}, false)
	if err != nil {
		t.Fatal(err)
	}
	src := record.Column{Type: record.Type{Kind: record.Int}}
	src.AppendInt(7)
	col.Append(&src, &native.Complaints{})
	return "send", c.Send(ctx, []*native.Column{col}, 1)
}

// TestServerAnswers: what a server may say, and when, and what it proves.
func TestServerAnswers(t *testing.T) {
	huge := "\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
	for name, tc := range map[string]struct {
		parts []string
		stage string
		want  string // in the error; "": none
	}{
		"good":                     {[]string{hello, progress + header, progress + end}, "send", ""},
		"hello and silence":        {[]string{hello}, "open", "deadline"},
		"silence":                  {nil, "dial", "deadline"},
		"no server of this":        {[]string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, "dial", "is this the native port"},
		"exception for hello":      {[]string{exception}, "dial", "clickhouse error 241"},
		"exception for the query":  {[]string{hello, exception}, "open", "clickhouse error 241"},
		"exception for the block":  {[]string{hello, header, exception}, "send", "clickhouse error 241"},
		"ended before the block":   {[]string{hello, end}, "open", "ended the INSERT before its block"},
		"half an exception":        {[]string{hello, header, exception[:20]}, "send", "deadline"},
		"text without an end":      {[]string{"\x00" + huge}, "dial", "text of"},
		"exception without an end": {[]string{hello, header, "\x02\x01\x00\x00\x00" + huge}, "send", "text of"},
		"columns without an end":   {[]string{hello, "\x01\x00\x00" + huge + "\x00"}, "open", "columns"},
		"rows in the header":       {[]string{hello, "\x01\x00\x00\x01\x01"}, "open", "a block of 1 rows"},
		"an old server":            {[]string{"\x00" + text("ClickHouse") + "\x12\x10" + string(binary.AppendUvarint(nil, 54412)) + text("UTC") + text("h") + "\x01"}, "dial", "too old"},
		"an unknown packet":        {[]string{hello, header, "\x7f"}, "send", "packet of kind 127"},
	} {
		t.Run(name, func(t *testing.T) {
			limit := time.Minute
			if tc.want == "deadline" || tc.want == "text of" { // more would have to come
				limit = 2 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			stage, err := insert(ctx, t, serve(t, nil, tc.parts...), shortly)
			if stage != tc.stage || (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v, want %s: %q", stage, err, tc.stage, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error tells secrets: %v", err)
			}
			if stage == "send" && errors.Is(err, native.ErrNotSent) {
				t.Error("the block was sent")
			}
			if time.Since(began) > 30*time.Second {
				t.Errorf("it took %s", time.Since(began))
			}
		})
	}
}

// TestGivenUpBeforeBlock: what the server says between the INSERT and its block
// proves that nothing of the block was taken.
func TestGivenUpBeforeBlock(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, more := range []string{exception, end, progress + exception} {
		all := make(chan struct{})
		stage, err := insert(ctx, t, serve(t, all, hello, header+more), func() { <-all; shortly() })
		if stage != "send" || !errors.Is(err, native.ErrNotSent) {
			t.Errorf("%s: %v, want ErrNotSent", stage, err)
		}
	}
}

// TestGarbage: whatever comes, calls end with their context, hold no memory to
// speak of, and leave no goroutine behind.
func TestGarbage(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var before, after runtime.MemStats
	goroutines := runtime.NumGoroutine()
	runtime.ReadMemStats(&before)
	failed := 0
	for range 100 {
		parts := []string{hello, progress + header, progress + exception}
		k := random.IntN(3)
		b := []byte(parts[k])
		for range 1 + random.IntN(3) {
			b[random.IntN(len(b))] = byte(random.IntN(256))
		}
		parts[k] = string(b)
		ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
		began := time.Now()
		if _, err := insert(ctx, t, serve(t, nil, parts...), shortly); err != nil {
			failed++
		}
		if d := time.Since(began); d > 30*time.Second {
			t.Errorf("%q took %s", parts, d)
		}
		cancel()
	}
	if failed < 90 {
		t.Errorf("%d of 100 failed: the garbage was none", failed)
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 100*4 {
		t.Errorf("%d MiB were taken", n)
	}
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > goroutines+3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}
