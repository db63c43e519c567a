package conversation

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

// The caller sends nothing of the body, and has the whole answer all the same.
func TestTheLastBytesOfAnAnswerDoNotWaitForTheRequest(t *testing.T) {
	addr := serving(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 3\r\n\r\nbig")
			_, _ = io.Copy(io.Discard, c)
		}
	})
	caller, sends := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/", caller)
	if err != nil {
		t.Fatal(err)
	}
	p := &Pool{Connect: direct}
	res, err := p.Stream(Stream{Request: r})
	if err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 3)
	if _, err := io.ReadFull(res.Body, answer); err != nil || string(answer) != "big" {
		t.Fatalf("got %q, %v", answer, err)
	}
	if res.Body.(*body).over {
		t.Error("the answer's end came first")
	}
	if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	_ = sends.Close() // as the caller's connection does
}
