package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sluicekit/sluice/core/sink"
)

// A repeat that the table itself passes over is passed on to its materialized
// views all the same, since they may lack what it has: the table that a view
// fills must remember by itself. So what is asked of the table is asked of those
// tables too, and of those that are filled from them.

// viewName is a materialized view.
type viewName struct{ database, name string }

func (v viewName) path() string { return quote(v.database) + "." + quote(v.name) }

// maxViews bounds how many views are followed from one table.
const maxViews = 1000

// readViews finds the tables that are filled by the views on t, and by the views
// on those.
func (t *table) readViews(ctx context.Context, q *session) error {
	seen := map[viewName]bool{}
	todo, on := t.views, slices.Repeat([]*table{t}, len(t.views))
	for len(todo) > 0 && len(seen) < maxViews {
		v, source := todo[0], on[0]
		todo, on = todo[1:], on[1:]
		if seen[v] {
			continue
		}
		seen[v] = true
		target, view, err := v.target(ctx, q)
		if err != nil {
			return err
		}
		if target == nil {
			t.unseen = append(t.unseen, v)
			continue
		}
		filled := &table{database: target.database, name: target.name}
		found, err := filled.readHead(ctx, q)
		if err == nil && found {
			err = errors.Join(filled.readWindow(ctx, q), filled.readShards(ctx, q))
		}
		if err != nil {
			return err
		}
		if !found {
			t.unseen = append(t.unseen, *target)
			continue
		}
		filled.through, filled.view, filled.source, filled.moves = v, view, source, filled.movedBy(view)
		t.filled = append(t.filled, filled)
		todo, on = append(todo, filled.views...), append(on, slices.Repeat([]*table{filled}, len(filled.views))...)
	}
	return nil
}

// target is the table that a view fills, and the statement that makes the view;
// nil if the view is not to be seen.
func (v viewName) target(ctx context.Context, q *session) (target *viewName, create string, err error) {
	query := "SELECT create_table_query, toString(uuid) FROM system.tables WHERE database = " + literal(v.database) + " AND name = " + literal(v.name)
	err = q.rows(ctx, query, func(scan func(...any) error) error {
		var uuid string
		if err := scan(&create, &uuid); err != nil {
			return err
		}
		to, ok := fills(create)
		switch {
		case ok && to.database == "":
			to.database = v.database
		case !ok && strings.Trim(uuid, "0-") != "":
			to = viewName{v.database, ".inner_id." + uuid}
		case !ok:
			to = viewName{v.database, ".inner." + v.name}
		}
		target = &to
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("read the materialized view %s: %w", v.path(), err)
	}
	return target, create, nil
}

const identifier = "(?:[A-Za-z_][A-Za-z_0-9]*|`(?:[^`\\\\]|\\\\.)*`)"

// toClause is a view's statement up to the table that it fills, as the server
// writes it.
var toClause = regexp.MustCompile(`(?s)^CREATE MATERIALIZED VIEW ` + identifier + `(?:\.` + identifier + `)?(?: UUID '[^']*')? TO (?:(` + identifier + `)\.)?(` + identifier + `)`)

// fills is the table that a view's statement names; false if the view has one of
// its own.
func fills(create string) (viewName, bool) {
	m := toClause.FindStringSubmatch(create)
	if m == nil {
		return viewName{}, false
	}
	return viewName{unquote(m[1]), unquote(m[2])}, true
}

// unquote is the name that an identifier stands for.
func unquote(identifier string) string {
	if !strings.HasPrefix(identifier, "`") {
		return identifier
	}
	return strings.NewReplacer("\\\\", "\\", "\\`", "`", "\\'", "'").Replace(identifier[1 : len(identifier)-1])
}

// fallsElsewhere is why a partition must not change.
const fallsElsewhere = "so that a repeated batch may fall into another partition, where it is taken again; partition by what comes of the event"

// refuseView is what a table is refused with for what is filled from it.
func (t *table) refuseView(format string, args ...any) error {
	return sink.Permanent(fmt.Errorf("table %s has materialized views that cannot take each batch exactly once: %w; or accept repeated rows with delivery: at_least_once",
		t.path(), fmt.Errorf(format, args...)))
}

// promiseOfViews checks the tables that are filled from t.
func (t *table) promiseOfViews(addresses int) error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, t.refuseView(format, args...)) }
	for _, v := range t.unseen {
		refuse("%s is not to be seen by the user, so that its deduplication cannot be checked; mend it with: GRANT SHOW TABLES ON %s.*", v.path(), quote(v.database))
	}
	for _, f := range t.filled {
		switch {
		case f.engine == "Null":
		case f.distributed():
			if text := f.promiseOfShards(); text != "" {
				refuse("%s fills %s, and %s", f.through.path(), f.path(), text)
			}
		case !f.mergeTree():
			refuse("%s fills %s, whose engine %s does not remember what was inserted", f.through.path(), f.path(), f.engine)
		case addresses > 1 && !f.replicated(): // a repeat at another server would be in its own
			refuse("%s fills %s; the connection has %d addresses, and a table of engine %s is another one on each of them; give one address, or use a replicated engine",
				f.through.path(), f.path(), addresses, f.engine)
		default:
			if text := f.narrow(); text != "" {
				refuse("%s fills %s, and %s", f.through.path(), f.path(), text)
			}
			if f.moves != "" {
				refuse("%s fills %s, whose PARTITION BY rests on %s, "+fallsElsewhere, f.through.path(), f.path(), f.moves)
			}
		}
	}
	return errors.Join(errs...)
}
