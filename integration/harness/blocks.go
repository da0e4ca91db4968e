package harness

import (
	"bytes"
	"time"
)

// phase is what a piece of a connection to ClickHouse holds of an INSERT.
type phase uint8

const (
	opens  phase = 1 << iota // the query
	begins                   // the first bytes of its block
	ends                     // the last ones
)

// blocks follows the INSERTs on the connections of one instance. They must not
// be compressed.
type blocks struct {
	conns map[int]*insert
}

// insert is the newest INSERT of a connection.
type insert struct {
	opened time.Time
	query  []byte // its beginning
	phase  phase
	tail   []byte // of what was sent of it so far
}

var (
	insertInto = []byte("INSERT INTO ")
	// blockHead is how a block begins that has no table's name; the numbers of
	// its columns and rows follow.
	blockHead = []byte{2, 0, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0}
	// lastBlock is the empty block that ends the data.
	lastBlock = append(bytes.Clone(blockHead), 0, 0)
)

// mark notes what a request is.
func (s *blocks) mark(r *request) {
	r.phase = s.see(r.conn, r.b)
	if i := s.conns[r.conn]; i != nil {
		r.query = i.query
	}
}

// see takes the next piece of a connection.
func (s *blocks) see(conn int, b []byte) (p phase) {
	if s.conns == nil {
		s.conns = map[int]*insert{}
	}
	i := s.conns[conn]
	if at := bytes.Index(b, insertInto); at >= 0 && (i == nil || i.phase != begins) {
		s.conns[conn] = &insert{opened: time.Now(), phase: opens, query: bytes.Clone(b[at:min(len(b), at+100)])}
		return opens
	}
	if i == nil {
		return 0
	}
	if i.phase == opens && bytes.HasPrefix(b, blockHead) && len(b) > len(lastBlock) && b[len(blockHead)] > 0 {
		i.phase, p = begins, begins
	}
	if i.phase != begins {
		return p
	}
	i.tail = append(i.tail, b[max(0, len(b)-len(lastBlock)):]...)
	i.tail = i.tail[max(0, len(i.tail)-len(lastBlock)):]
	if bytes.Equal(i.tail, lastBlock) {
		i.phase = ends
		p |= ends
	}
	return p
}

// begun and ended match the ends of a block.
func begun(r request) bool { return r.phase&begins != 0 }
func ended(r request) bool { return r.phase&ends != 0 }

// endedOf matches the end of a block for a table.
func endedOf(table string) match {
	return func(r request) bool { return ended(r) && bytes.Contains(r.query, []byte(table)) }
}

// waiting are the connections with an INSERT whose block has not begun, that was
// opened before a moment, and not so long before that it is forgotten.
func (g *gate) waiting(before time.Time) map[int]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[int]bool{}
	for conn, i := range g.blocks.conns {
		if i.phase == opens && i.opened.Before(before) && before.Sub(i.opened) < session {
			all[conn] = true
		}
	}
	return all
}
