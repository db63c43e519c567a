package plain

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// acts are what a handler may do, by the last part of the path.
var acts = []string{"echo", "empty", "unread", "part", "large", "flushed", "close", "abort", "panic", "later-panic", "204", "304", "early", "trailer",
	"short", "long", "wrong", "typed", "guess", "teapot", "twice", "empty-write", "values", "duplex", "duplex-part"}

func act(w http.ResponseWriter, r *http.Request, seen *strings.Builder) {
	_, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	h := w.Header()
	read := func() []byte {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(seen, "body %q %v", body, err)
		return body
	}
	switch what {
	case "unread":
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "no")
		return
	case "part":
		n, err := io.ReadFull(r.Body, make([]byte, 3))
		fmt.Fprintf(seen, "part %d %v", n, err)
		_ = r.Body.Close()
		return
	}
	if strings.HasPrefix(what, "duplex") {
		c := http.NewResponseController(w)
		fmt.Fprint(seen, c.EnableFullDuplex())
		_, _ = io.WriteString(w, "first")
		_ = c.Flush()
	}
	if what == "duplex-part" {
		n, err := io.ReadFull(r.Body, make([]byte, 3))
		fmt.Fprintf(seen, "part %d %v", n, err)
		return
	}
	body := read()
	switch what {
	case "empty":
	case "large":
		h["Content-Type"] = []string{"text/plain"}
		for range 40 {
			_, _ = w.Write(bytes.Repeat([]byte("0123456789"), 200))
		}
	case "flushed":
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(body)
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "end")
	case "close":
		h["Connection"] = []string{"close"}
		_, _ = w.Write(body)
	case "abort":
		panic(http.ErrAbortHandler)
	case "panic":
		panic("a fault")
	case "later-panic":
		_, _ = w.Write(body)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "204":
		w.WriteHeader(http.StatusNoContent)
		_, err := w.Write([]byte("x"))
		fmt.Fprint(seen, err)
	case "304":
		h["Content-Length"], h["Etag"] = []string{"5"}, []string{`"x"`}
		w.WriteHeader(http.StatusNotModified)
	case "early":
		h["Link"] = []string{"</x>"}
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		_, _ = w.Write(body)
	case "trailer":
		h["Trailer"] = []string{"X-Announced"}
		_, _ = w.Write(body)
		h["X-Announced"] = []string{"a"}
		h[http.TrailerPrefix+"X-Other"] = []string{"b"}
		_ = http.NewResponseController(w).Flush()
	case "short", "long":
		h["Content-Length"] = []string{map[string]string{"short": "9", "long": "3"}[what]}
		_, err := w.Write([]byte("12345"))
		fmt.Fprint(seen, err)
	case "wrong":
		h["Content-Length"] = []string{"-1"}
		_, _ = w.Write(body)
	case "typed":
		h["Content-Type"], h["Date"] = nil, []string{"then"}
		_, _ = w.Write(body)
	case "guess":
		h["Content-Encoding"] = []string{"gzip"}
		_, _ = io.WriteString(w, "<html>")
	case "teapot":
		w.WriteHeader(799)
	case "twice":
		w.WriteHeader(http.StatusAccepted)
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body)
	case "empty-write":
		_, _ = w.Write(nil)
		h["X-Late"] = []string{"not written"}
	case "values":
		h["X-POWERJOB-AUTH-PASSED"] = []string{"true", "a\r\nb", " spaced "}
		h["bad name"] = []string{"x"}
		h["Connection"] = []string{"X-Y"}
		_, _ = w.Write(body)
	default:
		_, _ = w.Write(body)
	}
}
