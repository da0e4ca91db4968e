package stack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicekit/sluice/integration/stack"
)

// ask sends a request to a registry and answers the status and the body.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(timeLimit(t, 2*time.Minute), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// register registers a record schema with one field and answers its id.
func register(t *testing.T, r *stack.RegistryServer, subject, field string) int {
	t.Helper()
	schema := fmt.Sprintf(`{"type":"record","name":"R","fields":[{"name":%q,"type":"long"}]}`, field)
	body, err := json.Marshal(map[string]string{"schema": schema})
	if err != nil {
		t.Fatal(err)
	}
	status, answer := ask(t, http.MethodPost, r.URL()+"/subjects/"+subject+"/versions", string(body))
	var got struct{ ID int }
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status != http.StatusOK || got.ID == 0 {
		t.Fatalf("register: status %d, %v: %s", status, err, answer)
	}
	return got.ID
}

func TestRegistryInMemory(t *testing.T) {
	r := stack.Registry(t)
	id := register(t, r, "s", "a")
	url := fmt.Sprintf("%s/schemas/ids/%d", r.URL(), id)
	if status, answer := ask(t, http.MethodGet, url, ""); status != http.StatusOK || !strings.Contains(answer, `\"a\"`) {
		t.Errorf("get by id: status %d: %s", status, answer)
	}
	first := r.Pid()
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if alive(first) {
		t.Errorf("pid %d is alive after kill", first)
	}
	if err := r.Start(timeLimit(t, 5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(t, http.MethodGet, url, ""); status != http.StatusNotFound {
		t.Errorf("status %d for a schema that was in memory only, want 404", status)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

func TestRegistryOnKafka(t *testing.T) {
	k := servers.Kafka(t)
	r := stack.RegistryWith(t, stack.RegistryOptions{Kafka: k.Addr()})
	id := register(t, r, "s", "kept")
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(timeLimit(t, 5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("%s/schemas/ids/%d", r.URL(), id)
	if status, answer := ask(t, http.MethodGet, url, ""); status != http.StatusOK || !strings.Contains(answer, "kept") {
		t.Errorf("get by id: status %d: %s", status, answer)
	}
}
