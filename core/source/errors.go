package source

import (
	"errors"
	"fmt"
	"strings"

	"github.com/segmentio/kafka-go"
)

// Error codes of the protocol that decide something here.
const (
	codeNone                    int16 = 0
	codeUnknown                 int16 = -1
	codeOffsetOutOfRange        int16 = 1
	codeUnknownTopicOrPartition int16 = 3
	codeLeaderNotAvailable      int16 = 5
	codeNotLeader               int16 = 6
	codeRequestTimedOut         int16 = 7
	codeMessageTooLarge         int16 = 10
	codeCoordinatorLoading      int16 = 14
	codeCoordinatorNotAvailable int16 = 15
	codeNotCoordinator          int16 = 16
	codeRecordListTooLarge      int16 = 18
	codeNotEnoughReplicas       int16 = 19
	codeNotEnoughAfterAppend    int16 = 20
	codeIllegalGeneration       int16 = 22
	codeUnknownMember           int16 = 25
	codeRebalanceInProgress     int16 = 27
	codeUnsupportedVersion      int16 = 35
	codeKafkaStorageError       int16 = 56
	codeGroupNotFound           int16 = 69
	codeFencedLeaderEpoch       int16 = 74
	codeUnknownLeaderEpoch      int16 = 75
	codeOffsetNotAvailable      int16 = 78
	codeMemberIDRequired        int16 = 79
	codeGroupMaxSize            int16 = 81
	codeFencedInstance          int16 = 82
	codeUnstableOffsetCommit    int16 = 88
	codeUnknownTopicID          int16 = 100
	codeInconsistentTopicID     int16 = 103
)

// KafkaError is an answer with an error code.
type KafkaError struct {
	Code    int16
	Request string // the API's name, e.g. "Fetch"
	Object  string // what it was about, e.g. "events/3" or "group ads-events"
}

func (e *KafkaError) Error() string {
	if e.Code == codeUnknownTopicOrPartition && e.Request == "Metadata" {
		return fmt.Sprintf("kafka: topic %s does not exist (error %d)", e.Object, e.Code)
	}
	return fmt.Sprintf("kafka: %s %s: %s (error %d)", e.Request, e.Object, codeName(e.Code), e.Code)
}

// Retriable reports whether the same request may succeed later without anybody changing something.
func (e *KafkaError) Retriable() bool {
	switch e.Code {
	case codeUnknownTopicOrPartition, codeLeaderNotAvailable, codeNotLeader, codeRequestTimedOut, codeCoordinatorLoading,
		codeCoordinatorNotAvailable, codeNotCoordinator, codeNotEnoughReplicas, codeNotEnoughAfterAppend, codeRebalanceInProgress,
		codeKafkaStorageError, codeFencedLeaderEpoch, codeUnknownLeaderEpoch, codeOffsetNotAvailable, codeGroupMaxSize,
		codeUnstableOffsetCommit, codeUnknownTopicID:
		return true
	}
	return false
}

// TooLarge reports whether what was produced is more than the topic takes.
func (e *KafkaError) TooLarge() bool {
	return e.Code == codeMessageTooLarge || e.Code == codeRecordListTooLarge
}

func codeName(code int16) string {
	if code == codeUnknown {
		return "unknown server error"
	}
	return strings.ToLower(kafka.Error(code).Title())
}

// ConnError says that no answer came.
type ConnError struct {
	Request, Address string
	Sent             bool // false: the broker cannot have got the whole request, so it did and will do nothing
	Err              error
}

func (e *ConnError) Error() string {
	what := "not sent"
	if e.Sent {
		what = "no answer"
	}
	return fmt.Sprintf("kafka: %s to %s: %s: %v", e.Request, e.Address, what, e.Err)
}

func (e *ConnError) Unwrap() error { return e.Err }

// VersionError says that a broker does not speak a request in a version we need.
type VersionError struct {
	Request, Address     string
	Min, Max             int16 // what we can use
	BrokerMin, BrokerMax int16 // what the broker offers; -1: nothing
}

func (e *VersionError) Error() string {
	if e.BrokerMax < 0 {
		return fmt.Sprintf("kafka: broker %s does not offer %s; versions %d to %d are needed", e.Address, e.Request, e.Min, e.Max)
	}
	return fmt.Sprintf("kafka: broker %s offers %s in versions %d to %d; %d to %d are needed",
		e.Address, e.Request, e.BrokerMin, e.BrokerMax, e.Min, e.Max)
}

// OutOfRangeError says that the log does not hold an offset: it was deleted (Offset < LogStart) or never written or cut off again
// (Offset > End). LogStart and End are -1 where they could not be found out.
type OutOfRangeError struct {
	Topic                 string
	Partition             int32
	Offset, LogStart, End int64
}

func (e *OutOfRangeError) Error() string {
	return fmt.Sprintf("kafka: offset %d of %s/%d is outside of the log [%d, %d)", e.Offset, e.Topic, e.Partition, e.LogStart, e.End)
}

// TruncatedError says that the log before an offset is not the one that was read: it agrees at most up to End, where Epoch ends. Both
// are -1 where the broker knows nothing of the epoch.
type TruncatedError struct {
	Topic       string
	Partition   int32
	Offset, End int64
	Epoch       int32
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("kafka: %s/%d before offset %d was cut off and written anew: it ends at %d in epoch %d", e.Topic, e.Partition, e.Offset, e.End, e.Epoch)
}

// TopicChangedError says that the partition's leader does not hold the topic of an id: it was deleted, and perhaps another one was made
// under its name, whose offsets mean something else. For a moment a broker may also not have heard of a topic that is new.
type TopicChangedError struct {
	Topic string
	ID    [16]byte
}

func (e *TopicChangedError) Error() string {
	return fmt.Sprintf("kafka: topic %s is not there under id %x any more: it was deleted, or made again", e.Topic, e.ID)
}

// retriable says whether a failed step of the membership is worth another try.
func retriable(err error) bool {
	var ke *KafkaError
	if errors.As(err, &ke) {
		return ke.Retriable()
	}
	var ce *ConnError
	return errors.As(err, &ce)
}

// unsent marks the failure of a request that only prepared the one in question: that one was not sent.
func unsent(err error) error {
	var ce *ConnError
	if errors.As(err, &ce) {
		return &ConnError{Request: ce.Request, Address: ce.Address, Err: ce.Err}
	}
	return err
}
