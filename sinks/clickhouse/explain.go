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
