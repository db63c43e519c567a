package forward

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"powerjob-shim/proxy/exchange"
	up "powerjob-shim/proxy/upstream"
)

func TestAFailureSaysWhatMayHaveBeenExecuted(t *testing.T) {
	stopped, stop := context.WithCancelCause(context.Background())
	stop(exchange.ErrStopping)
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	gone, hangUp := context.WithCancel(context.Background())
	hangUp()
	background := context.Background()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		got    up.Outcome
		err    error
		status int
		text   string
		after  up.Outcome
	}{
		{"refused", background, up.NotSent, syscall.ECONNREFUSED, 502, "Nothing was sent", up.NotSent},
		{"connecting took too long", late, up.NotSent, context.DeadlineExceeded, 502, "Nothing was sent", up.NotSent},
		{"stopping, not sent", stopped, up.NotSent, context.Canceled, 503, "nothing was sent", up.NotSent},
		{"stopping, sent", stopped, up.Unknown, context.Canceled, 504, "may have been executed", up.Unknown},
		{"too late", late, up.Unknown, context.DeadlineExceeded, 504, "may have been executed", up.Unknown},
		{"cut", background, up.Unknown, io.EOF, 502, "may have been executed", up.Unknown},
		{"an answer that cannot be passed on", background, up.Answered, errors.New("bad upgrade"), 502, "may have been executed", up.Unknown},
		{"the caller is gone", gone, up.Unknown, context.Canceled, 502, "may have been executed", up.Unknown},
	} {
		ex := exchangeFor(t, "http://127.0.0.1:1")
		ex.Reached, ex.FromUpstream, ex.Server = c.got, true, ex.Group.Upstream.Servers[0]
		rec := httptest.NewRecorder()
		failed(rec, httptest.NewRequest(http.MethodPost, "/openApi/saveJob", nil).WithContext(c.ctx), ex, c.err)
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.text) || !strings.HasPrefix(rec.Body.String(), `{"success":false,"data":null,"message":"powerjob-shim: `) {
			t.Errorf("%s: %d %s, want %d with %q", c.name, rec.Code, rec.Body, c.status, c.text)
		}
		if ex.Reached != c.after || ex.FromUpstream || ex.HungUp != (c.ctx == gone) {
			t.Errorf("%s: outcome %v, from the upstream %v, hung up %v", c.name, ex.Reached, ex.FromUpstream, ex.HungUp)
		}
		if rec.Header().Get("Retry-After") != "" || rec.Code == http.StatusRequestTimeout {
			t.Errorf("%s: OkHttp would send again", c.name)
		}
	}
}
