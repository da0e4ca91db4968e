package native

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
)

// Exception is the server's own error.
type Exception struct {
	Code    int32
	Name    string // such as DB::Exception
	Message string // may quote values of rows
}

// Error leaves the message out, since it may hold values.
func (e *Exception) Error() string {
	return fmt.Sprintf("clickhouse error %d (%s)", e.Code, CodeName(e.Code))
}

// CodeName is the name of a server's error.
func CodeName(code int32) string {
	switch code { // newer than ch-go's list
	case 774:
		return "TABLE_IS_PERMANENTLY_READ_ONLY"
	case 777:
		return "MEMORY_RESERVATION_KILLED"
	case 778:
		return "MEMORY_RESERVATION_FAILED"
	}
	if e := proto.Error(code); e.IsAError() {
		return strings.TrimPrefix(e.String(), "Err")
	}
	return "unknown"
}

// input reads what a server sends. Texts are bounded: a server that is none
// must not exhaust the memory.
type input struct {
	r   *bufio.Reader
	err error // the first one
}

const maxText = 1 << 20

func newInput(r io.Reader) *input { return &input{r: bufio.NewReaderSize(r, 16<<10)} }

// unpacked is the content of a compressed block.
func (in *input) unpacked() *input { return newInput(compress.NewReader(in.r)) }

// fail remembers the first error.
func (in *input) fail(err error) {
	if in.err == nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		in.err = err
	}
}

func (in *input) uvarint() (uint64, error) {
	v, err := binary.ReadUvarint(in.r)
	if err != nil {
		in.fail(err)
	}
	return v, in.err
}

func (in *input) bytes(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(in.r, b); err != nil {
		in.fail(err)
	}
	return b
}

func (in *input) string() string {
	n, err := in.uvarint()
	if err == nil && n > maxText {
		in.fail(fmt.Errorf("the server sent a text of %d bytes", n))
	}
	if in.err != nil {
		return ""
	}
	return string(in.bytes(int(n)))
}

// exception reads an Exception, with those that caused it.
func (in *input) exception() error {
	e := &Exception{Code: int32(binary.LittleEndian.Uint32(in.bytes(4)))}
	e.Name, e.Message = in.string(), in.string()
	in.string() // the stack
	in.bytes(1) // there is no further one any more
	if in.err != nil {
		return in.err
	}
	return e
}

// packet reads what may come beside the answer. done: it was the end.
func (in *input) packet(code uint64, packed bool) (done bool, err error) {
	numbers := 0
	switch proto.ServerCode(code) {
	case proto.ServerCodeEndOfStream:
		return true, nil
	case proto.ServerCodeException:
		return false, in.exception()
	case proto.ServerCodeProgress:
		numbers = 5
	case proto.ServerCodeProfile:
		numbers = 6 // two of them are a byte, which is as good
	case proto.ServerCodeTableColumns:
		in.string()
		in.string()
	case proto.ServerCodeData:
		_, err := in.block(packed)
		return false, err
	case proto.ServerCodePong:
	default:
		return false, fmt.Errorf("the server sent a packet of kind %d, which has no place in an INSERT", code)
	}
	for range numbers {
		in.uvarint() //nolint:errcheck // remembered
	}
	return false, in.err
}

// block reads a block without rows, which names columns.
func (in *input) block(packed bool) ([]Header, error) {
	in.string() // of a table
	body := in
	if packed {
		body = in.unpacked()
	}
	for {
		field, err := body.uvarint()
		if err != nil {
			return nil, err
		}
		if field == 0 {
			break
		}
		body.bytes(map[bool]int{true: 4, false: 1}[field == 2])
	}
	columns, _ := body.uvarint()
	rows, err := body.uvarint()
	if err == nil && (rows > 0 || columns > 100_000) {
		err = fmt.Errorf("the server sent a block of %d rows and %d columns, which has no place in an INSERT", rows, columns)
	}
	if err != nil {
		return nil, err
	}
	all := make([]Header, columns)
	for i := range all {
		all[i] = Header{body.string(), body.string()}
	}
	return all, body.err
}
