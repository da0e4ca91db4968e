// Command sluice carries enveloped events from Kafka into databases, exactly
// once in effect. For a build with sinks of your own, copy this file and add
// their Specs to the list.
package main

import (
	"github.com/sluicekit/sluice/cmd/app"
	"github.com/sluicekit/sluice/sinks"
)

func main() { app.Main(sinks.All()...) }
