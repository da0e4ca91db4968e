package plan

import "github.com/sluicekit/sluice/core/record"

// Events describes what the events of a stream hold.
type Events interface {
	// Field is the type of the value at p. The error is *UnknownError if there
	// is no such name, *UntypedError if there is one (or may be: JSON) whose
	// type nobody declared.
	Field(p record.Path) (record.Type, error)
	// Names lists the names below p (of the event itself: p is nil), as far as
	// they are known.
	Names(p record.Path) []string
	// All lists what `fields: all` stands for.
	All() []Named
}

// Named is one field of `fields: all`: the column's name, and where its value
// is.
type Named struct {
	Name string
	Path record.Path
	Type record.Type
}

// UnknownError says that a path names nothing.
type UnknownError struct {
	Name string   // text of the shortest unknown prefix of the path: payload.prise
	Near []string // path texts that look like it, nearest first; see Nearest
}

func (e *UnknownError) Error() string { return "no field " + e.Name }

// UntypedError says that a path may exist but that its type is not declared.
type UntypedError struct {
	Path record.Path
}

func (e *UntypedError) Error() string { return "the type of " + e.Path.String() + " is not declared" }
