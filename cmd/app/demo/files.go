package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const streamsYAML = `# Where events come from, and what they look like.
streams:
  ads:
    kafka: {brokers: [%s], topics: [ad-events], group: ads-demo, instance_id: demo-1, session_timeout: 6s}
    format: avro
    registry: {url: "%s"}
    envelope: {id: id, time: time, type: type, server: server, payload: payload}
    dead_letters: {topic: ad-events.dead}

# Where rows go. Sinks name a connection.
connections:
  stats:   {sqlite: {file: %s}}
  billing: {sqlite: {file: %s}}
`

const eventsYAML = `# Everything, as JSON lines: one compressed file per batch, named by it.
sink: events
from: ads
fields: all
batch: {rows: 50000, age: 1s}
files:
  dir: %s
`

const statsYAML = `# What analysts want: six of twenty fields, of two of four types of event.
sink: campaign_stats
from: ads
where: type in ["impression", "click"] and payload.campaign_id > 0
fields:
  event_id: id
  time: time
  type: type
  campaign_id: payload.campaign_id
  country: payload.country
  cost: payload.cost
batch: {rows: 50000, age: 1s}
sqlite:
  connection: stats
  table: campaign_stats
  create: true
`

const balancesYAML = `# What billing wants: one row per campaign, exact to the cent.
sink: balances
from: ads
where: type in ["impression", "click", "deposit"]
fields:
  campaign_id: payload.campaign_id
  amount: 'type == "deposit" ? payload.amount : -payload.cost'
  at: time
aggregate:
  by: [campaign_id]
  columns: {balance: sum(amount), events: count(), last_at: max(at)}
batch: {age: 1s}
sqlite:
  connection: billing
  table: balances
  mode: add
  create: true
`

// layout is where things lie in the demo's folder.
type layout struct{ dir string }

func (l layout) config() string  { return filepath.Join(l.dir, "config") }
func (l layout) archive() string { return filepath.Join(l.dir, "archive") }
func (l layout) stats() string   { return filepath.Join(l.dir, "stats.db") }
func (l layout) billing() string { return filepath.Join(l.dir, "billing.db") }
func (l layout) log() string     { return filepath.Join(l.dir, "sluice.log") }

// written is one YAML file of the demo.
type written struct{ name, text string }

// write writes the configuration.
func (l layout) write(broker, registry string) ([]written, error) {
	files := []written{
		{"streams.yaml", fmt.Sprintf(streamsYAML, broker, registry, quoted(l.stats()), quoted(l.billing()))},
		{"sinks/events.yaml", fmt.Sprintf(eventsYAML, quoted(l.archive()))},
		{"sinks/campaign_stats.yaml", statsYAML},
		{"sinks/balances.yaml", balancesYAML},
	}
	for _, f := range files {
		path := filepath.Join(l.config(), f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(f.text), 0o644); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func quoted(path string) string { return `"` + strings.ReplaceAll(path, `"`, `\"`) + `"` }
