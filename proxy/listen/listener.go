package listen

import (
	"crypto/tls"
	"time"
)

// The defaults of Listener's fields.
const (
	defaultHeaderTimeout = 10 * time.Second
	defaultBodyTimeout   = 30 * time.Second
	defaultRateAfter     = 30 * time.Second
	defaultStallTimeout  = 30 * time.Second
	defaultIdleTime      = 6 * time.Minute
)

// Listener is one address for clients.
type Listener struct {
	Address string // host:port

	// TLS makes it an https listener. It must not offer h2: HTTP/2 lowercases
	// the header that the clients look for. nil: plain HTTP.
	TLS *tls.Config

	// ProxyProtocol says whether connections begin with a PROXY header. The zero
	// value is ProxyOff.
	ProxyProtocol ProxyProtocol

	// Redirect sends the requests of a plain listener to https. nil: they are served.
	Redirect *Redirect

	// MaxConnections bounds the open connections: up to twice as many are
	// accepted, those beyond the bound only to be answered with 503. 0: no bound.
	MaxConnections int

	// HeaderTimeout ends connections that take longer for the TLS handshake or
	// for a request's header. They are closed without an answer, or with 400 in
	// the first line: OkHttp would repeat a request on a 408. 0: 10 s.
	HeaderTimeout time.Duration

	// BodyTimeout is how long a request's body may pause; 400 after that. The whole
	// body has no limit: an upload may take any time. 0: 30 s.
	BodyTimeout time.Duration

	// MinBodyRate is the lowest allowed average rate of a request's body, in bytes a
	// second; 400 below it. It applies once RateAfter was spent waiting for the caller.
	// Time that the server takes to read does not count. 0: no limit.
	MinBodyRate int64
	RateAfter   time.Duration // 0: 30 s

	// StallTimeout ends the connection of a caller who reads nothing of what is
	// written to it for this long, tunnels included. 0: 30 s.
	StallTimeout time.Duration

	// IdleTimeout closes unused connections. The default is longer than the 5 minutes
	// after which OkHttp closes them: if the client closes first, it never writes a
	// call to a connection that the shim is closing. 0: 6 min.
	IdleTimeout time.Duration
}
