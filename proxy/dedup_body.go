package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"powerjob-shim/rules"
)

const (
	// bodyTimeout is how long a call's body may take to arrive before the call
	// is forwarded without deduplication. PowerJob's clients give up after 2 s.
	bodyTimeout = 10 * time.Second
	// maxBodiesAtOnce bounds the bytes of all bodies being held at once.
	maxBodiesAtOnce = 32 << 20
	// firstBuffer is what is allocated on the word of a Content-Length alone.
	firstBuffer = 16 << 10
)

var errBodyCut = errors.New("the request's body broke off")

// budget is a number of bytes that requests share. The zero value grants none.
type budget struct {
	max  int64
	used atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.max {
		b.used.Add(-n)
		return false
	}
	return true
}

// heldBody is a request's body in memory, with its share of the budget.
type heldBody struct {
	bytes []byte
	taken int64
	from  *budget
}

func (b heldBody) release() {
	if b.from != nil {
		b.from.used.Add(-b.taken)
	}
}

// attach returns r with the body to be read again, as often as the Transport
// must start anew on another connection.
func (b heldBody) attach(r *http.Request) *http.Request {
	out := new(http.Request)
	*out = *r
	out.ContentLength = int64(len(b.bytes))
	out.TransferEncoding = nil
	out.GetBody = func() (io.ReadCloser, error) {
		if len(b.bytes) == 0 {
			return http.NoBody, nil
		}
		return io.NopCloser(bytes.NewReader(b.bytes)), nil
	}
	out.Body, _ = out.GetBody()
	return out
}

// readBody reads the whole body of a call. Where it must not or cannot be held,
// it returns why, and r.Body still yields all of it.
//
//  1. Content-Length says that it is too large: nothing is read.
//  2. It turns out too large, or is late: what was read is put back in front of
//     the rest.
//  3. It breaks off: that is an error, and nothing may be forwarded.
func (p *Proxy) readBody(w http.ResponseWriter, r *http.Request) (held heldBody, bypass string, err error) {
	limit := exchangeOf(r).snap.Dedup.maxBody()
	if r.ContentLength > limit {
		return held, rules.BypassBodyTooLarge, nil
	}
	if r.ContentLength == 0 {
		return held, "", nil
	}
	share := r.ContentLength
	if share < 0 {
		share = limit
	}
	if !p.dedupState.bodies.take(share) {
		return held, rules.BypassBodyBudget, nil
	}
	held = heldBody{from: &p.dedupState.bodies, taken: share}

	conn := http.NewResponseController(w)
	timed := conn.SetReadDeadline(time.Now().Add(bodyTimeout)) == nil
	buf, err := readUpTo(r.Body, limit, share)
	if timed {
		_ = conn.SetReadDeadline(time.Time{}) // it was possible a moment ago
	}
	var late net.Error
	switch {
	case err == nil && int64(len(buf)) > limit:
		bypass = rules.BypassBodyTooLarge
	case err == nil:
		held.bytes = buf
		return held, "", nil
	case errors.As(err, &late) && late.Timeout():
		// net/http takes a late body for a broken connection: it cancels the
		// request's context and can read no further request.
		exchangeOf(r).lastOnConn = true
		bypass = rules.BypassBodyTimeout
	case errors.Is(err, io.ErrUnexpectedEOF):
		return held, "", errBodyCut
	default:
		return held, "", err
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(buf), r.Body), r.Body}
	return held, bypass, nil
}

// readUpTo reads r to its end, or one byte beyond limit.
func readUpTo(r io.Reader, limit, expected int64) ([]byte, error) {
	buf := make([]byte, 0, min(expected+1, firstBuffer)) // + 1: room to see the end
	for int64(len(buf)) <= limit {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):min(int64(cap(buf)), limit+1)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}
