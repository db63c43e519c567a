package legacy

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Fault is what goes wrong with one request. The zero value: nothing does.
type Fault struct {
	DelayBefore   time.Duration // waits before the execution
	DelayAfter    time.Duration // waits after it, before the answer
	SkipExecution bool          // executes nothing; then Status or Cut should say what happens instead
	Status        int           // answers this status with a small body; 0: the real answer
	Header        http.Header   // added to the answer, written as given
	Cut           Cut           // ends the connection early
	Reset         bool          // ends it with a RST, not a FIN
}

// Cut is the place where an answer ends early.
type Cut uint8

// The places to cut at.
const (
	CutNothing      Cut = iota
	CutBeforeStatus     // not one byte of the answer
	CutInHeader         // a status line and half a header
	CutInBody           // the header and half the body
)

// cut writes the part of the answer before f.Cut and ends the connection.
func (s *Server) cut(w http.ResponseWriter, f Fault, a Answer) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("taking over the connection: %w", err)
	}
	var b strings.Builder
	switch f.Cut {
	case CutInHeader:
		b.WriteString("HTTP/1.1 200 OK\r\nContent-Ty")
	case CutInBody:
		b.WriteString("HTTP/1.1 200 OK\r\n")
		if a.Auth != "" {
			b.WriteString(authHeader + ": " + a.Auth + "\r\n")
		}
		fmt.Fprintf(&b, "Content-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", s.contentType(), len(a.Body), a.Body[:len(a.Body)/2])
	}
	_, err = conn.Write([]byte(b.String()))
	if tcp, ok := conn.(*net.TCPConn); ok && f.Reset {
		err = errors.Join(err, tcp.SetLinger(0))
	}
	return errors.Join(err, conn.Close())
}
