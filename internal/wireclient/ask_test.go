package wireclient

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
)

// asked asks a server that reads the request, sends answer and closes the connection. If
// answer is "-", the server does nothing and the context ends.
func asked(t *testing.T, answer string, r Request, limit int64) (sent string, a Response, err error) {
	t.Helper()
	ours, theirs := net.Pipe()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	got := make(chan string, 1)
	go func() {
		b := make([]byte, 4096)
		n, _ := theirs.Read(b)
		if answer == "-" {
			end()
		} else {
			_, _ = io.WriteString(theirs, answer)
			_ = theirs.Close()
		}
		got <- string(b[:n])
	}()
	a, err = Server{Host: "h:1", Limit: limit, Dial: func(context.Context) (net.Conn, error) { return ours, nil }}.Ask(ctx, r)
	return <-got, a, err
}

func TestARequestIsSentAsItIsAndOnce(t *testing.T) {
	const ok = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nok"
	r := Form("fetchJob", "jobId", "7", "name", "a b&c")
	r.Header = []Field{{"x-CASE", "v"}}
	sent, a, err := asked(t, ok, r, 0)
	if err != nil || a.Status != 502 || a.Reason != "Bad Gateway" || string(a.Body) != "ok" {
		t.Errorf("%+v, %v", a, err)
	}
	want := "POST /openApi/fetchJob HTTP/1.1\r\nHost: h:1\r\nx-CASE: v\r\nConnection: close\r\n" +
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 20\r\n\r\njobId=7&name=a+b%26c"
	if sent != want {
		t.Errorf("sent %q, want %q", sent, want)
	}
	sent, _, _ = asked(t, ok, Request{Method: "GET", Path: "/"}, 0)
	if want := "GET / HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n"; sent != want {
		t.Errorf("sent %q, want %q", sent, want)
	}
}

func TestAnErrorSaysHowTheAnswerFailed(t *testing.T) {
	var large *TooLargeError
	if _, _, err := asked(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", Login("app1", "pw"), 8); !errors.As(err, &large) {
		t.Errorf("9 bytes where 8 may come: %v", err)
	}
	if _, _, err := asked(t, "", Login("app1", "pw"), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, _, err := asked(t, "-", Login("app1", "pw"), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("the context ended: %v", err)
	}
}
