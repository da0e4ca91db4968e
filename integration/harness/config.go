package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const topic = "events"

// session is the group's session timeout: short, so that a run has many
// takeovers.
const session = 1500 * time.Millisecond

const streamsYAML = `streams:
  events:
    kafka:
      brokers: ["%s"]
      topics: [events]
      group: harness
      client_id: %s%s
      session_timeout: %s
      rebalance_timeout: %s
    format: json
    envelope: {id: id, time: time, type: type, server: server, payload: payload}
    types:
      id: int
      time: timestamp
      type: string
      server: string
      payload.account: int
      payload.amount: decimal(12,2)
      payload.pad: string
    dead_letters: {topic: events.dead}
%s
connections:
%s
`

// archiveYAML is a sink that has files: everything, also noise.
const archiveYAML = `sink: archive
from: events
fields: all
batch: {rows: 3000, age: 300ms}
files: {dir: "%s", level: 1}
`

// writeConfig writes an instance's YAML files.
func writeConfig(dir, client, kafka, db, archive string, o Options, s *store) error {
	if err := os.MkdirAll(filepath.Join(dir, "sinks"), 0o755); err != nil {
		return err
	}
	width := ""
	if o.Slots > 0 {
		width = fmt.Sprintf("    slots: %d", o.Slots)
	}
	static, expires, rebalance := "", session, 4*session
	if o.Static {
		// A restart must be over before the session.
		static, expires, rebalance = "\n      instance_id: "+client, 40*session, 40*session
	}
	files := map[string]string{"streams.yaml": fmt.Sprintf(streamsYAML, kafka, client, static, expires, rebalance, width, fmt.Sprintf(s.connection, db))}
	for name, text := range s.sinks {
		files[filepath.Join("sinks", name)] = text
	}
	if s.archived {
		files[filepath.Join("sinks", "archive.yaml")] = fmt.Sprintf(archiveYAML, archive)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
