package recorder

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/routing"
)

// keeping keeps answers for others, and notes what it is told.
type keeping struct {
	header, room int // bytes
	taken        int64
	told         []string
}

func (k *keeping) KeepHeader(http.Header) int { return k.header }

func (k *keeping) Take(n int64) bool {
	if k.taken+n > int64(k.room) {
		return false
	}
	k.taken += n
	return true
}

func (k *keeping) GiveBack()    { k.taken = 0 }
func (k *keeping) EventStream() { k.told = append(k.told, "event stream") }

func (k *keeping) Overflow(crowded bool) {
	k.told = append(k.told, map[bool]string{true: "crowded", false: "too large"}[crowded])
}

func TestAnAnswerIsCollectedOrPassedOn(t *testing.T) {
	for _, c := range []struct {
		name     string
		keeping  keeping
		kind     string // Content-Type
		pieces   []string
		own      bool   // an error of the shim's own
		streamed string // what has gone to the caller when the answer ends
		told     string
	}{
		{"it fits", keeping{header: 2, room: 100}, "", []string{"abcd", "efgh"}, false, "", ""},
		{"with its header it is too large", keeping{header: 3, room: 100}, "", []string{"abcd", "efgh"}, false, "abcdefgh", "too large"},
		{"there is no room", keeping{room: 6}, "", []string{"abcd", "efgh"}, false, "abcdefgh", "crowded"},
		{"an event stream", keeping{room: 100}, "text/event-stream", []string{"a", "b"}, false, "ab", "event stream"},
		{"an error of the shim's own always fits", keeping{}, "", []string{"abcd", "efghijkl"}, true, "", ""},
	} {
		caller := httptest.NewRecorder()
		ex := &exchange.Exchange{Facts: exchange.Facts{Snap: new(routing.Snapshot)}}
		rec := New(caller, ex, 10, &c.keeping)
		whole := rec.Collect(func(w http.ResponseWriter, _ *http.Request, ex *exchange.Exchange) {
			ex.FromUpstream = !c.own
			w.Header().Set("Content-Type", c.kind)
			for _, piece := range c.pieces {
				_, _ = io.WriteString(w, piece)
			}
		}, nil)
		if got := caller.Body.String(); !whole || got != c.streamed || rec.Streaming() != (c.streamed != "") {
			t.Errorf("%s: the caller has %q before the end, streaming %v, whole %v", c.name, got, rec.Streaming(), whole)
		}
		if told := strings.Join(c.keeping.told, ", "); told != c.told {
			t.Errorf("%s: the keeper was told %q, want %q", c.name, told, c.told)
		}
		if c.streamed == "" {
			if err := rec.Pass(); err != nil || caller.Body.String() != strings.Join(c.pieces, "") {
				t.Errorf("%s: the caller got %q, %v", c.name, caller.Body, err)
			}
		}
		if rec.Release(); c.keeping.taken != 0 {
			t.Errorf("%s: %d bytes are still taken", c.name, c.keeping.taken)
		}
	}
}

func TestAnAnswerThatBreaksOffIsNotWhole(t *testing.T) {
	ex := &exchange.Exchange{Facts: exchange.Facts{Snap: new(routing.Snapshot)}}
	caller := httptest.NewRecorder()
	rec := New(caller, ex, 10, nil)
	if rec.Collect(func(w http.ResponseWriter, _ *http.Request, ex *exchange.Exchange) {
		ex.FromUpstream = true
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	}, nil) {
		t.Error("it counts as whole")
	}
	rec.Fail(http.StatusGatewayTimeout, "broke off")
	if err := rec.Pass(); err != nil || caller.Code != http.StatusGatewayTimeout || strings.Contains(caller.Body.String(), "half") {
		t.Errorf("the caller got %d %s, %v", caller.Code, caller.Body, err)
	}

	fault := errors.New("a fault")
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, fault) {
			t.Errorf("another panic became %v", err)
		}
	}()
	rec.Collect(func(http.ResponseWriter, *http.Request, *exchange.Exchange) { panic(fault) }, nil)
}
