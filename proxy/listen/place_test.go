package listen

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/socket"
)

func TestBeyondMaxConnectionsCallersAreMarkedAndBeyondTwiceAsManyClosed(t *testing.T) {
	s := open(t, &house{}, func(w http.ResponseWriter, r *http.Request) {
		if PlaceOf(r).Over() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}, Listener{MaxConnections: 2})
	open := &s.clients[0].(strictListener).open.open

	ask := func(c net.Conn) int {
		_, _ = io.WriteString(c, call)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	var idle []*net.TCPConn
	for range 4 {
		idle = append(idle, dial(t, s.addr))
		await.That(t, "the connection is counted", func() bool { return open.Load() == int64(len(idle)) })
	}
	if got := ask(idle[0]); got != 200 {
		t.Errorf("within the bound the client got %d", got)
	}
	if got := raw(t, s.addr, call); got != "" {
		t.Errorf("beyond twice the bound the client got %q", got)
	}
	if got := ask(idle[2]); got != 503 {
		t.Errorf("beyond the bound the client got %d", got)
	}
	for _, c := range idle {
		_ = c.Close()
	}
	await.That(t, "all places are free", func() bool { return open.Load() == 0 })
}

// A connection that keeps still says nothing to readers of a body, and goes on
// telling net/http of a hang-up, which it listens for with reads of one byte.
func TestAStillConnectionGoesOnTellingOfAHangUp(t *testing.T) {
	ours, theirs := tcpPair(t)
	c := strictConn{&movingConn{Conn: socket.New(ours)}, &Place{in: &connections{}, still: true}}
	if n, err := c.Read(make([]byte, 2)); n != 0 || err != nil {
		t.Errorf("a body's reader got %d bytes, %v", n, err)
	}
	_ = theirs.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("net/http's watch got %v, want EOF", err)
	}
	c.SetStill(false)
	if _, err := c.Read(make([]byte, 2)); !errors.Is(err, io.EOF) {
		t.Errorf("a body's reader got %v afterwards, want EOF", err)
	}
}

func TestAPlaceTellsThatItsCallerHasGone(t *testing.T) {
	ours, theirs := tcpPair(t)
	place := (&connections{}).enter(ours)
	if place.Gone() {
		t.Error("the caller is there, and seems gone")
	}
	_ = theirs.Close()
	await.That(t, "the caller goes", place.Gone)
	var none *Place
	if none.Gone() || none.Over() {
		t.Error("without a place, a caller is gone or over the bound")
	}
}
