package listen

import (
	"crypto/tls"
	"time"
)

// What Listener's times are by default.
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

	// Redirect sends plain requests to https. nil: they are served.
	Redirect *Redirect

	// MaxConnections bounds the open connections: up to twice as many are
	// accepted, those beyond the bound only to be answered with 503. 0: no bound.
	MaxConnections int

	// HeaderTimeout ends connections that take longer for the TLS handshake or
	// for a request's header. They are closed without an answer, or with 400 in
	// the first line: OkHttp would repeat a request on a 408. 0: 10 s.
	HeaderTimeout time.Duration

	// BodyTimeout is how long a request's body may stand still; 400 then. There
	// is no limit for all of it: an upload may take its time. 0: 30 s.
	BodyTimeout time.Duration

	// MinBodyRate is how many bytes of a request's body must come a second, on
	// average, once RateAfter was spent waiting for the caller; 400 then. How long the
	// server takes to read does not count. 0: any.
	MinBodyRate int64
	RateAfter   time.Duration // 0: 30 s

	// StallTimeout lets a caller go that takes nothing of what is written to it
	// for so long, tunnels included. 0: 30 s.
	StallTimeout time.Duration

	// IdleTimeout closes unused connections. By default it is longer than the 5
	// minutes after which OkHttp closes them, so that the client is the one who
	// closes: no call is written to a connection that is being closed. 0: 6 min.
	IdleTimeout time.Duration
}
