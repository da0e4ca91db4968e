package app_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicekit/sluice/cmd/app/apptest"
	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// waiting is a sink whose Open waits for the end of its context, or for ever.
func waiting(how string) sink.Spec {
	return sink.Spec{
		Type: "waiting", Delivery: sink.AtLeastOnce, Kinds: record.Kinds(), Options: func() sink.Options { return &noOptions{} },
		Open: func(ctx context.Context, _ sink.Config) (sink.Sink, error) {
			os.Stdout.WriteString("opening\n")
			if how == "for ever" {
				select {}
			}
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}
}

type noOptions struct{}

func (*noOptions) Validate() error { return nil }

// The first SIGTERM or SIGINT ends the context, so that the command can finish;
// a second one ends the process at once.
func TestSignals(t *testing.T) {
	f := func(how string, signals ...os.Signal) {
		t.Helper()
		folder(t, map[string]string{"a.yaml": streams + "---\nsink: a\nfrom: events\nfields: all\nwaiting:\n"})
		c := process(t, "SLUICE_TEST_SINK="+how, "check", "--connect")
		var said apptest.Transcript
		c.Stderr = &said
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(apptest.Patience, func() { c.Process.Kill() })
		defer kill.Stop()
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); line != "opening\n" {
			t.Errorf("%s: got %q, %v\n%s", how, line, err, &said)
		}
		for _, s := range signals {
			c.Process.Signal(s)
			for end := time.Now().Add(apptest.Patience); !strings.Contains(said.String(), "a second signal ends at once") && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
		}
		io.Copy(io.Discard, lines)
		var exit *exec.ExitError
		if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(said.String(), "a second signal ends at once") {
			t.Errorf("%s, %v: %v\n%s", how, signals, err, &said)
		}
	}
	f("until told", syscall.SIGTERM)
	f("until told", syscall.SIGINT)
	f("for ever", syscall.SIGTERM, syscall.SIGINT)
}
