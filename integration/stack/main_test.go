package stack_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// servers are the ones shared by the tests of this package.
var servers stack.Shared

// orphanEnv makes the test binary a process that starts a server and is killed.
const orphanEnv = "SLUICE_STACK_TEST_ORPHAN"

func TestMain(m *testing.M) {
	if os.Getenv(orphanEnv) != "" {
		os.Exit(orphanMaker())
	}
	code := servers.Run(m)
	if left := children(os.Getpid()); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "still running:", left)
		code = 1
	}
	os.Exit(code)
}

// orphanMaker starts a server, prints its pid and folder, and waits to be killed.
func orphanMaker() int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	m, err := stack.StartMariaDB(ctx, stack.MariaDBOptions{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer m.Close()
	fmt.Println(m.Pid())
	<-ctx.Done()
	return 1
}

// children answers the command names of a process's children.
func children(parent int) []string {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var names []string
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		// pid (name) state ppid ...; the name may hold anything.
		before, after, ok := cutLast(string(b), ") ")
		if fields := strings.Fields(after); ok && len(fields) > 1 && fields[1] == fmt.Sprint(parent) {
			names = append(names, before+")")
		}
	}
	return names
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func timeLimit(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
