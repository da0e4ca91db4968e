package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
)

// create makes the table of the options.
func (s *clickHouse) create(ctx context.Context, q *session) error {
	database, err := q.database(ctx, s.database)
	if err != nil {
		return err
	}
	t := &table{database: database, name: s.name, engine: s.engineName(), window: s.options.Window, partitioned: s.options.PartitionBy != ""}
	if err := s.mayPromise(t); err != nil {
		return err
	}
	var columns []string
	for _, f := range s.config.Schema.Fields {
		columns = append(columns, "    "+quote(f.Name)+" "+columnType(f.Type, f.Nullable))
	}
	for _, p := range s.provenance(t) {
		columns = append(columns, "    "+quote(p.name)+" "+p.create)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s\n(\n%s\n)\nENGINE = %s\n", t.path(), strings.Join(columns, ",\n"), s.options.Engine)
	if s.options.PartitionBy != "" {
		fmt.Fprintf(&b, "PARTITION BY %s\n", s.options.PartitionBy)
	}
	if t.mergeTree() {
		order := s.options.OrderBy
		if len(order) == 0 {
			order = s.sortable()
		}
		fmt.Fprintf(&b, "ORDER BY (%s)\n", strings.Join(order, ", "))
	}
	if s.options.TTL != "" {
		fmt.Fprintf(&b, "TTL %s\n", s.options.TTL)
	}
	if t.mergeTree() && s.options.Window > 0 {
		fmt.Fprintf(&b, "SETTINGS %s = %d\n", t.windowSetting(), s.options.Window)
	}
	if err := q.exec(ctx, b.String()); err != nil {
		return fmt.Errorf("create table %s: %w", t.path(), adviseOnNulls(explainStatement(err)))
	}
	return nil
}

// mayPromise refuses what would be refused once it is made: nobody has use for
// such a table.
func (s *clickHouse) mayPromise(t *table) error {
	if !s.exact {
		return nil
	}
	if !t.mergeTree() {
		return t.promise(len(s.dialer.addresses))
	}
	if need := t.leastWindow(); t.window < need {
		return t.refuse("window is %d parts, and %d batches of this table make up to %d; say window: %d", t.window, leastWindow, need, goodWindow)
	}
	return nil
}

// adviseOnNulls says what helps where a table is ordered, parted or emptied by what
// may be null: what the server advises cannot be said here.
func adviseOnNulls(err error) error {
	if text := err.Error(); !strings.Contains(text, "nullable columns") && !strings.Contains(text, "but has Nullable(") {
		return err
	}
	return fmt.Errorf("%w; a field of JSON may be null: write assumeNotNull(time) instead of time in order_by, partition_by and ttl, "+
		"or make the table yourself with a column that is not Nullable", err)
}

// sortable are the grouping columns that a table can be ordered by: the server
// takes none that may be null.
func (s *clickHouse) sortable() (quoted []string) {
	for _, key := range s.config.Keys {
		if i := s.config.Schema.Index(key); i >= 0 && !s.config.Schema.Fields[i].Nullable {
			quoted = append(quoted, quote(key))
		}
	}
	return quoted
}

// engineName is the engine of the options without its arguments.
func (s *clickHouse) engineName() string {
	name, _, _ := strings.Cut(s.options.Engine, "(")
	return strings.TrimSpace(name)
}

// columnType is the type of a created column: one that keeps every value.
func columnType(t record.Type, nullable bool) string {
	text := ""
	switch t.Kind {
	case record.Bool:
		text = "Bool"
	case record.Int:
		text = "Int64"
	case record.Uint:
		text = "UInt64"
	case record.Float:
		text = "Float64"
	case record.Decimal:
		text = fmt.Sprintf("Decimal(%d, %d)", t.Precision, t.Scale)
	case record.Timestamp:
		text = "DateTime64(6, 'UTC')"
	case record.String, record.Bytes, record.JSON:
		text = "String"
	case record.List:
		return "Array(" + columnType(*t.Elem, true) + ")"
	case record.Map:
		return "Map(String, " + columnType(*t.Elem, true) + ")"
	}
	if nullable {
		return "Nullable(" + text + ")"
	}
	return text
}

// addColumns adds what the table lacks.
func (s *clickHouse) addColumns(ctx context.Context, q *session, t *table) (added bool, err error) {
	var all []string
	for _, f := range s.config.Schema.Fields {
		if t.column(f.Name) == nil && t.tupleOf(f.Name) == nil {
			text := columnType(f.Type, f.Nullable)
			if !strings.HasPrefix(text, "Nullable(") { // or whoever else writes to the table would have to fill it
				text += " DEFAULT " + s.addedDefault(t, f, text)
			}
			all = append(all, "ADD COLUMN IF NOT EXISTS "+quote(f.Name)+" "+text)
		}
	}
	if !t.merging() {
		for _, p := range s.provenance(t) {
			if t.column(p.name) == nil {
				all = append(all, "ADD COLUMN IF NOT EXISTS "+quote(p.name)+" "+p.create)
			}
		}
	}
	if len(all) == 0 {
		return false, nil
	}
	if err := q.exec(ctx, "ALTER TABLE "+t.path()+" "+strings.Join(all, ", ")); err != nil {
		return false, fmt.Errorf("add columns to %s: %w", t.path(), explainStatement(err))
	}
	return true, nil
}

// addedDefault is what an added column has in the rows of those who do not fill
// it, and in rows that are there already.
func (s *clickHouse) addedDefault(t *table, f record.Field, typ string) string {
	if siblings := t.siblings(f.Name); f.Type.Kind == record.List && len(siblings) > 0 {
		return asLongAs(siblings[0].name, columnType(*f.Type.Elem, true))
	}
	return "defaultValueOfTypeName(" + literal(typ) + ")"
}

// prepare finds the table as the sink needs it, which may make or change it.
func (s *clickHouse) prepare(ctx context.Context, q *session) (*table, error) {
	t, err := inspect(ctx, q, s.database, s.name)
	if err != nil {
		return nil, err
	}
	if t == nil {
		if !s.options.Create {
			return nil, sink.Permanent(fmt.Errorf("table %s is not there, or not to be seen by the user; create: true makes it", s.options.Table))
		}
		if err := s.create(ctx, q); err != nil {
			return nil, err
		}
		if t, err = inspect(ctx, q, s.database, s.name); err != nil || t == nil {
			return nil, fmt.Errorf("table %s is not there after it was created: %w", s.options.Table, err)
		}
	}
	if s.options.OnNewField == onNewAdd {
		added, err := s.addColumns(ctx, q, t)
		if err != nil {
			return nil, err
		}
		if added {
			if t, err = inspect(ctx, q, s.database, s.name); err != nil || t == nil {
				return nil, fmt.Errorf("table %s is gone while its columns were added: %w", s.options.Table, err)
			}
		}
	}
	return t, nil
}
