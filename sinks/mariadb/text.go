package mariadb

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluicekit/sluice/core/record"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// bindString stores text without losing a character of it. What a column of
// an old character set cannot hold is found by the server, in strict mode.
func bindString(c *sqltable.Column) (sqltable.Binding, error) {
	var check func(v []byte) string
	switch c.Base {
	case "char", "varchar":
		check = checkCharacters(c.Length, c.Base == "char")
	case "tinytext", "text", "mediumtext", "longtext":
		check = checkBytes(c.Length, strings.HasPrefix(c.Charset, "utf8"))
	case "enum":
		check = checkMember(c.Members)
	case "set":
		check = checkMembers(c.Members)
	case "uuid", "inet4", "inet6":
	default:
		return sqltable.Binding{}, errors.New("it needs a VARCHAR or TEXT column, or a cast (as:) to the column's type")
	}
	charset := c.Charset
	return sqltable.Binding{
		Check: func(c *record.Column, row int) string {
			v := c.Bytes(row)
			if reason := checkCharset(v, charset); reason != "" || check == nil {
				return reason
			}
			return check(v)
		},
		Value: sqltable.TextValue,
	}, nil
}

func checkCharset(v []byte, charset string) string {
	switch {
	case !utf8.Valid(v):
		return "not UTF-8"
	case (charset == "utf8mb3" || charset == "utf8") && bytes.IndexFunc(v, func(r rune) bool { return r > 0xFFFF }) >= 0:
		return "a character that utf8mb3 does not have; utf8mb4 has all"
	case charset == "ascii" && bytes.IndexFunc(v, func(r rune) bool { return r > 0x7F }) >= 0:
		return "a character that ascii does not have; utf8mb4 has all"
	}
	return ""
}

func checkCharacters(length int64, padded bool) func([]byte) string {
	return func(v []byte) string {
		switch {
		case int64(len(v)) > length && int64(utf8.RuneCount(v)) > length:
			return fmt.Sprintf("longer than %d characters", length)
		case padded && bytes.HasSuffix(v, []byte(" ")):
			return "spaces at the end, which a CHAR column drops; VARCHAR keeps them"
		}
		return ""
	}
}

// checkBytes: the length of a TEXT is in bytes of its own character set.
func checkBytes(length int64, known bool) func([]byte) string {
	return func(v []byte) string {
		if known && int64(len(v)) > length {
			return fmt.Sprintf("longer than %d bytes", length)
		}
		return ""
	}
}

// checkMember wants the very spelling: the server takes others for the same
// and stores its own.
func checkMember(members []string) func([]byte) string {
	return func(v []byte) string {
		if !slices.Contains(members, string(v)) {
			return "no value of the enumeration"
		}
		return ""
	}
}

func checkMembers(members []string) func([]byte) string {
	return func(v []byte) string {
		if len(v) == 0 {
			return ""
		}
		seen := map[string]bool{}
		for part := range strings.SplitSeq(string(v), ",") {
			if seen[part] || !slices.Contains(members, part) {
				return "no value of the set, or one twice"
			}
			seen[part] = true
		}
		return ""
	}
}
