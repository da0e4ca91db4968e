// Command up starts the servers that Sluice is tested against and runs until it
// is interrupted: for trying a pipeline by hand.
//
// Nothing comes in but signals. One line of JSON with all addresses goes to the
// standard output once everything serves; progress goes to the standard error.
// The command owns the servers and ends them. One goroutine starts each server.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// addresses is the line on the standard output.
type addresses struct {
	Kafka      string            `json:"kafka"`
	KafkaTLS   kafkaTLSAddress   `json:"kafka_tls"`
	MariaDB    mariaDBAddress    `json:"mariadb"`
	ClickHouse clickHouseAddress `json:"clickhouse"`
	Registry   string            `json:"registry"`
}

type kafkaTLSAddress struct {
	SASL string `json:"sasl_ssl"`
	TLS  string `json:"ssl"`
	CA   string `json:"ca_file"`
}

type clickHouseAddress struct {
	Address  string `json:"address"`
	HTTP     string `json:"http"`
	Username string `json:"username"`
	Database string `json:"database"`
}

type mariaDBAddress struct {
	Address  string `json:"address"`
	Username string `json:"username"`
	Database string `json:"database"`
}

// database is the empty one that exists from the start.
const database = "sluice"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := up(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "up:", err)
		os.Exit(1)
	}
}

// up runs the servers until the context ends.
func up(ctx context.Context, out io.Writer) (err error) {
	var s servers
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // interrupted while starting: that is no failure
		}
		return err
	}
	line, err := json.Marshal(s.addresses())
	if err != nil {
		return fmt.Errorf("encode addresses: %w", err)
	}
	if _, err := fmt.Fprintf(out, "%s\n", line); err != nil {
		return fmt.Errorf("print addresses: %w", err)
	}
	fmt.Fprintln(os.Stderr, "up: running, interrupt to stop")
	<-ctx.Done()
	fmt.Fprintln(os.Stderr, "up: stopping")
	return nil
}

// servers are those that have been started; nil for one that has not.
type servers struct {
	kafka      *stack.KafkaServer
	mariadb    *stack.MariaDBServer
	clickhouse *stack.ClickHouseServer
	registry   *stack.RegistryServer
}

func (s *servers) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	var errs [4]error
	wg.Go(func() { errs[0] = s.startKafka(ctx) })
	wg.Go(func() { errs[1] = s.startMariaDB(ctx) })
	wg.Go(func() { errs[2] = s.startRegistry(ctx) })
	wg.Go(func() { errs[3] = s.startClickHouse(ctx) })
	wg.Wait()
	return errors.Join(errs[:]...)
}

func (s *servers) startKafka(ctx context.Context) (err error) {
	began := time.Now()
	if s.kafka, err = stack.StartKafka(ctx, stack.KafkaOptions{TLS: true}); err != nil {
		return err
	}
	progress("kafka", began)
	return nil
}

func (s *servers) startMariaDB(ctx context.Context) (err error) {
	began := time.Now()
	if s.mariadb, err = stack.StartMariaDB(ctx, stack.MariaDBOptions{}); err != nil {
		return err
	}
	if err := s.mariadb.CreateDatabase(ctx, database); err != nil {
		return err
	}
	progress("mariadb", began)
	return nil
}

func (s *servers) startClickHouse(ctx context.Context) (err error) {
	began := time.Now()
	if s.clickhouse, err = stack.StartClickHouse(ctx, stack.ClickHouseOptions{Users: []stack.ClickHouseUser{writer()}}); err != nil {
		return err
	}
	if err := s.clickhouse.CreateDatabase(ctx, database); err != nil {
		return err
	}
	progress("clickhouse", began)
	return nil
}

// writer is the user that sinks/clickhouse/README.md creates, with the rights
// that it grants: this server can create none, so that one is there from the
// start.
func writer() stack.ClickHouseUser {
	return stack.ClickHouseUser{Name: "sluice", Password: "a password", Grants: []string{
		"INSERT, SELECT ON stats.events",
		"SELECT ON system.parts",
		"SELECT ON system.merge_tree_settings",
	}}
}

func (s *servers) startRegistry(ctx context.Context) (err error) {
	began := time.Now()
	if s.registry, err = stack.StartRegistry(ctx, stack.RegistryOptions{}); err != nil {
		return err
	}
	progress("registry", began)
	return nil
}

func progress(name string, began time.Time) {
	fmt.Fprintf(os.Stderr, "up: %s serves after %s\n", name, time.Since(began).Round(10*time.Millisecond))
}

func (s *servers) addresses() addresses {
	return addresses{
		Kafka:      s.kafka.Addr(),
		KafkaTLS:   kafkaTLSAddress{SASL: s.kafka.SASLAddr(), TLS: s.kafka.TLSAddr(), CA: s.kafka.CAFile()},
		MariaDB:    mariaDBAddress{Address: s.mariadb.Addr(), Username: s.mariadb.User(), Database: database},
		ClickHouse: clickHouseAddress{Address: s.clickhouse.Addr(), HTTP: s.clickhouse.HTTPAddr(), Username: s.clickhouse.User(), Database: database},
		Registry:   s.registry.URL(),
	}
}

func (s *servers) close() error {
	var errs []error
	if s.registry != nil {
		errs = append(errs, s.registry.Close())
	}
	if s.kafka != nil {
		errs = append(errs, s.kafka.Close())
	}
	if s.mariadb != nil {
		errs = append(errs, s.mariadb.Close())
	}
	if s.clickhouse != nil {
		errs = append(errs, s.clickhouse.Close())
	}
	return errors.Join(errs...)
}
