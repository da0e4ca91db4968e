package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/source"
)

// checkTimeout bounds what one registry, cluster or destination may take to
// answer a check.
const checkTimeout = 20 * time.Second

// quiet is the log of a sink that is opened only to be checked: what it finds
// it returns.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// events opens what describes the events of each stream. Streams that cannot
// be described are left out and noted. done closes what was opened.
func (k *checker) events(_ context.Context) (events map[string]plan.Events, done func()) {
	events = map[string]plan.Events{}
	for i := range k.config.Streams {
		s := &k.config.Streams[i]
		if s.Format == config.Avro && s.Schema == nil && !k.connect {
			k.open = append(k.open, fmt.Sprintf("the fields of the sinks of %s: their types are in the registry; --connect asks it", s.Name))
		}
	}
	return events, func() {}
}

// topics asks the brokers of each stream for its topics.
func (k *checker) topics(ctx context.Context) {
	for i := range k.config.Streams {
		s := &k.config.Streams[i]
		partitions, err := describeTopics(ctx, s)
		what := fmt.Sprintf("stream %s: Kafka", s.Name)
		if err == nil {
			what += ", " + count(partitions, "partition")
		}
		k.answered(what, err)
	}
}

func describeTopics(ctx context.Context, s *config.Stream) (partitions int, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	options, err := s.Kafka.Cluster()
	if err != nil {
		return 0, err
	}
	cluster, err := source.Open(options)
	if err != nil {
		return 0, err
	}
	defer cluster.Close()
	topics := s.Kafka.Topics
	if s.DeadLetters.Topic != "" {
		topics = append(topics[:len(topics):len(topics)], s.DeadLetters.Topic)
	}
	d, err := cluster.Describe(ctx, topics...)
	if err != nil {
		return 0, err
	}
	for i := range d.Topics {
		partitions += len(d.Topics[i].Partitions)
	}
	return partitions, nil
}
