package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Handler answers GET and HEAD of
//
//	/metrics   Prometheus' text format
//	/status    the Snapshot as JSON
//	/ready     200, or 503 with a line per sink that waits for a person
//	/live      200 while the program answers at all
func (r *Registry) Handler() http.Handler {
	mux := http.NewServeMux()
	// A write that fails has lost its reader, whom nobody can tell any more.
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		r.Snapshot().WriteTo(w) //nolint:errcheck // see above
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(r.Snapshot()) //nolint:errcheck // see above
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		ready, waiting := r.Snapshot().ready()
		if ready {
			fmt.Fprintln(w, "ready") //nolint:errcheck // see above
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		for _, l := range waiting {
			fmt.Fprintf(w, "%s@%s, %s[%d]: %s: %s\n", l.Sink, l.Connection, l.Topic, l.Partition, l.State, l.Reason) //nolint:errcheck // see above
		}
	})
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "live") //nolint:errcheck // see above
	})
	return mux
}

// Serve answers HTTP requests on addr until ctx ends, and returns when
// everything that it started has ended: nil then, or why it could not listen.
// An address without a host, such as ":9464", is loopback; to be reached from
// elsewhere it must say so ("0.0.0.0:9464"). bound, which may be nil, is
// called once with the address that was taken.
func Serve(ctx context.Context, addr string, h http.Handler, log *slog.Logger, bound func(net.Addr)) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("metrics address %q: %w", addr, err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	if bound != nil {
		bound(listener.Addr())
	}
	server := &http.Server{
		Handler: h, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err = <-served:
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
	}
	// Requests under way may end; after a second they are cut off.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		server.Close() //nolint:errcheck // nothing is left to be told
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
