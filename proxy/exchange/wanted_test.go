package exchange

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"powerjob-shim/internal/peer"
	"powerjob-shim/internal/tcpfaults"
	up "powerjob-shim/proxy/upstream"
)

// polledCaller is one who is asked by his socket.
type polledCaller struct{ syscall.RawConn }

func (c polledCaller) Gone() bool              { return peer.Poll(c.RawConn) == peer.Gone }
func (polledCaller) OnGone(func()) func() bool { return func() bool { return true } }

// waiting tells whether others wait for a call.
type waiting bool

func (w *waiting) Waiting() bool { return bool(*w) }

func TestACallIsSentWhileSomebodyWantsIt(t *testing.T) {
	accepted := make(chan net.Conn, 1)
	far, err := net.Dial("tcp", tcpfaults.Serve(t, func(c net.Conn) { accepted <- c }))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := (<-accepted).(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	others := new(waiting)
	ex := &Exchange{Caller: polledCaller{raw}, Verdicts: Verdicts{Waiters: others}}
	if err := ex.Wanted(); err != nil {
		t.Errorf("while the caller is there: %v", err)
	}
	_ = far.Close()
	for end := time.Now().Add(time.Minute); !ex.Caller.Gone(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the caller does not go")
		}
	}
	if err := ex.Wanted(); !errors.Is(err, up.ErrHungUp) {
		t.Errorf("without a caller: %v", err)
	}
	*others = true
	if err := ex.Wanted(); err != nil {
		t.Errorf("while somebody waits: %v", err)
	}
	*others = false
	if err := ex.Wanted(); !errors.Is(err, up.ErrHungUp) {
		t.Errorf("when nobody waits any more: %v", err)
	}
}
