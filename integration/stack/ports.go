package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Ports are taken from below the range the kernel hands to outgoing
// connections: there, a port stays free while its server is down between a kill
// and a restart.
const (
	firstPort = 15000
	lastPort  = 31000
)

// ports are reserved TCP ports of 127.0.0.1. A lock file for each keeps other
// test processes away even while nothing listens.
type ports struct {
	numbers []int
	locks   []*os.File
}

func reservePorts(n int) (*ports, error) {
	root, err := cacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("reserve ports: %w", err)
	}
	p := &ports{}
	for try := 0; len(p.numbers) < n; try++ {
		if try == 1000 {
			p.release()
			return nil, fmt.Errorf("reserve ports: no free one found in %d..%d", firstPort, lastPort)
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		f, err := tryLock(filepath.Join(dir, strconv.Itoa(port)))
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			p.release()
			return nil, fmt.Errorf("reserve port %d: %w", port, err)
		}
		ln, err := net.Listen("tcp4", loopback(port))
		if err != nil {
			f.Close()
			continue
		}
		ln.Close()
		p.numbers = append(p.numbers, port)
		p.locks = append(p.locks, f)
	}
	return p, nil
}

func (p *ports) release() {
	for _, f := range p.locks {
		f.Close()
	}
	p.locks = nil
}

// listenAgain listens at a reserved address that was closed before. A process
// that this one was just starting then still has the old listener, until it has
// become another program: on a machine with much to do that takes a while.
func listenAgain(addr string) (net.Listener, error) {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		ln, err := net.Listen("tcp4", addr)
		if err == nil || !errors.Is(err, unix.EADDRINUSE) || time.Now().After(end) {
			return ln, err
		}
	}
}

func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
