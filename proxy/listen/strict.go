package listen

import (
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/internal/socket"
)

// net/http answers an unknown transfer coding with 501, in one Write of exactly the
// bytes of unsupportedCoding. Callers get 400 instead, as for any other broken request.
const (
	unsupportedCoding = "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nUnsupported transfer encoding"
	refusedCoding     = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nUnsupported transfer encoding"
)

// strictListener accepts connections that write refusedCoding in place of
// unsupportedCoding. An upstream's answer cannot be mistaken for it, because answers
// that net/http writes for a handler have a Date.
type strictListener struct {
	net.Listener
	tls  *tls.Config // nil: plain HTTP
	log  *zap.Logger
	open *connections

	headerTimeout, stallTimeout time.Duration

	proxyProtocol ProxyProtocol
	trusted       func(netip.Addr) bool // reports whose PROXY header is believed
}

func (l strictListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, err
		}
		place := l.open.enter(tcp)
		if place == nil {
			_ = tcp.Close() // nothing was read
			continue
		}
		conn := l.proxied(&movingConn{Conn: socket.New(tcp), stall: l.stallTimeout})
		switch {
		case conn == nil:
			place.leave()
			_ = tcp.Close() // nothing was read
			continue
		case l.tls != nil:
			return strictTLSConn{tls.Server(conn, l.tls), l.headerTimeout, l.log, place}, err
		}
		return strictConn{conn, place}, err
	}
}

// strictConn is a plain connection.
type strictConn struct {
	clientConn
	*Place
}

// Close implements net.Conn.
func (c strictConn) Close() error {
	c.leave()
	return c.clientConn.Close()
}

func (c strictConn) Read(b []byte) (int, error) {
	if c.isStill(b) {
		return 0, nil
	}
	return c.clientConn.Read(b)
}

func (c strictConn) Write(b []byte) (int, error) { return writeStrictly(c.clientConn, b) }

func writeStrictly(c net.Conn, b []byte) (int, error) {
	if len(b) == len(unsupportedCoding) && string(b) == unsupportedCoding {
		if _, err := c.Write([]byte(refusedCoding)); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return c.Write(b)
}
