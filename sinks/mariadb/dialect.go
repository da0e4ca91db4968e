package mariadb

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// positions are the columns of the position table.
const positions = `sink VARCHAR(255) NOT NULL, incarnation VARCHAR(100) NOT NULL, topic VARCHAR(249) NOT NULL, kafka_partition INT NOT NULL,
 first_offset BIGINT NOT NULL, next_offset BIGINT NOT NULL, slot_partition INT NOT NULL, slot_partitions INT NOT NULL,
 dead_offsets VARCHAR(400) NOT NULL, letters INT NOT NULL, updated_at DATETIME(6) NOT NULL, PRIMARY KEY (sink, incarnation, topic, kafka_partition)`

// maxRows of a statement: 500 and 5000 were slower.
const maxRows = 1000

func grammar(packet int) sqltable.Grammar {
	return sqltable.Grammar{
		Quote:         '`',
		Begin:         "START TRANSACTION",
		ReadLock:      " LOCK IN SHARE MODE",
		OnConflict:    func(string) string { return "ON DUPLICATE KEY UPDATE" },
		Incoming:      func(column string) string { return "VALUES(" + column + ")" },
		Now:           "UTC_TIMESTAMP(6)",
		Positions:     positions,
		TableSuffix:   " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin ROW_FORMAT=DYNAMIC",
		OneKey:        true,
		MaxParameters: 65535,
		MaxRows:       maxRows,
		MaxBytes:      packet - packet/16,
	}
}

// dialect is MariaDB's side of sqltable.
type dialect struct {
	maxTimestamp int64 // the last second that a TIMESTAMP holds, microseconds since 1970
}

// inspect connects, and checks that the server does what we told it: a proxy
// between may swallow settings. It returns the largest packet.
func (d *dialect) inspect(ctx context.Context, db *sql.DB) (packet int, err error) {
	var version, mode, zone string
	var strict bool
	row := db.QueryRowContext(ctx, "SELECT @@version, @@sql_mode, @@time_zone, @@max_allowed_packet, @@log_bin AND @@binlog_format = 'STATEMENT'")
	var statements bool
	if err := row.Scan(&version, &mode, &zone, &packet, &statements); err != nil {
		class, shown := d.Explain(err)
		if cause := context.Cause(ctx); cause != nil {
			return 0, fmt.Errorf("connect: %w (%w)", cause, shown)
		}
		if class == sqltable.Mend {
			return 0, sink.Permanent(fmt.Errorf("connect: %w", shown))
		}
		return 0, fmt.Errorf("connect: %w", shown)
	}
	for _, m := range strings.Split(mode, ",") {
		strict = strict || m == "STRICT_ALL_TABLES"
	}
	switch {
	case !strict || zone != "+00:00":
		return 0, sink.Permanent(fmt.Errorf("the server keeps sql_mode %s and time_zone %s although told otherwise", mode, zone))
	case statements:
		return 0, sink.Permanent(fmt.Errorf("the server has binlog_format=STATEMENT, which cannot log these transactions; MIXED or ROW is needed"))
	}
	d.maxTimestamp = lastTimestamp(version)
	return packet, nil
}

// lastTimestamp is where TIMESTAMP ends: in 2038, from 11.5 on in 2106.
func lastTimestamp(version string) int64 {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	if errA == nil && errB == nil && (a > 11 || a == 11 && b >= 5) {
		return (1<<32 - 1) * 1_000_000
	}
	return (1<<31 - 1) * 1_000_000
}

// Describe reads a table's columns and unique keys.
func (d *dialect) Describe(ctx context.Context, q sqltable.Querier, name sqltable.Name) (*sqltable.Table, error) {
	t := &sqltable.Table{}
	problem, found, err := tableProblem(ctx, q, name)
	if err != nil || !found {
		return nil, err
	}
	t.Problem = problem
	if t.Columns, err = columns(ctx, q, name); err != nil {
		return nil, err
	}
	t.Keys, err = keys(ctx, q, name)
	return t, err
}

// where finds a table in information_schema.
const where = " WHERE TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND TABLE_NAME = ?"

func tableProblem(ctx context.Context, q sqltable.Querier, name sqltable.Name) (problem string, found bool, err error) {
	rows, err := q.QueryContext(ctx, "SELECT TABLE_TYPE, COALESCE(ENGINE, ''), COALESCE((SELECT e.TRANSACTIONS FROM information_schema.ENGINES e WHERE e.ENGINE = t.ENGINE), '')"+
		" FROM information_schema.TABLES t"+where, name.Schema, name.Table)
	if err != nil {
		return "", false, err
	}
	defer rows.Close()
	for rows.Next() {
		var kind, engine, transactions string
		if err := rows.Scan(&kind, &engine, &transactions); err != nil {
			return "", false, err
		}
		found = true
		switch {
		case kind != "BASE TABLE" && kind != "SYSTEM VERSIONED":
			problem = "is a " + strings.ToLower(kind) + ", not a table"
		case transactions != "YES":
			problem = "has engine " + engine + ", which has no transactions; ALTER TABLE … ENGINE=InnoDB"
		}
	}
	return problem, found, rows.Err()
}

func columns(ctx context.Context, q sqltable.Querier, name sqltable.Name) ([]sqltable.Column, error) {
	rows, err := q.QueryContext(ctx, "SELECT COLUMN_NAME, COLUMN_TYPE, DATA_TYPE, IS_NULLABLE, COLUMN_DEFAULT IS NOT NULL, EXTRA, IS_GENERATED,"+
		" COALESCE(CHARACTER_MAXIMUM_LENGTH, 0), COALESCE(NUMERIC_PRECISION, 0), COALESCE(NUMERIC_SCALE, DATETIME_PRECISION, 0),"+
		" COALESCE(CHARACTER_SET_NAME, ''), COALESCE(COLLATION_NAME, '') FROM information_schema.COLUMNS"+where+" ORDER BY ORDINAL_POSITION", name.Schema, name.Table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []sqltable.Column
	for rows.Next() {
		var c sqltable.Column
		var nullable, extra, generated, collation string
		var hasDefault bool
		if err := rows.Scan(&c.Name, &c.Type, &c.Base, &nullable, &hasDefault, &extra, &generated,
			&c.Length, &c.Precision, &c.Scale, &c.Charset, &collation); err != nil {
			return nil, err
		}
		c.Base = strings.ToLower(c.Base)
		c.Unsigned = strings.Contains(strings.ToLower(c.Type), "unsigned")
		c.Nullable = nullable == "YES"
		c.Counter = strings.Contains(strings.ToLower(extra), "auto_increment")
		c.Optional = c.Nullable || hasDefault
		c.Fixed = generated == "ALWAYS"
		c.Compare = comparison(c.Base, collation)
		if c.Base == "enum" || c.Base == "set" {
			c.Members = members(c.Type)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// comparison is how a unique key compares a column's values.
func comparison(base, collation string) sqltable.Compare {
	switch base {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double", "bit", "year",
		"datetime", "timestamp", "date", "enum", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return sqltable.Exact
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext":
		switch {
		case strings.HasSuffix(collation, "_nopad_bin"):
			return sqltable.Exact
		case strings.HasSuffix(collation, "_bin"):
			return sqltable.Padded
		}
	}
	return sqltable.Folding // a FLOAT rounds, a SET sorts, a UUID ignores case
}

// members are the values of ENUM('a','it”s') or SET(…), as the server prints
// them.
func members(definition string) []string {
	_, list, _ := strings.Cut(definition, "(")
	list = strings.TrimSuffix(list, ")")
	var all []string
	for list != "" {
		list = strings.TrimPrefix(strings.TrimPrefix(list, ","), "'")
		var b strings.Builder
		for {
			part, rest, found := strings.Cut(list, "'")
			b.WriteString(part)
			list = rest
			if !found || !strings.HasPrefix(list, "'") {
				break
			}
			b.WriteByte('\'')
			list = list[1:]
		}
		all = append(all, b.String())
	}
	return all
}

// keys are the unique keys, the primary one first. A key on the beginnings of
// columns compares less than whole values, so it counts as one that no field
// fills.
func keys(ctx context.Context, q sqltable.Querier, name sqltable.Name) ([]sqltable.Key, error) {
	rows, err := q.QueryContext(ctx, "SELECT INDEX_NAME, IF(SUB_PART IS NULL, COALESCE(COLUMN_NAME, ''), '') FROM information_schema.STATISTICS"+where+
		" AND NON_UNIQUE = 0 ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX", name.Schema, name.Table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []sqltable.Key
	last := ""
	for rows.Next() {
		var index, column string
		if err := rows.Scan(&index, &column); err != nil {
			return nil, err
		}
		if index != last {
			all, last = append(all, sqltable.Key{Primary: index == "PRIMARY"}), index
		}
		k := &all[len(all)-1]
		k.Columns = append(k.Columns, column)
	}
	return all, rows.Err()
}

// Expr works on stored and incoming values. The server's decimals are exact,
// and what overflows a column is an error in strict mode.
func (d *dialect) Expr(op sqltable.Op, _ *sqltable.Column, _ record.Type, stored, incoming string) string {
	switch op {
	case sqltable.OpAdd:
		return stored + " + " + incoming
	case sqltable.OpMin:
		return "LEAST(" + stored + ", " + incoming + ")"
	case sqltable.OpMax:
		return "GREATEST(" + stored + ", " + incoming + ")"
	}
	return incoming + " >= " + stored
}
