package connect

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
)

// Server makes connections to one server. Safe for concurrent use.
type Server struct {
	address string // host:port
	host    string
	secure  *TLS // nil: without TLS
	dialer  *Dialer

	// Moved is called with the server's addresses after each successful lookup, so that
	// unused connections to other addresses can be closed. Nil: nothing is called. Set
	// it before the first use. Several goroutines may call it at once.
	Moved func(named []netip.Addr)
}

// NewServer returns the server at "host:port". A nil secure means without TLS.
func NewServer(address string, secure *TLS, d *Dialer) *Server {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return &Server{address: address, host: host, secure: secure, dialer: d}
}

// Dial makes a new connection within the Dialer's Limit; ctx may end earlier.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) {
	return s.DialOver(ctx, func(c net.Conn) net.Conn { return c })
}

// DialOver is Dial for callers that need a connection of their own type below TLS: wrap
// gets the TCP connection. DialOver returns wrap's result, or a *tls.Conn on it.
func (s *Server) DialOver(ctx context.Context, wrap func(net.Conn) net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.dialer.Limit, Timeout))
	defer cancel()
	var config *tls.Config
	if s.secure != nil {
		var err error
		if config, err = s.secure.Config(s.host); err != nil {
			return nil, fmt.Errorf("reading tls files: %w", err)
		}
	}
	c, found, err := s.dialer.dial(ctx, "tcp", s.address)
	s.moved(found)
	if err != nil {
		return nil, err
	}
	c = wrap(c)
	if config == nil {
		return c, nil
	}
	secure := tls.Client(c, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = c.Close() // the handshake's error is the one to return
		return nil, &DialError{Address: s.address, Attempts: []Attempt{{AddressOf(c), err}}}
	}
	return secure, nil
}

// LookUp looks the server's name up again, and calls Moved if that succeeds.
func (s *Server) LookUp(ctx context.Context) error {
	found := s.dialer.lookUp(ctx, s.host)
	s.moved(found)
	return found.err
}

// HasName reports whether the server's address is a name, not an IP address.
func (s *Server) HasName() bool {
	_, err := netip.ParseAddr(s.host)
	return err != nil
}

// moved calls Moved with what a lookup found, if it succeeded.
func (s *Server) moved(found lookup) {
	if found.err == nil && len(found.addresses) > 0 && s.HasName() && s.Moved != nil {
		s.Moved(found.addresses)
	}
}

// AddressOf returns the remote address of a TCP connection, and the zero value for any
// other connection.
func AddressOf(c net.Conn) netip.AddrPort {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
}
