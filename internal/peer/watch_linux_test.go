package peer

import (
	"net"
	"testing"
	"time"
)

func watcher(t *testing.T) *Watcher {
	t.Helper()
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// watch returns a channel that gets a value when w tells that c's peer has gone.
func watch(t *testing.T, w *Watcher, c net.Conn) (told chan struct{}, remove func()) {
	t.Helper()
	told = make(chan struct{}, 2)
	remove, err := w.Add(rawOf(c), func() { told <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	return told, remove
}

func TestAWatcherTellsOnceThatAPeerHasGone(t *testing.T) {
	for name, end := range map[string]func(c *net.TCPConn){
		"closed":              func(c *net.TCPConn) { _ = c.Close() },
		"half closed":         func(c *net.TCPConn) { _ = c.CloseWrite() },
		"reset":               func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		"closed behind bytes": func(c *net.TCPConn) { _, _ = c.Write([]byte("bytes")); _ = c.Close() },
	} {
		w := watcher(t)
		near, far := plain(t)
		other, _ := plain(t)
		told, remove := watch(t, w, near)
		quiet, _ := watch(t, w, other)
		_, _ = far.Write([]byte("bytes that nobody reads"))
		arrives(t, near, Unasked)
		end(far)
		select {
		case <-told:
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: never told", name)
		}
		remove()
		_ = near.Close()
		if len(told)+len(quiet) > 0 {
			t.Errorf("%s: told %d times more, and of the other %d times", name, len(told), len(quiet))
		}
	}
}

func TestAWatcherTellsOfAPeerThatHadGoneBefore(t *testing.T) {
	near, far := plain(t)
	_ = far.Close()
	arrives(t, near, Gone)
	told, _ := watch(t, watcher(t), near)
	select {
	case <-told:
	case <-time.After(30 * time.Second):
		t.Fatal("never told")
	}
}

// A number of a socket is given to another one as soon as it is free.
func TestAWatcherTellsNothingOfASocketThatWasRemoved(t *testing.T) {
	w := watcher(t)
	for range 200 {
		near, far := plain(t)
		told, remove := watch(t, w, near)
		remove()
		_ = near.Close()
		_ = far.Close()
		if len(told) > 0 {
			t.Fatal("told")
		}
	}
	near, far := plain(t)
	told, _ := watch(t, w, near)
	_ = far.Close()
	<-told // what came before has been told by now
	if n := len(w.told); n > 0 {
		t.Errorf("%d are still known", n)
	}
}

func TestAClosedWatcherRefuses(t *testing.T) {
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	near, _ := plain(t)
	if _, err := w.Add(rawOf(near), func() {}); err == nil {
		t.Error("no error")
	}
}
