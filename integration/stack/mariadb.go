package stack

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// MariaDBOptions says how a MariaDB server differs from the default one.
type MariaDBOptions struct {
	// Variables are added to the server's command line and win over its own,
	// for instance "innodb-lock-wait-timeout": "1".
	Variables map[string]string
}

// MariaDBServer is one MariaDB server. Its only user is root, without password.
type MariaDBServer struct {
	process *process
	folder  *folder
	ports   *ports
	user    *user.User // nil: the current user
	data    string
	server  string // path of mariadbd
}

// StartMariaDB starts a MariaDB server with an empty data folder and returns
// when it serves. The context bounds the start only. The caller must Close the
// server.
func StartMariaDB(ctx context.Context, o MariaDBOptions) (*MariaDBServer, error) {
	m := &MariaDBServer{}
	if err := m.lay(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start mariadb: %w", err), m.Close())
	}
	if err := m.Start(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// lay installs the server if need be and makes its data folder.
func (m *MariaDBServer) lay(ctx context.Context, o MariaDBOptions) (err error) {
	if m.server, err = needCommand(ctx, "mariadbd", "mariadb-server"); err != nil {
		return err
	}
	install, err := findCommand("mariadb-install-db")
	if err != nil {
		return err
	}
	if m.ports, err = reservePorts(1); err != nil {
		return err
	}
	if m.folder, err = newFolder("mariadb"); err != nil {
		return err
	}
	m.data = filepath.Join(m.folder.path, "data")
	if err := os.Mkdir(m.data, 0o700); err != nil {
		return fmt.Errorf("create data folder: %w", err)
	}
	if err := m.giveToServer(); err != nil {
		return err
	}
	var printed strings.Builder
	cmd := exec.CommandContext(ctx, install, "--no-defaults", "--datadir="+m.data, "--skip-test-db",
		"--auth-root-authentication-method=normal", "--innodb-log-file-size=16M")
	cmd.Dir, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = m.folder.path, m.identity(), &printed, &printed
	cmd.Env = m.environment()
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		// The cause comes first, then much advice.
		return fmt.Errorf("make data folder: %w\n%s", orCause(ctx, err), lastLines(printed.String(), 60))
	}
	args := m.arguments(o)
	m.process = &process{
		name: "mariadb", logPath: filepath.Join(m.folder.path, "log"), grace: stopTimeout, ready: m.probe,
		command: func() *exec.Cmd {
			cmd := exec.Command(m.server, args...)
			cmd.Dir, cmd.SysProcAttr, cmd.Env = m.folder.path, m.identity(), m.environment()
			return cmd
		},
	}
	return nil
}

// giveToServer hands the folder to the user mysql when we are root, for the
// server refuses to run as root.
func (m *MariaDBServer) giveToServer() error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("mysql")
	if err != nil {
		return fmt.Errorf("find the user the server runs as: %w", err)
	}
	m.user = u
	id := m.identity().Credential
	for _, path := range []string{m.folder.path, m.data} {
		if err := os.Chown(path, int(id.Uid), int(id.Gid)); err != nil {
			return fmt.Errorf("give folder to the server's user: %w", err)
		}
	}
	return nil
}

// identity makes the child the server's user before it becomes the server. Were
// the server to change its user itself (--user), the kernel would forget that it
// should die with us.
func (m *MariaDBServer) identity() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{}
	if m.user == nil {
		return attr
	}
	// Both are numbers on every system that has a MariaDB.
	uid, uidErr := strconv.ParseUint(m.user.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(m.user.Gid, 10, 32)
	if uidErr == nil && gidErr == nil {
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return attr
}

// environment gives the server a temporary folder that its user may write to.
func (m *MariaDBServer) environment() []string {
	return append(os.Environ(), "TMPDIR="+m.folder.path)
}

func (m *MariaDBServer) arguments(o MariaDBOptions) []string {
	variables := map[string]string{
		"datadir":                  m.data,
		"socket":                   filepath.Join(m.folder.path, "s"),
		"pid-file":                 filepath.Join(m.folder.path, "pid"),
		"port":                     strconv.Itoa(m.ports.numbers[0]),
		"bind-address":             "127.0.0.1",
		"skip-name-resolve":        "1",
		"local-infile":             "1",
		"innodb-buffer-pool-size":  "128M",
		"innodb-log-file-size":     "16M",
		"innodb-lock-wait-timeout": "3",
		"max-allowed-packet":       "64M",
		"character-set-server":     "utf8mb4",
		"skip-log-bin":             "1",
	}
	maps.Copy(variables, o.Variables)
	args := []string{"--no-defaults"}
	for _, key := range slices.Sorted(maps.Keys(variables)) {
		args = append(args, "--"+key+"="+variables[key])
	}
	return args
}

// probe is one attempt to log in.
func (m *MariaDBServer) probe(ctx context.Context) error {
	return m.exec(ctx, "SELECT 1")
}

func (m *MariaDBServer) exec(ctx context.Context, statement string) error {
	config := m.config("")
	config.Logger = &mysql.NopLogger{} // a server that is not there yet is nothing to print
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}

func (m *MariaDBServer) config(database string) *mysql.Config {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = "root", "tcp", m.Addr(), database
	c.ParseTime = true
	return c
}

// Addr answers host:port.
func (m *MariaDBServer) Addr() string { return loopback(m.ports.numbers[0]) }

// User answers the name of the server's user, who has no password.
func (m *MariaDBServer) User() string { return "root" }

// DSN answers the data source name of a database, which may be empty, for the
// driver "mysql". Times are parsed, in UTC.
func (m *MariaDBServer) DSN(database string) string { return m.config(database).FormatDSN() }

// CreateDatabase creates an empty database, and drops one of that name first.
func (m *MariaDBServer) CreateDatabase(ctx context.Context, name string) error {
	quoted := "`" + strings.ReplaceAll(name, "`", "``") + "`"
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + quoted, "CREATE DATABASE " + quoted} {
		if err := m.exec(ctx, statement); err != nil {
			return fmt.Errorf("create database %s: %w", name, err)
		}
	}
	return nil
}

// LogFile answers the file that holds the server's own log.
func (m *MariaDBServer) LogFile() string { return m.process.logPath }

// Pid answers the server's process id, or 0 while it is down.
func (m *MariaDBServer) Pid() int { return m.process.pid() }

// Start starts a stopped or killed server again, on the same data and port.
func (m *MariaDBServer) Start(ctx context.Context) error { return m.process.start(ctx) }

// Stop ends the server cleanly and keeps its data.
func (m *MariaDBServer) Stop() error { return m.process.stop() }

// Kill ends the server with SIGKILL and keeps its data.
func (m *MariaDBServer) Kill() error { return m.process.kill() }

// Pause halts the server's process until Resume, and returns when it has halted.
func (m *MariaDBServer) Pause() error { return m.process.pause() }

// Resume continues a paused server.
func (m *MariaDBServer) Resume() error { return m.process.signal(syscall.SIGCONT) }

// Close ends the server at once and removes its data. It may be called twice.
func (m *MariaDBServer) Close() error { return closeServer(m.process, m.folder, m.ports) }
