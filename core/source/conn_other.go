//go:build !unix

package source

import "net"

// closedByPeer is not known here; a connection closed while idle costs an unanswered request.
func closedByPeer(net.Conn) bool { return false }
