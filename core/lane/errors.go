package lane

import (
	"errors"
	"fmt"

	"github.com/sluicekit/sluice/core/telemetry"
)

// What a Feed says without an error being there: see Feed.Next.
var (
	// ErrPressed says that other lanes wait for the memory that this one holds.
	ErrPressed = errors.New("the memory that the batch holds is wanted")
	// ErrComplete says that nothing will come any more: what there is, is a batch.
	ErrComplete = errors.New("all is read")
)

// GapError says that records which the sink has not seen are gone.
type GapError struct {
	Topic     string
	Partition int32
	First     int64 // the position
	Next      int64 // the first record that is left
}

func (e *GapError) Error() string {
	return fmt.Sprintf("records %s[%d] [%d,%d) are gone from the topic before this sink has read them", e.Topic, e.Partition, e.First, e.Next)
}

// TruncatedError says that the log ends below the position.
type TruncatedError struct {
	Topic         string
	Partition     int32
	Position, End int64
}

func (e *TruncatedError) Error() string {
	if e.End < 0 { // where it parts from what was read is not known
		return fmt.Sprintf("%s[%d] was cut off below the sink's position %d and written anew", e.Topic, e.Partition, e.Position)
	}
	return fmt.Sprintf("%s[%d] ends at %d, below the sink's position %d: records were truncated, or the topic is another one", e.Topic, e.Partition, e.End, e.Position)
}

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

// isFinal says that asking a Feed again gives the same error.
func isFinal(err error) bool {
	var gap *GapError
	var cut *TruncatedError
	var bad *UnreadableError
	return errors.As(err, &gap) || errors.As(err, &cut) || errors.As(err, &bad)
}

// WaitError is an error of a Feed that says what is waited for: the brokers,
// the registry, a schema. It passes by itself.
type WaitError struct {
	State telemetry.State
	Err   error
}

func (e *WaitError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *WaitError) Unwrap() error { return e.Err }
