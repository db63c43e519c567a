package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"go.uber.org/zap"
)

// acmeTLS is the protocol of TLS-ALPN-01 (RFC 8737): a certificate authority does the
// handshake, looks at the certificate and leaves.
const acmeTLS = "acme-tls/1"

// strictTLSConn is strictConn for https. Given a *tls.Conn, net/http would do the
// handshake itself, but then its answers could not be replaced before encryption.
type strictTLSConn struct {
	*tls.Conn
	patience time.Duration // for the handshake
	log      *zap.Logger
	*Place
}

// Close implements net.Conn.
func (c strictTLSConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

func (c strictTLSConn) Read(b []byte) (int, error) {
	if c.isStill(b) {
		return 0, nil
	}
	if c.hasLeft() { // else a request that came with the end of the handshake would be served
		return 0, net.ErrClosed
	}
	return c.Conn.Read(b)
}

func (c strictTLSConn) Write(b []byte) (int, error) { return writeStrictly(c.Conn, b) }

// ConnectionState does the handshake. net/http calls it once on each connection that
// has this method but is not a *tls.Conn, on the connection's own goroutine, before
// the first read, to fill in Request.TLS. The connection is closed if the handshake
// fails, or was only for TLS-ALPN-01.
func (c strictTLSConn) ConnectionState() tls.ConnectionState {
	ctx, cancel := context.WithTimeout(context.Background(), c.patience)
	defer cancel()
	err := c.HandshakeContext(ctx)
	state := c.Conn.ConnectionState()
	if err != nil {
		c.explain(err)
	}
	if err != nil || state.NegotiatedProtocol == acmeTLS {
		_ = c.Close() // there is nobody to tell
	}
	return state
}

// explain logs why a handshake failed. Peers that leave without a word are health checks
// and scanners, and are logged at debug level only.
func (c strictTLSConn) explain(err error) {
	remote := zap.Stringer("remote", c.RemoteAddr())
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &plain) && plain.Conn != nil && looksLikeHTTP(plain.RecordHeader):
		// Unencrypted, because this caller speaks plain HTTP.
		_, _ = io.WriteString(plain.Conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"+
			"powerjob-shim: this port speaks https; write https:// before the address")
		c.log.Info("plain HTTP came to an https listener", remote)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		c.log.Debug("TLS handshake not finished", remote, zap.Error(err))
	default:
		c.log.Info("TLS handshake failed", remote, zap.Error(err))
	}
}

// looksLikeHTTP reports whether the first bytes of a connection are an HTTP method.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}
