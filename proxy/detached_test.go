package proxy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestATermIsLentAgainWithItsWholeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Proxy{freeTerms: make(chan *term, 1)}
		p.life, p.end = context.WithCancelCause(t.Context())
		first := p.lend(time.Second)
		time.Sleep(900 * time.Millisecond)
		p.takeBack(first)
		time.Sleep(time.Hour)

		second := p.lend(time.Second)
		if second != first {
			t.Error("a term that did not end is not lent again")
		}
		time.Sleep(900 * time.Millisecond)
		if err := second.Err(); err != nil {
			t.Errorf("before its time is over it says %v", err)
		}
		<-second.Done()
		if err := second.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after its time it says %v", err)
		}
		p.takeBack(second)

		third := p.lend(0)
		if third == second {
			t.Error("a term that has ended is lent again")
		}
		time.Sleep(time.Hour)
		if err := third.Err(); err != nil {
			t.Errorf("without a timeout it says %v", err)
		}
		p.end(errStopping)
		<-third.Done()
		if err := third.Err(); !errors.Is(err, context.Canceled) || !errors.Is(context.Cause(third), errStopping) {
			t.Errorf("when the shim stops it says %v because of %v", err, context.Cause(third))
		}
	})
}
