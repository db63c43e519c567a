package recorder

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
)

// plainBody returns an answer's body without its Content-Encoding. A hop behind the shim
// may compress, since OkHttp asks for it; the shim itself and callers who get the answer
// again need it plain. The answer's own caller gets it as it came. ok is false if the
// body cannot be decoded within limit bytes.
func plainBody(h http.Header, body []byte, limit int64) (plain []byte, ok bool) {
	encoding := h["Content-Encoding"]
	if len(encoding) == 0 || len(encoding) == 1 && strings.EqualFold(encoding[0], "identity") {
		return body, true
	}
	if len(encoding) != 1 || !strings.EqualFold(encoding[0], "gzip") {
		return nil, false
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, false
	}
	plain, err = io.ReadAll(io.LimitReader(r, limit+1))
	return plain, err == nil && int64(len(plain)) <= limit
}
