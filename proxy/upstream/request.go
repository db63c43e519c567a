package upstream

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"
)

// Request is a request to a group's servers, with what its way depends on.
type Request struct {
	// HTTP is what is sent; scheme and host of its URL are filled in. A body in
	// GetBody is held: it is in memory, and can be sent again. Any other is streamed.
	HTTP *http.Request

	// Call is the metrics' label.
	Call string

	// Harmless: see exchange.Facts. It is sent once more only if its body can be had
	// again.
	Harmless bool

	// Until is when the whole answer to a held request must be here. Zero: no limit.
	Until time.Time
	// HeadTimeout is how long a server may take until the head of its answer to a
	// streamed request, and before that how long it may take nothing of it. 0: no limit.
	HeadTimeout time.Duration

	// Only is the server that it must go to. Nil: any of the group.
	Only *Server

	// Head gets the head of the answer as it came. Nil: nobody asks.
	Head *bytes.Buffer

	// Address makes HTTP what this server is to get, before each attempt. Nil: all
	// servers get the same.
	Address func(*Server)

	// Caller is who waits for the answer. Nil: nobody whose going would matter; only
	// HTTP's context ends it.
	Caller Caller
}

// Caller is who sent a request and waits for its answer.
type Caller interface {
	// Wanted is asked just before the first byte of a held request is written. An
	// error ends it with nothing sent: ErrHungUp.
	Wanted() error
	// Over is asked while a server is waited for, and returns why nobody needs the
	// answer to a held request any more; nil: somebody does. ctx is HTTP's.
	Over(ctx context.Context) error
	// Broken returns why the request's body cannot be read to its end; nil: it can,
	// so far.
	Broken() error
	// Cut ends reads of a streamed body that wait for the caller: the server has
	// gone. It must not block.
	Cut()
}

// ErrHungUp is what a Caller answers that has gone.
var ErrHungUp = errors.New("the caller hung up")

// ErrAllFull is why a request was sent to none of the servers.
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
	// NotSent means that not one byte left. It is safe to send the request to another
	// server.
	NotSent Outcome = iota
	// Unknown means that it may have been sent, and no whole answer came back. The
	// server may have executed it.
	Unknown
	// Answered means that the server's status and header arrived.
	Answered
)

// Result is what became of a request.
type Result struct {
	Response *http.Response // its Body must be closed; nil: there is no answer
	Err      error          // why not

	Outcome Outcome

	// Server is the last one that was tried. The request counts as in flight there
	// until its Leave is called. Nil: none was tried.
	Server *Server

	// Took is the last attempt's time, until the answer's header or the failure.
	Took time.Duration
}

// The header by which shims know each other's answers, and its value on one that
// says: nothing of the request was sent to a server of that shim, or the request got
// no answer and may safely be sent again.
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
