package clickhouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/clickhouse/native"
	"github.com/sluicekit/sluice/sinks/endpoint"
)

// The errors of a server that are told apart.
const (
	codeUnknownTable    = 60
	codeUnknownType     = 50
	codeTimeout         = 159
	codeTooManyParts    = 252
	codeConstraint      = 469
	codeMemory          = 241
	codeTableReadOnly   = 242
	codeNoSpace         = 243
	codeQuota           = 201
	codeAccessDenied    = 497
	codeWrongPassword   = 516
	codeTooManyAtOnce   = 202
	codeOverloaded      = 745
	codeReadOnlyForGood = 774
	codeKilled          = 777
	codeNoMemory        = 778
)

// mend are the errors that people must mend. Their messages hold names only.
func mend(code int32) bool {
	switch code {
	case codeUnknownTable, codeUnknownType, codeAccessDenied, codeWrongPassword, codeQuota,
		8, 10, 16, 20, 36, 44, 46, 47, 53, 57, 62, 81, 82, 115, 192, 193, 194, 195, 291, 452, 164, 700, codeReadOnlyForGood:
		return true
	}
	return false
}

// tooManyPartitions says whether a batch touches more of the table's partitions
// than an insert may, which is so each time it comes. Its number is that of parts
// that are not merged fast enough.
func tooManyPartitions(code int32, message string) bool {
	return code == codeTooManyParts && strings.Contains(message, "max_partitions_per_insert_block")
}

// advice is what a person can do about an error that comes again.
func advice(code int32, message string) string {
	switch code {
	case codeTooManyParts:
		if tooManyPartitions(code, message) {
			return "; a batch touches more partitions than the server allows: a coarser PARTITION BY, or settings: {max_partitions_per_insert_block: …}"
		}
		return "; merges do not keep up: write fewer and larger batches (batch.age, slots, a coarser PARTITION BY), and look at system.merges"
	case codeMemory, codeKilled, codeNoMemory:
		return "; the server is out of memory: it is tried again; smaller batches (batch.rows, batch.bytes) need less"
	case codeTableReadOnly:
		return "; the table is read-only, as when it has lost its Keeper: it is tried again"
	case codeReadOnlyForGood:
		return "; the table is read-only until somebody changes that (table_readonly, or a disk that cannot be written)"
	case codeOverloaded:
		return "; the server has too much to do: it is tried again"
	case codeNoSpace:
		return "; the server's disk is full: it is tried again"
	case codeQuota:
		return "; the user's quota is used up: it is tried again, and goes on with the next interval"
	case codeTooManyAtOnce:
		return "; the server runs as many queries as it may: it is tried again"
	case codeTimeout:
		return "; the attempt took longer than it may"
	}
	return ""
}

// speaks says whether the message of an error holds names and numbers and no
// values: it may be shown.
func speaks(code int32) bool {
	switch code {
	case codeTooManyParts, codeMemory, codeKilled, codeNoMemory, codeTableReadOnly, codeNoSpace, codeTooManyAtOnce, codeOverloaded, codeTimeout:
		return true
	}
	return mend(code) && code != 62 && code != 53
}

// explain classifies an error, and leaves out of it what may be the content of
// a row.
func explain(err error) error {
	if err == nil || sink.IsPermanent(err) || sink.IsRefused(err) {
		return err
	}
	var here *native.Exception
	var there *clickhouse.Exception
	switch {
	case errors.As(err, &here):
		return explainCode(here.Code, here.Message)
	case errors.As(err, &there):
		return explainCode(there.Code, there.Message)
	}
	if endpoint.Untrusted(err) {
		return sink.Permanent(err)
	}
	var slow net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout() {
		return fmt.Errorf("the server did not answer in time: %w", err)
	}
	return err
}

// explainStatement is explain for statements that hold no rows: what the server
// says about them can be shown, and is for people.
func explainStatement(err error) error {
	var e *clickhouse.Exception
	if !errors.As(err, &e) || speaks(e.Code) {
		return explain(err)
	}
	return sink.Permanent(fmt.Errorf("clickhouse error %d (%s): %s", e.Code, native.CodeName(e.Code), firstSentence(e.Message)))
}

// explainGreeting is explain for a server that was not asked anything yet: what it
// says is of the connection's options, and who talks past it has the wrong port.
func explainGreeting(err error) error {
	var plain tls.RecordHeaderError
	switch text := err.Error(); {
	case errors.As(err, &plain):
		return fmt.Errorf("%w; does this port speak TLS? The native protocol's is 9440 with tls, 9000 without", err)
	case strings.Contains(text, "[handshake] unexpected packet"):
		return fmt.Errorf("%w; is this the port of the native protocol? That is 9000, or 9440 with tls; 8123 and 8443 are HTTP's", err)
	}
	var e *clickhouse.Exception
	if errors.As(err, &e) && ofValue(e.Code) {
		return sink.Permanent(fmt.Errorf("clickhouse error %d (%s): %s; see the connection's settings", e.Code, native.CodeName(e.Code), firstSentence(e.Message)))
	}
	return explain(err)
}

// ofValue says whether an error comes of a value, which the sink has laid out as
// its column wants it: so some expression of the table has made something of it.
func ofValue(code int32) bool {
	switch code {
	case 6, 26, 27, 36, 38, 41, 53, 69, 70, 72, 117, 130, 131, 153, 190, 321, 349, 376, 395, 407, 427, 441, 675, 676, 691:
		return true
	}
	return false
}

// explainRows is explain for an error that came after rows were sent. What a
// default, a constraint or a view made of a value may stand in any message but
// those of the server's own limits.
func explainRows(err error) error {
	var e *native.Exception
	if errors.As(err, &e) && ofValue(e.Code) {
		return fmt.Errorf("clickhouse error %d (%s); a default, a constraint or a materialized view of the table fails for a value of the batch, and the server does not say of which row: "+
			"let the expression take such values (toUInt8OrNull instead of toUInt8, say), or leave these events out with where", e.Code, native.CodeName(e.Code))
	}
	if !errors.As(err, &e) || !mend(e.Code) || e.Code == codeUnknownTable || e.Code == codeAccessDenied || e.Code == codeQuota {
		return explain(err)
	}
	return explainCode(e.Code, "")
}

func explainCode(code int32, message string) error {
	text := fmt.Sprintf("clickhouse error %d (%s)", code, native.CodeName(code))
	if speaks(code) && message != "" {
		text += ": " + firstSentence(message)
	}
	err := errors.New(text + advice(code, message))
	if mend(code) || tooManyPartitions(code, message) {
		return sink.Permanent(err)
	}
	return err
}

// maxMessage is how much of a server's message is shown, in bytes.
const maxMessage = 300

// firstSentence shortens a server's message.
func firstSentence(message string) string {
	message = strings.TrimPrefix(message, "DB::Exception: ")
	message = strings.ToValidUTF8(message, "?")
	if i := strings.IndexByte(message, '\n'); i >= 0 {
		message = message[:i]
	}
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return strings.TrimSuffix(strings.TrimSpace(message), ".")
}
