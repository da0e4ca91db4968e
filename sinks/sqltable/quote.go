package sqltable

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Name is a table's name, with the database it is in; Schema "" is the
// connection's own.
type Name struct {
	Schema, Table string
}

// ParseName splits database.table at its first dot.
func ParseName(text string) Name {
	if schema, table, ok := strings.Cut(text, "."); ok {
		return Name{Schema: schema, Table: table}
	}
	return Name{Table: text}
}

func (n Name) String() string {
	if n.Schema == "" {
		return n.Table
	}
	return n.Schema + "." + n.Table
}

// Quote makes an SQL identifier of a name that passed checkIdentifier: put
// between quote signs, and a quote sign inside doubled. It is the only way by
// which a name gets into a statement. Neither database knows another escape
// between these signs, so nothing but the sign itself can end the identifier.
func Quote(sign byte, name string) string {
	s := string(sign)
	return s + strings.ReplaceAll(name, s, s+s) + s
}

// Quote makes an SQL identifier of the whole name.
func (n Name) Quote(sign byte) string {
	if n.Schema == "" {
		return Quote(sign, n.Table)
	}
	return Quote(sign, n.Schema) + "." + Quote(sign, n.Table)
}

// maxIdentifier is the longest name of a table or column, in characters
// (MariaDB's limit).
const maxIdentifier = 64

// checkIdentifier refuses what no quoting can save: NUL ends a statement's text
// in some client libraries and servers.
func checkIdentifier(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case strings.ContainsRune(name, 0):
		return errors.New("holds a NUL character")
	case !utf8.ValidString(name):
		return errors.New("is not UTF-8")
	case utf8.RuneCountInString(name) > maxIdentifier:
		return errors.New("is longer than 64 characters")
	}
	return nil
}
