package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// errNotRunning is the cause when a server that is down is asked for something.
var errNotRunning = errors.New("not running")

// process is one server that can be started, killed and started again: the
// part that Kafka, MariaDB and the registry have in common. Its methods may be
// called from several goroutines.
type process struct {
	name    string
	logPath string
	command func() *exec.Cmd                // a fresh command for each start
	ready   func(ctx context.Context) error // one attempt; nil when the server serves
	grace   time.Duration                   // from SIGTERM to SIGKILL

	mu    sync.Mutex
	child *child // nil when down
}

// child is one life of a process.
type child struct {
	pid  int
	done chan struct{} // closed when the child has been waited for
	err  error         // how it ended; valid after done
}

// start starts the server and returns when it is ready. A server that does not
// become ready is killed, and the error carries the end of its log.
func (p *process) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil && !p.child.ended() {
		return fmt.Errorf("start %s: already running with pid %d", p.name, p.child.pid)
	}
	mark := fileSize(p.logPath)
	c, err := p.fork()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.child = c
	if err := p.waitReady(ctx, c); err != nil {
		c.signal(syscall.SIGKILL)
		<-c.done
		p.child = nil
		return fmt.Errorf("start %s: %w; end of its log:\n%s", p.name, err, tailFrom(p.logPath, mark, 30))
	}
	return nil
}

// fork starts the child in a goroutine that keeps its operating system thread
// until the child has ended: the kernel sends the parent-death signal when the
// thread that forked ends, not the process.
func (p *process) fork() (*child, error) {
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	cmd := p.command()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// A group of its own keeps the terminal's interrupt away from the server, so
	// that the owner decides how it ends.
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	c := &child{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		log.Close()
		if err == nil {
			c.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

func (p *process) waitReady(ctx context.Context, c *child) error {
	var last error
	for {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := p.ready(attempt)
		cancel()
		if c.ended() {
			return fmt.Errorf("ended before it was ready: %w", c.cause())
		}
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err // after the deadline every attempt says only that
		}
		if err := sleep(ctx, 25*time.Millisecond); err != nil {
			return fmt.Errorf("not ready: %w; last attempt: %w", err, last)
		}
	}
}

// stopTimeout is how long a server may take to end, also on a machine that does
// much else.
const stopTimeout = 2 * time.Minute

// stop ends the server cleanly, or by force when it does not end in time.
func (p *process) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.child
	if c == nil {
		return nil
	}
	p.child = nil
	if c.ended() {
		return fmt.Errorf("stop %s: had ended already: %w", p.name, c.cause())
	}
	c.signal(syscall.SIGTERM)
	c.signal(syscall.SIGCONT) // a stopped process would not see the SIGTERM
	timer := time.NewTimer(p.grace)
	defer timer.Stop()
	select {
	case <-c.done:
		return nil
	case <-timer.C:
	}
	c.signal(syscall.SIGKILL)
	<-c.done
	return fmt.Errorf("stop %s: killed, because it did not end within %s", p.name, p.grace)
}

// kill ends the server as a power cut would, as far as the process goes.
func (p *process) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.child
	if c == nil {
		return nil
	}
	p.child = nil
	c.signal(syscall.SIGKILL)
	<-c.done
	return nil
}

func (p *process) signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil || p.child.ended() {
		return fmt.Errorf("signal %s: %w", p.name, errNotRunning)
	}
	if err := p.child.signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// pause halts the server and returns when it has halted: its threads stop one by
// one, and on a busy machine one of them may still serve for a while.
func (p *process) pause() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); !halted(p.pid()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("pause %s: it still runs", p.name)
		}
	}
	return nil
}

// halted says whether all threads of a process have stopped.
func halted(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, path := range threads {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		// tid (name) state ...; the name may hold anything.
		if i := bytes.LastIndexByte(b, ')'); i < 0 || i+2 >= len(b) || b[i+2] != 'T' {
			return false
		}
	}
	return true
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil || p.child.ended() {
		return 0
	}
	return p.child.pid
}

// signal reaches the child's whole process group, which is its own.
func (c *child) signal(sig syscall.Signal) error {
	if c.ended() {
		return errNotRunning
	}
	return syscall.Kill(-c.pid, sig)
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *child) cause() error {
	if c.err != nil {
		return c.err
	}
	return errors.New("exit status 0")
}

// folder is a server's temporary folder. Its lock tells it from one whose owner
// died without removing it, which the next start sweeps away.
type folder struct {
	path string
	lock *os.File
}

const folderPrefix = "sluice-stack-"

func newFolder(kind string) (*folder, error) {
	sweepFolders()
	path, err := os.MkdirTemp("", folderPrefix+kind+"-")
	if err != nil {
		return nil, fmt.Errorf("temporary folder: %w", err)
	}
	f, err := tryLock(filepath.Join(path, "lock"))
	if err != nil {
		os.RemoveAll(path)
		return nil, fmt.Errorf("temporary folder: %w", err)
	}
	return &folder{path: path, lock: f}, nil
}

func (f *folder) remove() error {
	err := os.RemoveAll(f.path)
	f.lock.Close()
	if err != nil {
		return fmt.Errorf("remove temporary folder: %w", err)
	}
	return nil
}

func sweepFolders() {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	if err != nil {
		return
	}
	for _, path := range old {
		// One younger than a minute may just be coming into being.
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		f, err := tryLock(filepath.Join(path, "lock"))
		if err != nil {
			continue
		}
		os.RemoveAll(path)
		f.Close()
	}
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// tailFrom answers the last lines of a log, at most n, after an offset: what an
// earlier life of the server wrote would mislead.
func tailFrom(path string, offset int64, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	defer f.Close()
	if end := fileSize(path); end-offset > 1<<16 {
		offset = end - 1<<16
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.NewSectionReader(f, offset, 1<<17)); err != nil {
		return "(no log: " + err.Error() + ")"
	}
	if text := strings.TrimSpace(b.String()); text != "" {
		return lastLines(text, n)
	}
	return "(the log is empty)"
}
