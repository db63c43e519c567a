package listen

import (
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
	"go.uber.org/zap"
)

// ProxyProtocol says whether a listener's connections begin with a header of
// the PROXY protocol, versions 1 and 2, by which a balancer names the client
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Only proxies that
// Lifecycle.Trusts may send one: a connection with a header from anyone else is closed.
type ProxyProtocol int

// The values of ProxyProtocol.
const (
	ProxyOff     ProxyProtocol = iota // no header is expected; one is taken for a malformed request
	ProxyAccept                       // with or without a header
	ProxyRequire                      // connections without a header are closed
)

// proxied returns c, wrapped so that its RemoteAddr is the one of the PROXY header if
// there may be a header; nil: c must be closed unread. The header is read when the
// connection's own goroutine first needs it, so a slow one does not delay accepting.
func (l strictListener) proxied(c *movingConn) clientConn {
	if l.proxyProtocol == ProxyOff {
		return c
	}
	policy := proxyproto.USE
	switch {
	case !l.trusts(c.TCPConn.RemoteAddr()):
		if l.proxyProtocol == ProxyRequire {
			l.log.Info("a connection was closed: its listener requires the PROXY protocol, and its peer is not in trusted_proxies",
				zap.Stringer("remote", c.TCPConn.RemoteAddr()))
			return nil
		}
		policy = proxyproto.REJECT
	case l.proxyProtocol == ProxyRequire:
		policy = proxyproto.REQUIRE
	}
	return proxiedConn{proxyproto.NewConn(c,
		func(p *proxyproto.Conn) { p.ProxyHeaderPolicy = policy },
		proxyproto.SetReadHeaderTimeout(l.headerTimeout),
	), c, l.log}
}

// trusts reports whether remote is one of the trusted proxies.
func (l strictListener) trusts(remote net.Addr) bool {
	addr, err := netip.ParseAddrPort(remote.String())
	return err == nil && l.trusted(addr.Addr().Unmap())
}

// proxiedConn is a connection that may begin with a PROXY header.
type proxiedConn struct {
	*proxyproto.Conn
	moving *movingConn
	log    *zap.Logger
}

// Read implements net.Conn. If the header is missing, malformed or unwanted, the first
// Read closes the connection and returns io.EOF: to any other error net/http would
// write an answer, which nobody could read.
func (c proxiedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	var network net.Error
	if err == nil || errors.Is(err, io.EOF) || errors.As(err, &network) || errors.Is(err, net.ErrClosed) {
		return n, err
	}
	c.log.Info("a connection was closed for its PROXY header", zap.Stringer("remote", c.moving.TCPConn.RemoteAddr()), zap.Error(err))
	_ = c.Close() // there is nobody to tell
	return 0, io.EOF
}

// CloseWrite implements clientConn.
func (c proxiedConn) CloseWrite() error { return c.moving.CloseWrite() }
