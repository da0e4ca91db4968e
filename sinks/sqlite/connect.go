package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"

	sqlite "modernc.org/sqlite"
)

// connector opens connections of a driver of our own: the exact decimal
// functions are registered on it, and nowhere else in the process.
type connector struct {
	driver *sqlite.Driver
	name   string
}

func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.name) }
func (c *connector) Driver() driver.Driver                        { return c.driver }

func connect(c *Connection) (*sql.DB, error) {
	d := &sqlite.Driver{}
	if err := registerDecimals(d); err != nil {
		return nil, fmt.Errorf("register decimal functions: %w", err)
	}
	db := sql.OpenDB(&connector{driver: d, name: dataSource(c)})
	// One connection: SQLite has one writer at a time, and waiting here honours
	// the context, which waiting in SQLite does not.
	db.SetMaxOpenConns(1)
	return db, nil
}

// dataSource is the file with its settings. WAL lets readers go on while we
// write; FULL makes a commit survive the loss of power, as nil promises.
func dataSource(c *Connection) string {
	q := url.Values{}
	for _, p := range []string{
		fmt.Sprintf("busy_timeout(%d)", c.Timeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	} {
		q.Add("_pragma", p)
	}
	return "file:" + (&url.URL{Path: c.File}).EscapedPath() + "?" + q.Encode()
}
