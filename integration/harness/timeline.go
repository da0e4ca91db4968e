package harness

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// timeline is what the harness did, and when, in UTC like the program's logs.
type timeline struct {
	mu  sync.Mutex
	out io.Writer
}

func (t *timeline) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%s %s\n", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...)) //nolint:errcheck // a diary
}
