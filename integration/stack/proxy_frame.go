package stack

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// Framing says how a Proxy finds the requests in what clients send.
type Framing int

const (
	// Raw takes bytes as they come: a request may come in pieces. It is the only
	// one for encrypted connections.
	Raw Framing = iota
	// KafkaFrames takes whole Kafka requests, and finds the answer that belongs
	// to one.
	KafkaFrames
	// MySQLFrames takes whole packets of MySQL's protocol.
	MySQLFrames
)

// maxFrame guards against a length that is none, because the connection does not
// speak the protocol.
const maxFrame = 256 << 20

func (f Framing) request(r *bufio.Reader) ([]byte, error) {
	switch f {
	case KafkaFrames:
		return kafkaFrame(r)
	case MySQLFrames:
		head, err := r.Peek(4)
		if err != nil {
			return nil, err
		}
		return readFrame(r, 4+int(head[0])+int(head[1])<<8+int(head[2])<<16)
	}
	return readSome(r)
}

// answer needs whole frames only where answers are told apart.
func (f Framing) answer(r *bufio.Reader) ([]byte, error) {
	if f == KafkaFrames {
		return kafkaFrame(r)
	}
	return readSome(r)
}

// answerTo answers what recognizes the answer to a request. Without correlation
// ids it is the next thing the server says.
func (f Framing) answerTo(request []byte) answerMatcher {
	if f == KafkaFrames {
		if q, ok := ParseKafkaRequest(request); ok {
			return func(answer []byte) bool {
				return len(answer) >= 8 && int32(binary.BigEndian.Uint32(answer[4:])) == q.Correlation
			}
		}
	}
	return func([]byte) bool { return true }
}

func kafkaFrame(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n > maxFrame {
		return nil, fmt.Errorf("frame of %d bytes: this is not kafka's protocol", n)
	}
	return readFrame(r, 4+int(n))
}

func readFrame(r *bufio.Reader, n int) ([]byte, error) {
	frame := make([]byte, n)
	_, err := io.ReadFull(r, frame)
	return frame, err
}

func readSome(r *bufio.Reader) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	return readFrame(r, r.Buffered())
}

// KafkaRequest is the start of a Kafka request.
type KafkaRequest struct {
	Key         int16 // for instance 0 Produce, 8 OffsetCommit, 11 JoinGroup
	Version     int16
	Correlation int32
}

// ParseKafkaRequest reads the start of a request that a Proxy with KafkaFrames
// hands to its hook.
func ParseKafkaRequest(b []byte) (KafkaRequest, bool) {
	if len(b) < 12 {
		return KafkaRequest{}, false
	}
	return KafkaRequest{
		Key:         int16(binary.BigEndian.Uint16(b[4:])),
		Version:     int16(binary.BigEndian.Uint16(b[6:])),
		Correlation: int32(binary.BigEndian.Uint32(b[8:])),
	}, true
}

// KafkaKey matches Kafka requests of one kind, for Once.
func KafkaKey(key int16) func(b []byte) bool {
	return func(b []byte) bool {
		q, ok := ParseKafkaRequest(b)
		return ok && q.Key == key
	}
}

// Contains matches requests with some text in them, for Once.
func Contains(text string) func(b []byte) bool {
	return func(b []byte) bool { return bytes.Contains(b, []byte(text)) }
}

// Once answers a hook for OnRequest that acts on the first request that matches
// and forwards all others, and a channel that is closed when it has acted.
func Once(match func(b []byte) bool, action Action) (hook func(conn int, b []byte) Action, hit <-chan struct{}) {
	var once sync.Once
	done := make(chan struct{})
	return func(_ int, b []byte) Action {
		result := Forward
		if match(b) {
			once.Do(func() {
				result = action
				close(done)
			})
		}
		return result
	}, done
}
