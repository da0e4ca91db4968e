package lane

import (
	"fmt"

	"github.com/sluicekit/sluice/core/telemetry"
)

// UnreadableError says that the records at the position are there, and cannot
// be read however often they are fetched: a batch is damaged, or larger than
// what is ever held.
type UnreadableError struct {
	Topic     string
	Partition int32
	Offset    int64 // the position
	Err       error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("records of %s[%d] from offset %d on cannot be read: %v", e.Topic, e.Partition, e.Offset, e.Err)
}

func (e *UnreadableError) Unwrap() error { return e.Err }

// WaitError is an error of a Feed that says what is waited for: the brokers,
// the registry, a schema. It passes by itself.
type WaitError struct {
	State telemetry.State
	Err   error
}

func (e *WaitError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *WaitError) Unwrap() error { return e.Err }
