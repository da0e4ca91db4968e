package mariadb

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/sluicekit/sluice/sinks/endpoint"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// Explain classifies an error by its number. The server's own words are shown
// only where they hold names and never values: it likes to quote the value it
// refuses, and a syntax error would quote the statement.
func (d *dialect) Explain(err error) (sqltable.Class, error) {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return explainConnection(err)
	}
	class, words := explainNumber(e)
	if words == "" {
		return class, fmt.Errorf("mariadb error %d (%s)", e.Number, e.SQLState[:])
	}
	return class, fmt.Errorf("mariadb error %d (%s): %s", e.Number, e.SQLState[:], words)
}

func explainNumber(e *mysql.MySQLError) (class sqltable.Class, words string) {
	switch e.Number {
	// A row is to blame.
	case 1062, 1022, 1586: // duplicate
		return sqltable.Row, "duplicate for key " + after(e.Message, "for key ")
	case 1366, 1292, 1525, 1977: // wrong value
		return sqltable.Row, "wrong value for column " + after(e.Message, "for column ")
	case 1048, 1264, 1265, 1406, 4025, 1452, 1216: // null, range, truncated, too long, check, foreign key
		words, _, _ = strings.Cut(e.Message, " at row ")
		return sqltable.Row, words
	case 1690, 1367, 1411, 1416, 3819:
		return sqltable.Row, "out of range"
	case 1644: // SIGNAL, in a trigger
		return sqltable.Row, "a trigger refused the row"
	case 1118:
		return sqltable.Row, "row too large"

	// People must mend it; the message names users, tables and columns.
	case 1044, 1045, 1049, 1054, 1130, 1142, 1143, 1146, 1193, 1227, 1364, 1370, 1698, 1932, 4151:
		return sqltable.Mend, e.Message
	case 1064, 1101, 1103, 1110, 1136, 1170, 1071, 1166, 1231, 1238, 1305, 1347, 1348, 1356, 1419, 1471, 1524, 1665, 1820, 1862:
		return sqltable.Mend, ""

	// All others pass; some are known to say only what is well to know.
	case 1020, 1021, 1030, 1040, 1053, 1114, 1180, 1203, 1205, 1213, 1226, 1290, 1317, 1792, 1836, 1927, 1969, 3024:
		return sqltable.Again, e.Message
	}
	return sqltable.Again, ""
}

// after is what follows the last mark; values stand before it.
func after(message, mark string) string {
	i := strings.LastIndex(message, mark)
	if i < 0 {
		return "(unknown)"
	}
	name, _, _ := strings.Cut(message[i+len(mark):], " at row ")
	return name
}

func explainConnection(err error) (sqltable.Class, error) {
	if endpoint.Untrusted(err) {
		return sqltable.Mend, err
	}
	for _, refused := range []error{mysql.ErrNoTLS, mysql.ErrCleartextPassword, mysql.ErrOldPassword, mysql.ErrNativePassword, mysql.ErrUnknownPlugin, mysql.ErrOldProtocol} {
		if errors.Is(err, refused) {
			return sqltable.Mend, err
		}
	}
	return sqltable.Again, err
}
