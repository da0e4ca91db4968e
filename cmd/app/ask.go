package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicekit/sluice/config"
	"github.com/sluicekit/sluice/core/decode"
	"github.com/sluicekit/sluice/core/folder"
	"github.com/sluicekit/sluice/core/ledger"
	"github.com/sluicekit/sluice/core/plan"
	"github.com/sluicekit/sluice/core/source"
)

// checkTimeout bounds what one registry, cluster or destination may take to
// answer a check.
const checkTimeout = 20 * time.Second

// quiet is the log of a sink that is opened only to be checked: what it finds
// it returns.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// events opens what describes the events of each stream. A stream whose types
// only the registry has is left out without --connect, and that is noted. The
// error is config.Problems.
func (k *checker) events(ctx context.Context) (map[string]plan.Events, error) {
	events := map[string]plan.Events{}
	var problems config.Problems
	for i := range k.config.Streams {
		s := &k.config.Streams[i]
		asks := s.Format == config.Avro && s.Schema == nil && s.Files == nil
		if asks && !k.connect {
			k.open = append(k.open, "the fields of the sinks of "+s.Name+": their types are in the registry; --connect asks it")
			continue
		}
		opened, err := openForCheck(ctx, s)
		err = k.config.Blame(s.Name, err)
		var p config.Problems
		if errors.As(err, &p) {
			problems = append(problems, p...)
			continue
		}
		if asks {
			k.answered(k.config.PlaceOfStream(s.Name), "stream "+s.Name+": registry", err)
		}
		if err != nil {
			k.open = append(k.open, "the fields of the sinks of "+s.Name+": it is not known what its events hold")
			continue
		}
		events[s.Name] = opened
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return events, nil
}

func openForCheck(ctx context.Context, s *config.Stream) (plan.Events, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	o, err := s.Decode(nil)
	if err != nil {
		return nil, err
	}
	if o.Registry != nil {
		defer o.Registry.Close()
	}
	events, err := decode.Open(ctx, o)
	if err != nil {
		return nil, err // not a nil *decode.Stream, which would be some Events
	}
	return events, nil
}

// topics asks the brokers of each stream for its topics, and looks for its files.
func (k *checker) topics(ctx context.Context) {
	for i := range k.config.Streams {
		s := &k.config.Streams[i]
		if s.Files != nil {
			files, err := folder.Match(s.Files.Paths)
			k.answered(k.config.PlaceOfStream(s.Name), fmt.Sprintf("stream %s: %s now", s.Name, count(files, "file")), err)
			continue
		}
		partitions, err := k.describeTopics(ctx, s)
		what := "stream " + s.Name // the error says that it is of Kafka
		if err == nil {
			what += ": Kafka, " + count(partitions, "partition")
		}
		k.answered(k.config.PlaceOfStream(s.Name), what, err)
	}
}

func (k *checker) describeTopics(ctx context.Context, s *config.Stream) (partitions int, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	cluster, err := openCluster(s)
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
	for _, name := range s.Kafka.Topics {
		n := len(d.Topics[name].Partitions)
		partitions += n
		if err := ledger.Check(k.config.Entries(s.Name), source.WidthOf(int32(n), s.Slots)); err != nil {
			return 0, fmt.Errorf("topic %s: %w", name, err)
		}
	}
	return partitions, nil
}
