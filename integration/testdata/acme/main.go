// Command acme is Sluice with one more type of sink. It has all commands of
// sluice: `acme sinks` lists the new type, `acme describe acme_objects` shows
// its example.
package main

import (
	"example.com/acme/objects"

	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/sinks"
)

func main() { app.Main(append(sinks.All(), objects.Spec())...) }
