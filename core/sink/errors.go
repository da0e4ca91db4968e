package sink

import (
	"errors"
	"fmt"
	"strings"
)

// RowsError names records that the destination will not take. The rest of the
// cut is fine.
type RowsError struct {
	Rows []RowError // ascending by partition and offset
}

// RowError is one such record. Reason names column, type and cause, and never
// the value. For grouped rows Partition is -1 and Offset the group's lowest.
type RowError struct {
	Partition int32
	Offset    int64
	Reason    string
}

func (e *RowsError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rows refused", len(e.Rows))
	for i, r := range e.Rows {
		if i == 3 {
			b.WriteString("; …")
			break
		}
		fmt.Fprintf(&b, "; offset %d of partition %d: %s", r.Offset, r.Partition, r.Reason)
	}
	return b.String()
}

// Refused marks an error of Stage or Commit after which nothing of the cut was
// applied, and nothing of it will be. Only an answer of the destination, or a
// request that provably never left, is one.
func Refused(err error) error { return &classified{err: err, refused: true} }

// Permanent marks an error that a person must mend. It says nothing about the
// outcome of a commit; Refused(Permanent(err)) says both.
func Permanent(err error) error { return &classified{err: err, permanent: true} }

// ErrStale is returned by the Commit of an Atomic writer whose stored position
// is not the cut's: somebody else went on. It implies Refused.
var ErrStale = errors.New("the stored position is not the batch's first offset")

// Stale wraps ErrStale with what was found.
func Stale(found string) error {
	return &classified{err: fmt.Errorf("%w: found %s", ErrStale, found), refused: true}
}

// IsRefused says whether nothing of the cut was or will be applied.
func IsRefused(err error) bool {
	var rows *RowsError
	return errors.As(err, &rows) || anyClass(err, func(c *classified) bool { return c.refused })
}

// IsPermanent says whether a person must mend something.
func IsPermanent(err error) bool {
	return anyClass(err, func(c *classified) bool { return c.permanent })
}

type classified struct {
	err                error
	refused, permanent bool
}

func (c *classified) Error() string { return c.err.Error() }
func (c *classified) Unwrap() error { return c.err }

// anyClass walks the chain, since one mark may wrap another.
func anyClass(err error, is func(*classified) bool) bool {
	var c *classified
	for errors.As(err, &c) {
		if is(c) {
			return true
		}
		err = c.err
	}
	return false
}
