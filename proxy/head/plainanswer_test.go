package head

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// someAnswers are what servers write, plain and odd.
var someAnswers = []string{
	"HTTP/1.1 200 \r\nContent-Type: application/json;charset=utf-8\r\nContent-Length: 5\r\nKeep-Alive: timeout=60\r\nConnection: keep-alive\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nX-POWERJOB-AUTH-PASSED: true\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n!!!\r\n0\r\n\r\n",
	"HTTP/1.1 500 Internal Server Error\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2;ext=1\r\nhe\r\n0\r\nX: 1\r\n\r\n",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
	"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nPragma: no-cache\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 05\r\n\r\nhello",
	"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello",
	"HTTP/1.1  20 OK\r\nContent-Length: +5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nname : v\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\n\r\nuntil the end",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000005\r\nhello\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00000000000000000\r\n\r\n",
}

func post() *http.Request { return &http.Request{Method: http.MethodPost} }

// sameAsNetHTTP holds what ReadAnswer makes of some bytes to what http.ReadResponse does.
func sameAsNetHTTP(t *testing.T, bytesIn []byte) (plain bool) {
	t.Helper()
	res, size := plainAnswer(bytesIn, post())
	if res == nil {
		return false
	}
	under := bufio.NewReaderSize(bytes.NewReader(bytesIn), 64<<10)
	want, err := http.ReadResponse(under, res.Request)
	if err != nil {
		t.Fatalf("%q is read, and net/http says %v", bytesIn, err)
	}
	got, gotErr := io.ReadAll(res.Body)
	wanted, wantErr := io.ReadAll(want.Body)
	if string(got) != string(wanted) || gotErr != nil || wantErr != nil {
		t.Fatalf("the body of %q: got %q, %v; want %q, %v", bytesIn, got, gotErr, wanted, wantErr)
	}
	if behind, _ := io.ReadAll(under); string(behind) != string(bytesIn[size:]) {
		t.Fatalf("behind %q: got %q, want %q", bytesIn, bytesIn[size:], behind)
	}
	if (res.Body == http.NoBody) != (want.Body == http.NoBody) || want.Trailer != nil {
		t.Fatalf("%q: body %T, want %T; trailers %v", bytesIn, res.Body, want.Body, want.Trailer)
	}
	res.Body, want.Body = nil, nil
	if !reflect.DeepEqual(res, want) {
		t.Fatalf("%q:\ngot  %+v\nwant %+v", bytesIn, res, want)
	}
	return true
}

// net/http is the oracle for what is plain; all else it reads itself.
func TestAPlainAnswerIsReadAsNetHTTPDoes(t *testing.T) {
	plain := 0
	try := func(b []byte) {
		if sameAsNetHTTP(t, b) {
			plain++
		}
	}
	for i, a := range someAnswers {
		if got, want := sameAsNetHTTP(t, []byte(a)), i < 4; got != want {
			t.Errorf("%q is plain: %v, want %v", a, got, want)
		}
		for n := range len(a) {
			try([]byte(a)[:n])
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		b := []byte(someAnswers[rng.IntN(5)])
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(b))
			switch piece := someAnswers[rng.IntN(len(someAnswers))]; rng.IntN(4) {
			case 0:
				b[at] = byte(rng.IntN(256))
			case 1:
				b = append(b[:at], b[at+1:]...)
			case 2:
				from := rng.IntN(len(piece))
				b = append(b[:at:at], append([]byte(piece[from:from+rng.IntN(min(20, len(piece)-from))]), b[at:]...)...)
			default:
				b[at] = "\r\n \t:;,0159aAfFxX"[rng.IntN(17)]
			}
			if len(b) < 2 {
				break
			}
		}
		try(b)
	}
	if plain < 5_000 {
		t.Errorf("only %d were plain: not much was shown", plain)
	}
	t.Log(plain, "plain answers")
}

func FuzzAPlainAnswerIsReadAsNetHTTPDoes(f *testing.F) {
	for _, a := range someAnswers {
		f.Add([]byte(a))
	}
	f.Fuzz(func(t *testing.T, b []byte) { sameAsNetHTTP(t, b) })
}

// What is not here yet is waited for, and what is behind an answer stays where it is.
func TestAnAnswerThatComesInPiecesIsRead(t *testing.T) {
	for _, a := range someAnswers[:4] {
		for cut := 1; cut < len(a); cut++ {
			from := bufio.NewReader(io.MultiReader(strings.NewReader(a[:cut]), strings.NewReader(a[cut:])))
			res, err := ReadAnswer(from, post())
			if err != nil {
				t.Fatalf("%q cut at %d: %v", a, cut, err)
			}
			want, _ := http.ReadResponse(bufio.NewReader(strings.NewReader(a)), post())
			got, err := io.ReadAll(res.Body)
			if wanted, _ := io.ReadAll(want.Body); err != nil || string(got) != string(wanted) || !reflect.DeepEqual(res.Header, want.Header) {
				t.Errorf("%q cut at %d: %q, %v, %v", a, cut, got, err, res.Header)
			}
		}
	}
}
