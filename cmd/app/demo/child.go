package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is a running `sluice run`.
type child struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// startChild starts the program on the demo's configuration. Its log goes to
// the demo's folder.
func startChild(binary string, l layout) (*child, error) {
	log, err := os.OpenFile(l.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child has its own descriptor
	c := &child{cmd: exec.Command(binary, "run", "-c", l.config()), done: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = log, log
	dieWithParent(c.cmd)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start sluice run: %w", err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// kill ends the program as a crash would.
func (c *child) kill() error {
	if err := c.cmd.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.done
	return nil
}

// stop ends the program as an operator would, and waits for it.
func (c *child) stop(ctx context.Context) error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), c.kill())
	case <-time.After(time.Minute):
		return errors.Join(errors.New("sluice run did not stop within a minute"), c.kill())
	}
	if c.err != nil {
		return fmt.Errorf("sluice run: %w", c.err)
	}
	return nil
}

// gone says that the program has ended by itself.
func (c *child) gone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}
