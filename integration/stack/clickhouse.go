package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ClickHouseOptions says how a ClickHouse server differs from the default one.
type ClickHouseOptions struct {
	// Config is XML that goes into the server's configuration, below its root:
	// clusters, logs, limits.
	Config string
	// Profile is XML of settings that count for all users.
	Profile string
	// Users are there beside the user default. They are fixed with the start,
	// since this server cannot store others.
	Users []ClickHouseUser
	// Logs are the system tables query_log and part_log; without it the server
	// does not keep them, which saves it work.
	Logs bool
}

// ClickHouseUser is a user with exactly some rights.
type ClickHouseUser struct {
	Name, Password string
	Grants         []string // such as "SELECT ON d.t": nothing else is allowed
	Quota          string   // XML of the intervals of a quota; "": unlimited
	Settings       string   // XML of a settings profile of the user's own
	Databases      string   // XML of the rows that the user may see: <d><t><filter>…</filter></t></d>; "": all
}

// ClickHouseServer is one ClickHouse server, with the native protocol and HTTP.
// Its user default has all rights and no password.
//
// It is the engine of ClickHouse inside of a small host program (see
// clickhouse/host.c), and lacks asynchronous inserts, replicated tables and TLS.
type ClickHouseServer struct {
	install *clickHouseInstall
	process *process
	folder  *folder
	ports   *ports // native, HTTP
}

// clickHouseReady bounds a start: an engine that cannot open its ports waits
// for ever.
const clickHouseReady = 3 * time.Minute

// StartClickHouse starts a ClickHouse server without tables and returns when it
// serves. The context bounds the start only. The caller must Close the server.
func StartClickHouse(ctx context.Context, o ClickHouseOptions) (*ClickHouseServer, error) {
	install, err := installClickHouse(ctx)
	if err != nil {
		return nil, fmt.Errorf("start clickhouse: %w", err)
	}
	c := &ClickHouseServer{install: install}
	if err := c.lay(o); err != nil {
		return nil, errors.Join(fmt.Errorf("start clickhouse: %w", err), c.Close())
	}
	if err := c.Start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// lay makes the server's folder and configuration.
func (c *ClickHouseServer) lay(o ClickHouseOptions) (err error) {
	if c.ports, err = reservePorts(2); err != nil {
		return err
	}
	if c.folder, err = newFolder("clickhouse"); err != nil {
		return err
	}
	if err := os.Mkdir(c.path("data"), 0o755); err != nil {
		return fmt.Errorf("create folder: %w", err)
	}
	files := map[string]string{"config.xml": c.config(o), "users.xml": users(o)}
	for name, text := range files {
		if err := os.WriteFile(c.path(name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	args := []string{c.install.library, "--config-file=" + c.path("config.xml"), "--path", c.path("data"),
		"--listen_host", "127.0.0.1", "--tcp_port", fmt.Sprint(c.ports.numbers[0]), "--http_port", fmt.Sprint(c.ports.numbers[1]),
		"--interactive", "--progress", "off", "--highlight", "0", "--disable_suggestion", "--history_file", "/dev/null",
		"--query", "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP"}
	c.process = &process{
		name: "clickhouse", logPath: c.path("log"), grace: stopTimeout, ready: c.probe,
		command: func() *exec.Cmd {
			cmd := exec.Command(c.install.host, args...)
			cmd.Dir = c.folder.path
			// At the prompt of a dumb terminal the typed end of file ends nothing.
			cmd.Env = append(os.Environ(), "TZ=UTC", "TERM=xterm")
			return cmd
		},
	}
	return nil
}

func (c *ClickHouseServer) path(name string) string { return filepath.Join(c.folder.path, name) }

func (c *ClickHouseServer) config(o ClickHouseOptions) string {
	logs := ""
	if o.Logs {
		for _, name := range []string{"query_log", "part_log"} {
			logs += "<" + name + "><database>system</database><table>" + name + "</table><flush_interval_milliseconds>500</flush_interval_milliseconds></" + name + ">\n"
		}
	}
	return `<clickhouse>
<users_config>` + c.path("users.xml") + `</users_config>
` + logs + o.Config + `
</clickhouse>
`
}

func users(o ClickHouseOptions) string {
	profiles, all, quotas := "", "", ""
	for _, u := range o.Users {
		grants := ""
		for _, g := range u.Grants {
			grants += "<query>GRANT " + g + "</query>"
		}
		all += fmt.Sprintf("<%[1]s><password>%s</password><networks><ip>127.0.0.1</ip></networks><profile>%[1]s</profile><quota>%[1]s</quota><grants>%[3]s</grants><databases>%[4]s</databases></%[1]s>\n",
			u.Name, u.Password, grants, u.Databases)
		profiles += "<" + u.Name + ">" + u.Settings + "</" + u.Name + ">"
		quotas += "<" + u.Name + ">" + u.Quota + "</" + u.Name + ">"
	}
	return `<clickhouse>
<profiles><default>` + o.Profile + `</default>` + profiles + `</profiles>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
<access_management>1</access_management><named_collection_control>1</named_collection_control></default>
` + all + `</users>
<quotas><default/>` + quotas + `</quotas>
</clickhouse>
`
}

// probe is one attempt to ask. The native port is opened before that of HTTP.
func (c *ClickHouseServer) probe(ctx context.Context) error {
	return c.Exec(ctx, "SELECT 1")
}

// Exec executes a statement as the user default, past any proxy.
func (c *ClickHouseServer) Exec(ctx context.Context, statement string) error {
	_, err := c.Query(ctx, statement)
	return err
}

// Query answers what a statement returns, one line a row, with tabs between the
// columns.
func (c *ClickHouseServer) Query(ctx context.Context, statement string) (string, error) {
	u := url.URL{Scheme: "http", Host: c.HTTPAddr(), Path: "/"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(statement))
	if err != nil {
		return "", err
	}
	req.Close = true // a connection that is kept would be broken after a restart
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("clickhouse: %s", bytes.TrimSpace(body))
	}
	return string(body), nil
}

// CreateDatabase creates an empty database, and drops one of that name first.
func (c *ClickHouseServer) CreateDatabase(ctx context.Context, name string) error {
	quoted := "`" + strings.ReplaceAll(name, "`", "\\`") + "`"
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + quoted + " SYNC", "CREATE DATABASE " + quoted + " ENGINE = Atomic"} {
		if err := c.Exec(ctx, statement); err != nil {
			return fmt.Errorf("create database %s: %w", name, err)
		}
	}
	return nil
}

// Addr answers host:port of the native protocol.
func (c *ClickHouseServer) Addr() string { return loopback(c.ports.numbers[0]) }

// HTTPAddr answers host:port of the HTTP interface.
func (c *ClickHouseServer) HTTPAddr() string { return loopback(c.ports.numbers[1]) }

// User answers the name of the server's user, who has all rights and no
// password.
func (c *ClickHouseServer) User() string { return "default" }

// LogFile answers the file that holds the server's own log.
func (c *ClickHouseServer) LogFile() string { return c.process.logPath }

// Pid answers the server's process id, or 0 while it is down.
func (c *ClickHouseServer) Pid() int { return c.process.pid() }

// Start starts a stopped or killed server again, on the same data and ports.
func (c *ClickHouseServer) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clickHouseReady)
	defer cancel()
	return c.process.start(ctx)
}

// Stop ends the server cleanly and keeps its data.
func (c *ClickHouseServer) Stop() error { return c.process.stop() }

// Kill ends the server with SIGKILL and keeps its data.
func (c *ClickHouseServer) Kill() error { return c.process.kill() }

// Pause halts the server's process until Resume, and returns when it has halted.
func (c *ClickHouseServer) Pause() error { return c.process.pause() }

// Resume continues a paused server.
func (c *ClickHouseServer) Resume() error { return c.process.signal(syscall.SIGCONT) }

// Close ends the server at once and removes its data. It may be called twice.
func (c *ClickHouseServer) Close() error { return closeServer(c.process, c.folder, c.ports) }
