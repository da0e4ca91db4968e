package sqltable

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"time"
)

// transaction is a connection between BEGIN and its end. sql.Tx is not used:
// its Commit takes no context, so a server that does not answer would hold a
// stopping process until the connection's timeout.
type transaction struct {
	conn *sql.Conn
}

func (s *Sink) begin(ctx context.Context) (*transaction, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	tx := &transaction{conn: conn}
	if _, err := conn.ExecContext(ctx, s.grammar.Begin); err != nil {
		tx.discard()
		return nil, err
	}
	return tx, nil
}

func (t *transaction) commit(ctx context.Context) error {
	if _, err := t.conn.ExecContext(ctx, "COMMIT"); err != nil {
		t.discard()
		return err
	}
	// The transaction has ended; a connection that cannot be given back is gone.
	t.conn.Close()
	return nil
}

// rollbackTimeout keeps a rollback within the time that a cancelled call has.
const rollbackTimeout = time.Second

// rollback frees the locks now, if the server answers, and otherwise leaves
// that to the end of the connection.
func (t *transaction) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	if _, err := t.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		t.discard()
		return
	}
	t.conn.Close()
}

// discard ends the connection instead of giving it back: whatever it had open
// must not meet the next transaction.
func (t *transaction) discard() {
	t.conn.Raw(func(any) error { return driver.ErrBadConn })
	t.conn.Close()
}
