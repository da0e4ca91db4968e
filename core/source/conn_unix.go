//go:build unix

package source

import (
	"net"
	"syscall"
)

// closedByPeer looks for an end of stream on an idle connection. A broker sends nothing unasked, so bytes here can only be a TLS goodbye
// or nonsense, and the connection is of no use either way. (TLS tickets come before the first answer and have been read with it.)
func closedByPeer(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	var b [1]byte
	closed := false
	err = raw.Read(func(fd uintptr) bool {
		_, err := syscall.Read(int(fd), b[:])
		closed = err != syscall.EAGAIN && err != syscall.EWOULDBLOCK && err != syscall.EINTR
		return true
	})
	return closed || err != nil
}
