package mariadb_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicekit/sluice/core/sink"
	"github.com/sluicekit/sluice/sinks/mariadb"
	"github.com/sluicekit/sluice/sinks/sqltable"
)

// impostor is a server that answers each client's packets with its own, and
// keeps all that it is sent.
type impostor struct {
	answers [][]byte

	mu   sync.Mutex
	sent bytes.Buffer
}

// greeting is what a server says first.
func greeting() []byte {
	b := append([]byte{10}, "5.5.5-10.11.2-MariaDB\x00"...)
	b = append(b, 1, 0, 0, 0)
	b = append(b, "12345678\x00"...)
	const capabilities = 0x8 | 0x80 | 0x200 | 0x2000 | 0x8000 | 0x80000 // local files among them
	b = binary.LittleEndian.AppendUint16(b, capabilities&0xffff)
	b = append(b, 45, 2, 0)
	b = binary.LittleEndian.AppendUint16(b, capabilities>>16)
	b = append(append(b, 21), make([]byte, 10)...)
	return append(b, "123456789012\x00mysql_native_password\x00"...)
}

// serve listens until the test ends.
func (i *impostor) serve(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { i.talk(conn) })
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return ln.Addr().String()
}

func (i *impostor) talk(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // the test sees what was sent
	r := bufio.NewReader(conn)
	packet(conn, 0, greeting())
	for n := 0; ; n++ {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		i.mu.Lock()
		i.sent.Write(body)
		i.mu.Unlock()
		answer := []byte{0, 0, 0, 2, 0, 0, 0} // OK
		if n < len(i.answers) && i.answers[n] != nil {
			answer = i.answers[n]
		}
		packet(conn, head[3]+1, answer)
	}
}

func packet(w io.Writer, sequence byte, body []byte) {
	w.Write(append([]byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), sequence}, body...)) //nolint:errcheck // the client has gone
}

// TestHostileServer: one that asks for a file of ours, and one that asks for the
// password in clear text, get neither.
func TestHostileServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("content of a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, answers := range map[string][][]byte{
		"a file":               {nil, append([]byte{0xfb}, file...), append([]byte{0xfb}, file...), append([]byte{0xfb}, file...)},
		"the password":         {append([]byte{0xfe}, "mysql_clear_password\x00"...)},
		"the password, by age": {{0xfe}},
	} {
		t.Run(name, func(t *testing.T) {
			i := &impostor{answers: answers}
			spec := mariadb.Spec()
			conn := connection(i.serve(t), "d")
			conn.Password, conn.Timeout = sink.NewSecret("geheim4711"), 10*time.Second
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s, err := spec.Open(ctx, sink.Config{Name: "a", Connection: "b", Conn: conn, Schema: faultSchema(), Options: &mariadb.Options{Options: sqltable.Options{Table: "t", Positions: "p"}}})
			if err == nil {
				s.Close()
				t.Fatal("got no error")
			}
			i.mu.Lock()
			defer i.mu.Unlock()
			if i.sent.Len() == 0 {
				t.Fatal("the server was asked nothing: the test proved nothing")
			}
			for _, secret := range []string{"content of a file", "geheim4711"} {
				if strings.Contains(i.sent.String(), secret) || strings.Contains(err.Error(), secret) {
					t.Errorf("the server was sent, or the error says %q: %v", secret, err)
				}
			}
			t.Log(err)
		})
	}
}
