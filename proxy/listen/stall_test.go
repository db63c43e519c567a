package listen

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"powerjob-shim/internal/socket"
)

func TestAReaderThatTakesALittleNowAndThenIsServedToTheEnd(t *testing.T) {
	const stall, pieces = time.Second, 25
	ours, theirs := tcpPair(t)
	_ = ours.SetWriteBuffer(64 << 10)
	_ = theirs.SetReadBuffer(64 << 10)
	c := &movingConn{Conn: socket.New(ours), stall: stall}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, pieces<<20))
		sent <- err
	}()
	piece := make([]byte, 1<<20)
	for range pieces {
		if _, err := io.ReadFull(theirs, piece); err != nil {
			t.Fatal(err)
		}
		time.Sleep(stall / 10)
	}
	if err := <-sent; err != nil {
		t.Errorf("writing ended with %v", err)
	}
}

func TestAStalledConnectionTakesNothingMore(t *testing.T) {
	ours, _ := tcpPair(t)
	c := &movingConn{Conn: socket.New(ours), stall: 50 * time.Millisecond}
	n, err := io.Copy(c, io.LimitReader(zeros{}, 1<<30))
	if !errors.Is(err, ErrStalled) || n == 0 {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, ErrStalled) {
		t.Errorf("then: %d bytes, %v", n, err)
	}
}

func TestADeadlineOfSomebodyElseCounts(t *testing.T) {
	ours, _ := tcpPair(t)
	c := &movingConn{Conn: socket.New(ours), stall: time.Hour}
	for _, set := range []func(time.Time) error{c.SetDeadline, c.SetWriteDeadline} {
		if err := set(time.Now().Add(10 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(c, io.LimitReader(zeros{}, 1<<30)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("writing ended with %v", err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
