// Package sinks lists the types of sinks that come with Sluice. Nothing
// registers itself: what is in this list is in the program.
package sinks

import (
	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/clickhouse"
	"github.com/sluicekit/sluice/sinks/discard"
	"github.com/sluicekit/sluice/sinks/files"
	"github.com/sluicekit/sluice/sinks/mariadb"
	"github.com/sluicekit/sluice/sinks/sqlite"
	"github.com/sluicekit/sluice/sinks/stdout"
)

// All lists them in the order in which `sluice sinks` shows them.
func All() []sink.Spec {
	return []sink.Spec{
		clickhouse.Spec(),
		mariadb.Spec(),
		sqlite.Spec(),
		files.Spec(),
		stdout.Spec(),
		discard.Spec(),
	}
}
