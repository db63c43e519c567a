package upstream

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"
)

// Request is a request to a group's servers, with everything that its handling depends on.
type Request struct {
	// HTTP is the request to send; Send fills in its URL's scheme and host. If GetBody
	// is set, the body is held: it is in memory, and can be sent again. Any other body
	// is streamed.
	HTTP *http.Request

	// Call is the metrics' label.
	Call string

	// Harmless says that the request may be sent again although a server may have
	// executed it; see exchange.Facts. It is sent again only if its body can be.
	Harmless bool

	// Until is when the whole answer to a held request must be here. Zero: no limit.
	Until time.Time
	// HeadTimeout is for streamed requests: how long a server may take from the end of
	// the request to its answer's head, and how long it may read nothing of the request
	// before that. 0: no limit.
	HeadTimeout time.Duration

	// Only is the server that must get the request. Nil: any of the group.
	Only *Server

	// Head gets the bytes of the answer's head as they came. Nil: not needed.
	Head *bytes.Buffer

	// Address is called before each attempt, to adapt HTTP to the server that is tried.
	// Nil: all servers get the same request.
	Address func(*Server)

	// Caller waits for the answer. Nil: it does not matter whether anybody does; only
	// HTTP's context ends the request.
	Caller Caller
}

// Caller tells whether the answer to a request is still needed.
type Caller interface {
	// Wanted is called just before the first byte of a held request is written. An
	// error, ErrHungUp, ends the request with nothing sent.
	Wanted() error
	// Over is called while a held request waits for a server. It returns why nobody
	// needs the answer any more; nil: somebody does. ctx is HTTP's.
	Over(ctx context.Context) error
	// Broken returns why the request's body cannot be read to its end; nil: reading has
	// not failed so far.
	Broken() error
	// Cut ends reads of a streamed body that wait for the caller, because the server
	// has gone. It must not block.
	Cut()
}

// ErrHungUp is the error of a Caller who has hung up.
var ErrHungUp = errors.New("the caller hung up")

// ErrAllFull is the error of a request that was sent to no server, because each has as
// many connections as it may.
var ErrAllFull = errors.New("each server has max_connections in use")

var (
	errNoServer = errors.New("there is no server")
	errNoStatus = errors.New("the server's answer has no valid status")
	// errUnansweredThere: the server is another shim, whose answer has MarkUnanswered.
	errUnansweredThere = errors.New("the shim there left the request unanswered")
)

// Outcome is how far a request got.
type Outcome uint8

const (
	// NotSent means that no byte left. It is safe to send the request to another
	// server.
	NotSent Outcome = iota
	// Unknown means that the request may have been sent, and no complete answer came
	// back. The server may have executed it.
	Unknown
	// Answered means that the server's status and header arrived.
	Answered
)

// Result is what became of a request.
type Result struct {
	Response *http.Response // its Body must be closed; nil: there is no answer
	Err      error          // why there is no answer

	Outcome Outcome

	// Server is the last one that was tried. The request counts as in flight there
	// until Server.Leave is called. Nil: none was tried.
	Server *Server

	// Took is how long the last attempt took until the answer's header, or until it failed.
	Took time.Duration
}

// The header by which shims recognise each other's answers. The value MarkUnanswered
// means that the other shim sent nothing of the request to a server, or that the request
// got no answer and may safely be sent again.
const (
	ShimHeader     = "X-Powerjob-Shim"
	MarkUnanswered = "unanswered"
)

// leftUnanswered reports whether res carries another shim's MarkUnanswered.
func leftUnanswered(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return res.Header.Get(ShimHeader) == MarkUnanswered
	default:
		return false
	}
}
