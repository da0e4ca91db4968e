package harness

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// instance is the program with one configuration, in one life after another.
type instance struct {
	name   string // also its client id at Kafka
	binary string
	config string // folder
	logs   string // folder; one file for each life
	db     *gate

	mu    sync.Mutex
	lives int
	pid   int
	done  chan struct{} // of the current life; nil before the first
	err   error
	meant bool // the end of this life was our doing
}

// start begins a life. It does not wait until the program has joined.
func (i *instance) start() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lives++
	log, err := os.Create(filepath.Join(i.logs, fmt.Sprintf("%s-%03d.log", i.name, i.lives)))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the child has its own descriptor
	cmd := exec.Command(i.binary, "run", "-c", i.config, "--log-format", "json", "--log", "debug")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	done, started := make(chan struct{}), make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the thread that forked ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		i.mu.Lock()
		i.err = err
		i.mu.Unlock()
		close(done)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", i.name, err)
	}
	i.pid, i.done, i.meant, i.err = cmd.Process.Pid, done, false, nil
	return nil
}

// alive says whether a life is under way.
func (i *instance) alive() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.running()
}

func (i *instance) running() bool {
	if i.done == nil {
		return false
	}
	select {
	case <-i.done:
		return false
	default:
		return true
	}
}

// died says that the program has ended although nobody told it to.
func (i *instance) died() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.done == nil || i.running() || i.meant {
		return nil
	}
	return fmt.Errorf("instance %s ended by itself: %v", i.name, i.err)
}

// kill ends the life as a crash would.
func (i *instance) kill() error {
	if err := i.signal(syscall.SIGKILL, true); err != nil {
		return err
	}
	<-i.ended()
	return nil
}

// stop ends the life as an operator would; the program must agree.
func (i *instance) stop() error {
	if err := i.signal(syscall.SIGTERM, true); err != nil {
		return err
	}
	select {
	case <-i.ended():
	case <-time.After(45 * time.Second):
		return errors.Join(fmt.Errorf("instance %s did not stop within 45 s of SIGTERM", i.name), i.kill())
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return fmt.Errorf("instance %s after SIGTERM: %w", i.name, i.err)
	}
	return nil
}

// quit ends the life with a list of all goroutines in its log.
func (i *instance) quit() {
	if err := i.signal(syscall.SIGQUIT, true); err == nil {
		<-i.ended()
	}
}

// freeze stops the process, and returns when all its threads have halted.
func (i *instance) freeze() error {
	if err := i.signal(syscall.SIGSTOP, false); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if halted(i.pid) {
			return nil
		}
	}
	return fmt.Errorf("freeze %s: it still runs", i.name)
}

// thaw lets a frozen process go on.
func (i *instance) thaw() error { return i.signal(syscall.SIGCONT, false) }

func (i *instance) ended() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.done
}

func (i *instance) signal(s syscall.Signal, final bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.running() {
		return fmt.Errorf("signal %s: it is not running", i.name)
	}
	i.meant = i.meant || final
	return syscall.Kill(-i.pid, s)
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
		// tid (name) state …; the name may hold anything.
		if at := bytes.LastIndexByte(b, ')'); at < 0 || at+2 >= len(b) || b[at+2] != 'T' {
			return false
		}
	}
	return true
}
