package proxy

import (
	"bytes"
	"errors"
	"io"
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

// attach gives r the body that ex holds, to be read again where the Transport
// must start anew on another connection. Of an io.NopCloser over a bytes.Reader
// net/http knows that it is in memory: it writes header and body at once.
func (ex *exchange) attach(r *http.Request) {
	r.ContentLength, r.TransferEncoding, r.GetBody = int64(len(ex.body)), nil, ex.newBody
	r.Body = http.NoBody
	if len(ex.body) > 0 {
		ex.firstBody.Reset(ex.body)
		r.Body = io.NopCloser(&ex.firstBody)
	}
}

// newBody returns the body that ex holds from its start.
func (ex *exchange) newBody() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(ex.body)), nil
}

// readBody reads the whole body of a call. Where it must not or cannot be held,
// it returns why, and r.Body still yields all of it.
//
//  1. Content-Length says that it is too large: nothing is read.
//  2. It turns out too large, or is late: what was read is put back in front of
//     the rest.
//  3. It breaks off: that is an error, and nothing may be forwarded.
func (p *Proxy) readBody(r *http.Request) (held heldBody, bypass string, err error) {
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

	rd, _ := p.dedupState.readings.Get().(*reading)
	if rd == nil {
		rd = newReading()
	}
	a, ok := rd.read(r.Body, limit, share)
	if !ok {
		r.Body, r.Trailer = refilled{&late{rd.arrives, r.Body}, r.Body}, nil
		return held, rules.BypassBodyTimeout, nil
	}
	p.dedupState.readings.Put(rd)
	switch {
	case errors.Is(a.err, io.ErrUnexpectedEOF):
		return held, "", errBodyCut
	case a.err != nil:
		return held, "", a.err
	case int64(len(a.bytes)) > limit:
		r.Body = refilled{a.before(r.Body), r.Body}
		return held, rules.BypassBodyTooLarge, nil
	}
	held.bytes = a.bytes
	return held, "", nil
}

// reading reads one body after another, each on a goroutine of its own: a read
// deadline would do with less, but net/http takes a late body for a broken
// connection. It is used again unless a body was late.
type reading struct {
	body         io.Reader
	limit, share int64
	arrives      chan arrival
	late         *time.Timer
	run          func() // made once: a go statement with arguments allocates
}

func newReading() *reading {
	rd := &reading{arrives: make(chan arrival, 1), late: time.NewTimer(bodyTimeout)}
	rd.run = func() {
		bytes, err := readUpTo(rd.body, rd.limit, rd.share)
		rd.arrives <- arrival{bytes, err}
	}
	return rd
}

// read reads body up to limit. After bodyTimeout it returns false: what is read
// comes over rd.arrives then, and rd must not be used again.
func (rd *reading) read(body io.Reader, limit, share int64) (arrival, bool) {
	rd.body, rd.limit, rd.share = body, limit, share
	rd.late.Reset(bodyTimeout)
	go rd.run()
	select {
	case a := <-rd.arrives:
		rd.late.Stop()
		rd.body = nil
		return a, true
	case <-rd.late.C:
		return arrival{}, false
	}
}

// arrival is what was read of a body, up to the limit.
type arrival struct {
	bytes []byte
	err   error
}

// before puts what has arrived in front of the rest.
func (a arrival) before(rest io.Reader) io.Reader {
	if a.err != nil {
		rest = broken{a.err}
	}
	return io.MultiReader(bytes.NewReader(a.bytes), rest)
}

// broken is the rest of a body that broke off.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// refilled is a body some of which has been read already.
type refilled struct {
	io.Reader
	io.Closer
}

// late is a body that somebody else is reading: it yields first what that one
// gets.
type late struct {
	arrives <-chan arrival // nil once it has come
	body    io.Reader
}

func (l *late) Read(p []byte) (int, error) {
	if l.arrives != nil {
		a := <-l.arrives
		l.arrives, l.body = nil, a.before(l.body)
	}
	return l.body.Read(p)
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
