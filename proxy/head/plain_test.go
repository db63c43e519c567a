package head

import (
	"bufio"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// What is plain is read as net/http reads it; what is not is left to net/http. The
// differential tests of proxy/listen/plain try many more.
func TestAPlainHeadIsReadAsNetHTTPReadsIt(t *testing.T) {
	for text, plain := range map[string]bool{
		"POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n":                                         true,
		"POST /openApi/runJob?jobId=1&x=%20 HTTP/1.1\r\nhost: a:1\r\nX-POWERJOB-APP-ID: 1\r\nx-a: 1\r\nX-A:  2 \r\n\r\n": true,
		"POST /a? HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\nConnection: Close\r\n\r\n":                                  true,
		"GET /a HTTP/1.1\r\nHost: a\r\n\r\n":                                                                             false,
		"POST /a HTTP/1.1\r\n\r\n":                                                                                       false, // no Host
		"POST /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n":                                                                 false,
		"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n":                                  false,
		"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n":                                              false,
		"POST /%61 HTTP/1.1\r\nHost: a\r\n\r\n":                                                                          false, // another reading
		"POST /a HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n":                                                              false, // goes on in the next line
		"POST /a HTTP/1.1\nHost: a\n\n":                                                                                  false,
	} {
		h, ok := ReadPlain([]byte(text), true)
		if ok != plain {
			t.Errorf("%q: plain %t", text, ok)
		}
		if !ok {
			continue
		}
		want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		got := new(http.Request)
		h.Fill(got)
		if h.Size != len(text) || got.Method != want.Method || got.RequestURI != want.RequestURI || got.URL.String() != want.URL.String() || got.Host != want.Host ||
			got.ContentLength != want.ContentLength || got.Close != want.Close || !reflect.DeepEqual(got.Header, want.Header) {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
}
