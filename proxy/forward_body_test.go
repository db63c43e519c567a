package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// closedAtEnd is the body of a request whose answer has begun: net/http's
// server has closed it, and reading on after the last byte fails.
type closedAtEnd struct{ strings.Reader }

func (b *closedAtEnd) Read(p []byte) (int, error) {
	if b.Len() == 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.Reader.Read(p)
}

func (*closedAtEnd) Close() error { return nil }

func TestAnAnswerThatComesWithTheBodysLastByteIsWhole(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "an")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(20 * time.Millisecond) // the connection would be closed by now
		_, _ = io.WriteString(w, "swer")
	})
	s := newShim(t, settingsFor(t, server))
	const body = "appId=1"
	r := httptest.NewRequest(http.MethodPost, "/openApi/fetchAllJob", &closedAtEnd{*strings.NewReader(body)})
	r.ContentLength = int64(len(body))
	w := httptest.NewRecorder()
	defer func() {
		if broken := recover(); broken != nil {
			t.Errorf("the answer broke off: %v", broken)
		}
		if got := w.Body.String(); got != "answer" {
			t.Errorf("got %q, want the whole answer", got)
		}
	}()
	s.ServeHTTP(w, r)
}
