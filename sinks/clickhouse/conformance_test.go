package clickhouse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/core/sink/sinktest"
	"github.com/sluicekit/sluice/integration/stack"
	"github.com/sluicekit/sluice/sinks/clickhouse"
)

var servers stack.Shared

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

// databases counts those of all tests, which are on one server.
var databases atomic.Int64

// newDatabase makes an empty one.
func newDatabase(t testing.TB, c *stack.ClickHouseServer) string {
	t.Helper()
	name := fmt.Sprintf("d%d", databases.Add(1))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.CreateDatabase(ctx, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func connection(address, database string) *clickhouse.Connection {
	c := clickhouse.Spec().Connection().(*clickhouse.Connection)
	c.Address, c.Database = []string{address}, database
	return c
}

func TestConformance(t *testing.T) { sinktest.Run(t, conformance(t, servers.ClickHouse(t), nil)) }

// conformance is the sink on a database of each test's own.
func conformance(t testing.TB, c *stack.ClickHouseServer, change func(*clickhouse.Connection, *clickhouse.Options)) sinktest.Target {
	return sinktest.Target{
		Spec:   clickhouse.Spec(),
		Server: c.Addr(), Kill: c.Kill, Start: c.Start,
		Load: func(paths []string) error {
			_, err := config.Load(paths, []sink.Spec{clickhouse.Spec()}, func(string) (string, bool) { return "x", true })
			return err
		},
		New: func(t testing.TB, need sinktest.Need) sinktest.Destination {
			database := newDatabase(t, c)
			conn, o := connection(need.Address, database), clickhouse.Spec().Options().(*clickhouse.Options)
			o.Table, o.Create = "t", true
			if change != nil {
				change(conn, o)
			}
			fields := make([]string, len(need.Schema.Fields))
			for i, f := range need.Schema.Fields {
				fields[i] = "`" + f.Name + "`"
			}
			query := "SELECT " + strings.Join(fields, ", ") + " FROM `" + database + "`.t"
			return sinktest.Destination{Conn: conn, Options: o, Rows: func(ctx context.Context) ([]sinktest.Row, error) { return readRows(ctx, c, query) }}
		},
	}
}

// readRows reads a table; while it is not there it has no rows.
func readRows(ctx context.Context, c *stack.ClickHouseServer, query string) ([]sinktest.Row, error) {
	conn, err := driver.Open(&driver.Options{Addr: []string{c.Addr()}, ReadTimeout: time.Minute})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	rows, err := conn.Query(ctx, query)
	if missing := (*driver.Exception)(nil); errors.As(err, &missing) && missing.Code == 60 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []sinktest.Row
	for rows.Next() {
		into := make([]any, len(rows.ColumnTypes()))
		for i, c := range rows.ColumnTypes() {
			into[i] = reflect.New(c.ScanType()).Interface()
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make(sinktest.Row, len(into))
		for i := range into {
			row[i] = plain(reflect.ValueOf(into[i]))
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// plain is a value of the driver as the kit takes it.
func plain(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	if v.CanInterface() && v.Kind() != reflect.Pointer {
		switch x := v.Interface().(type) {
		case time.Time:
			return x
		case fmt.Stringer: // decimals
			return x.String()
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v.Bytes()
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	case reflect.Map:
		m := make(map[string]any, v.Len())
		for _, k := range v.MapKeys() {
			m[k.String()] = plain(v.MapIndex(k))
		}
		return m
	}
	return v.Interface()
}
