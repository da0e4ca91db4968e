package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := up(ctx, w)
		w.CloseWithError(err)
		done <- err
	}()
	line, err := bufio.NewReader(r).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var a addresses
	if err := json.Unmarshal(line, &a); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	for _, addr := range []string{a.Kafka, a.KafkaTLS.SASL, a.KafkaTLS.TLS, a.MariaDB.Address} {
		conn, err := net.Dial("tcp4", addr)
		if err != nil {
			t.Error(err)
			continue
		}
		conn.Close()
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(a.Registry + "/subjects")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("registry: %s", resp.Status)
	}
	checkWriter(t, client, a.ClickHouse.HTTP)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp4", a.Kafka); err == nil {
		conn.Close()
		t.Error("kafka is still there")
	}
}

// checkWriter: the user that sinks/clickhouse/README.md creates is there, with
// the rights that it grants.
func checkWriter(t *testing.T, client *http.Client, addr string) {
	t.Helper()
	text, err := os.ReadFile("../../sinks/clickhouse/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^GRANT (.*) TO sluice;$`).FindAllSubmatch(text, -1) {
		want = append(want, string(m[1]))
	}
	if got := writer().Grants; !slices.Equal(got, want) {
		t.Errorf("the user sluice has %q, the README grants %q", got, want)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/", strings.NewReader("SELECT currentUser()"))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("sluice", "a password")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "sluice\n" {
		t.Errorf("clickhouse answers the user sluice %q, %v", got, err)
	}
}
