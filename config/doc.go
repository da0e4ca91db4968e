// Package config turns YAML files into a typed configuration, or into the list
// of all mistakes in them.
//
// What comes in: files and folders, the Specs of the sinks that this program
// knows, and a way to look up environment variables. What goes out: a Config,
// in which every option has its type and its default, or Problems, each with
// file, line, column, the path of the option, what is wrong, and the nearest
// valid name where there is one. Nothing is guessed and nothing is ignored: an
// unknown key, a number without its unit, a key given twice are mistakes.
//
// # Files
//
// A file holds one or more YAML documents. A document is either shared
// (streams, connections, defaults, limits) or one sink (sink: NAME). A folder
// stands for its *.yaml and *.yml files in the order of their names, and those
// of its sub-folder sinks. Streams and connections may be spread over any
// number of files; a name given twice is a mistake.
//
// A file has at most 1 MiB, a configuration at most 1,000 files and 16 MiB. Nesting ends at 32
// levels, a document at 100,000 values with its aliases expanded, and what aliases stand for at 1 MiB. Tags and
// merge keys (<<) are refused; anchors and aliases are fine.
//
// # Values
//
// A scalar is taken by the type of its option and never by how it looks: 1.10
// stays the text 1.10 where a text is wanted. Bytes need a unit (64MiB, 1MB,
// 1024B; only 0 goes without), and so do durations (15s, 5m, 1h30m, 7d).
//
// ${env:NAME} and ${file:PATH} inside a scalar stand for an environment
// variable and for the content of a file (at most 64 KiB, without the line
// break at its end; a relative path starts at the folder of the YAML file).
// What they yield is text and is never read as YAML; where it is wrong, the
// message does not show it. $${ stands for a literal ${. Texts with references
// have at most 16 MiB in all.
//
// # Secrets
//
// The value of an option of type sink.Secret appears in no message, not even in
// one of a plugin's Validate. A shown source line ends with the thing that is
// blamed, and each value before it that is not known to be harmless is masked.
// A password that stands in the file itself is allowed, and warned about.
//
// # Memory and goroutines
//
// A Config is not changed once Load has returned it and may be shared. It
// keeps the texts of its files, for the places of what Compile finds. The
// package starts no goroutines.
package config
