package connect

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
)

// Server is how one server is connected to. Safe for concurrent use.
type Server struct {
	address string // host:port
	host    string
	secure  *TLS
	dialer  *Dialer

	// Moved is told the server's addresses after each lookup that succeeded: unused
	// connections to others should end. Nil: nobody else keeps connections. Set it
	// before the first use. It may be called by several goroutines at once.
	Moved func(named []netip.Addr)
}

// NewServer returns the server at "host:port". secure nil: without TLS.
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

// DialOver is Dial with a connection of the caller's own kind below TLS: wrap is
// given the TCP connection. It returns what wrap returned, or a *tls.Conn on it.
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
		_ = c.Close() // the handshake's error is the one to tell
		return nil, &DialError{Address: s.address, Attempts: []Attempt{{AddressOf(c), err}}}
	}
	return secure, nil
}

// LookUp looks the server's name up again, and lets connections end that go to
// an address that the name has left. If the lookup fails, they all stay.
func (s *Server) LookUp(ctx context.Context) error {
	found := s.dialer.lookUp(ctx, s.host)
	s.moved(found)
	return found.err
}

// HasName reports whether the server is given by name, not by IP address.
func (s *Server) HasName() bool {
	_, err := netip.ParseAddr(s.host)
	return err != nil
}

// moved tells what a successful lookup found.
func (s *Server) moved(found lookup) {
	if found.err == nil && len(found.addresses) > 0 && s.HasName() && s.Moved != nil {
		s.Moved(found.addresses)
	}
}

// AddressOf returns the far end of a TCP connection; of others the zero value.
func AddressOf(c net.Conn) netip.AddrPort {
	a, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
}
