package sqltable

import (
	"context"
	"database/sql"
	"time"

	"github.com/sluicekit/sluice/core/record"
)

// Dialect is how one database differs from another in what it does. How it
// differs in what is written is a Grammar.
type Dialect interface {
	// Describe reads a table; nil without an error when there is none of that
	// name, or the user has no right to see it.
	Describe(ctx context.Context, q Querier, table Name) (*Table, error)

	// Bind says how values of a field are checked and passed for a column. An
	// error says why the column cannot hold the field's type; it is shown behind
	// the names of both.
	Bind(t record.Type, c *Column) (Binding, error)

	// Declare is the type of a column that is created for a field.
	Declare(t record.Type, inKey bool) string

	// Expr is the SQL expression of an operation on what a column holds and
	// what comes in, both not null.
	Expr(op Op, c *Column, t record.Type, stored, incoming string) string

	// Explain classifies an error of the driver and words it without any value
	// of a row: servers like to quote the values they refuse.
	Explain(err error) (Class, error)
}

// Querier is a connection or a pool.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Grammar is how a database wants its statements written, and their limits.
type Grammar struct {
	Quote       byte   // the sign around identifiers
	Begin       string // starts a transaction
	ReadLock    string // behind a SELECT that waits for writers of its rows
	OnConflict  func(key string) string
	Incoming    func(column string) string // the new row's value, behind OnConflict
	Now         string                     // the time, for updated_at
	Positions   string                     // the columns of the position table, for CREATE TABLE
	TableSuffix string                     // behind CREATE TABLE …(…)

	// OneKey: OnConflict takes any unique key, so a table with two of them could
	// have a row changed that only shares the other.
	OneKey bool

	MaxParameters int // placeholders of a statement
	MaxRows       int // rows of a statement: more are no faster
	MaxBytes      int // values of a row; 0: no limit. A statement takes a quarter.
	Timeout       time.Duration
}

// Table is what a database says of a table.
type Table struct {
	Columns []Column
	Keys    []Key  // unique keys; the primary key first if there is one
	Problem string // why it cannot be written to: a view, an engine without transactions
}

// Column is one column of a table.
type Column struct {
	Name     string
	Type     string // as the database writes it
	Nullable bool
	// Optional: a row may leave it out (a default, a null, a counter).
	Optional bool
	// Fixed: the database computes it; a row must leave it out.
	Fixed bool
	// Counter: the database counts it up where a row leaves it out, so it never
	// meets a stored value.
	Counter bool

	Base      string // the type's name alone, lower case
	Unsigned  bool
	Length    int64 // characters or bytes
	Precision int   // digits in all
	Scale     int   // digits behind the point, also of a second
	Charset   string
	Members   []string // of an enumeration or a set
	Compare   Compare
}

// Compare is which different values of a column are equal in a key.
type Compare uint8

// The ways to compare.
const (
	Exact   Compare = iota
	Padded          // spaces at the end do not count
	Folding         // case, accents or other differences do not count
)

// Key is a unique key.
type Key struct {
	Primary bool
	Columns []string
}

// Binding passes the values of one field to one column.
type Binding struct {
	// Check is the reason why the value of a row that is not null cannot be
	// stored exactly, "" if it can. It names types and causes, never the value.
	// Nil: every value can.
	Check func(c *record.Column, row int) string
	// Value is the value as the driver takes it.
	Value func(c *record.Column, row int) any
}

// Op is an operation of mode add.
type Op uint8

// The operations.
const (
	OpAdd     Op = iota + 1 // stored + incoming, exact
	OpMin                   // the smaller
	OpMax                   // the larger
	OpAtLeast               // a condition: incoming >= stored
)

// Class is what an error of a database asks for.
type Class uint8

// The classes of errors.
const (
	Again Class = iota // worth another try
	Row                // a row's key or value is to blame
	Mend               // a person must mend something
)
