package clickhouse

import (
	"fmt"

	"github.com/sluicekit/sluice/core/sink"
)

const (
	// leastWindow is how many batches a table must remember at least: what other
	// writers of a table insert while one batch is unsettled must not push it out.
	leastWindow = 100
	// partsPerBatch is how many parts a batch is taken to make in a table with
	// partitions: the window counts parts.
	partsPerBatch = 10
	// goodWindow is what is advised.
	goodWindow = 10_000
)

// promise checks whether a table can take each batch once. What it says is for
// the person who has made the table.
func (t *table) promise(addresses int) error {
	switch {
	case t.distributed():
		if text := t.promiseOfShards(); text != "" {
			return t.refuse("%s", text)
		}
		return t.promiseOfViews(addresses)
	case !t.mergeTree():
		return t.refuse("its engine %s does not remember what was inserted; use one of the MergeTree family", t.engine)
	case addresses > 1 && !t.replicated():
		return t.refuse("the connection has %d addresses, and a table of engine %s is another one on each of them; give one address, or use a replicated engine",
			addresses, t.engine)
	}
	if text := t.narrow(); text != "" {
		return t.refuse("%s", text)
	}
	return t.promiseOfViews(addresses)
}

// refuse is what a table that cannot promise is refused with.
func (t *table) refuse(format string, args ...any) error {
	return sink.Permanent(fmt.Errorf("table %s cannot take each batch exactly once: %w; or accept repeated rows with delivery: at_least_once",
		t.path(), fmt.Errorf(format, args...)))
}

// narrow says why the window of a table is too small, and what mends it; "" if
// it is not.
func (t *table) narrow() string {
	name, need := t.windowSetting(), leastWindow
	if t.partitioned {
		need *= partsPerBatch
	}
	fix := fmt.Sprintf("ALTER TABLE %s MODIFY SETTING %s = %d", t.path(), name, goodWindow)
	switch {
	case t.window == 0:
		return fmt.Sprintf("its %s is 0, so it forgets each insert at once; mend it with: %s", name, fix)
	case t.window < need:
		return fmt.Sprintf("its %s is %d parts, and %d batches of this table make up to %d; mend it with: %s", name, t.window, leastWindow, need, fix)
	}
	return ""
}

// leastWindow is how many parts a table must remember.
func (t *table) leastWindow() int {
	if t.partitioned {
		return leastWindow * partsPerBatch
	}
	return leastWindow
}
