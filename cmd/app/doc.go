// Package app is the program sluice: subcommands, exit codes and signals.
//
// What comes in: the arguments, and the list of sink types that this build
// knows. What goes out: results on stdout, everything else on stderr, and the
// exit code: 0 done, 1 failed, 2 wrong usage or configuration.
//
// A build with more sinks is a main of its own, of one line:
//
//	app.Main(append(sinks.All(), acme.Spec())...)
//
// A subcommand is one entry of the table in commands, and a file of its own.
// It returns errors; only Run turns them into messages and an exit code.
//
// Goroutines: Main starts one, which turns SIGINT and SIGTERM into the end of
// the context; a second signal ends the process at once. Run returns when the
// subcommand has, and that waits for what it started.
package app
