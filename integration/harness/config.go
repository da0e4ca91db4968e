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
  db:
    mariadb: {address: "%s", database: harness, username: "%s", timeout: 8s}
`

var sinkYAMLs = map[string]string{
	// Everything, also noise.
	"archive.yaml": `sink: archive
from: events
fields: all
batch: {rows: 3000, age: 300ms}
files: {dir: "%s", level: 1}
`,
	// No unique key: a double would be a second row.
	"events.yaml": `sink: events
from: events
where: type != "noise"
fields: {id: id, kind: type, account: payload.account, amount: payload.amount}
batch: {rows: 2000, age: 250ms}
mariadb: {connection: db, table: events}
`,
	// A primary key: a double would be refused, and be a dead letter.
	"keyed.yaml": `sink: keyed
from: events
where: type == "deposit"
fields: {id: id, amount: payload.amount}
on_bad_record: dead_letter
batch: {rows: 1000, age: 400ms}
mariadb: {connection: db, table: keyed}
`,
	"balances.yaml": `sink: balances
from: events
where: type != "noise"
fields: {account: payload.account, amount: payload.amount}
aggregate: {by: [account], columns: {balance: sum(amount), events: count()}}
batch: {rows: 2000, age: 300ms}
mariadb: {connection: db, table: balances, mode: add}
`,
}

var tables = []string{
	"CREATE TABLE events (id BIGINT NOT NULL, kind VARCHAR(16) NOT NULL, account BIGINT NOT NULL, amount DECIMAL(12,2) NOT NULL, KEY (id)) ENGINE=InnoDB",
	"CREATE TABLE keyed (id BIGINT NOT NULL PRIMARY KEY, amount DECIMAL(12,2) NOT NULL) ENGINE=InnoDB",
	"CREATE TABLE balances (account BIGINT NOT NULL PRIMARY KEY, balance DECIMAL(38,2) NOT NULL, events BIGINT NOT NULL) ENGINE=InnoDB",
}

// writeConfig writes an instance's YAML files.
func writeConfig(dir, client, kafka, db, user, archive string, o Options) error {
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
		static, expires, rebalance = "\n      instance_id: "+client, 20*session, 20*session
	}
	files := map[string]string{"streams.yaml": fmt.Sprintf(streamsYAML, kafka, client, static, expires, rebalance, width, db, user)}
	for name, text := range sinkYAMLs {
		if name == "archive.yaml" {
			text = fmt.Sprintf(text, archive)
		}
		files[filepath.Join("sinks", name)] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
