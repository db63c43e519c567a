package proxy

import (
	"net"
	"net/http"
)

// maxHeaderBytes bounds a request's header; past it net/http answers 431.
// Spring Boot takes 8 KiB.
const maxHeaderBytes = 64 << 10

// framing closes the connection after requests whose end others might see
// elsewhere, so that nothing behind them is taken for a request:
//
//   - chunked: a Content-Length beside Transfer-Encoding is removed by net/http
//     before a handler could see it, and RFC 9112, 6.3 wants the connection
//     closed after such a request. PowerJob's clients send no chunked bodies.
//   - HTTP/1.0: net/http ignores its Transfer-Encoding, which RFC 9112, 6.1
//     calls faulty framing.
//
// What is wrong beyond doubt (two lengths, unknown codings, NUL, …) net/http
// refuses before this.
func (p *Proxy) framing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			exchangeOf(r).lastOnConn = true
			delete(r.Header, "Upgrade") // a tunnel would go on where this must end
		}
		next.ServeHTTP(w, r)
	})
}

// net/http answers an unknown transfer coding with 501, in one Write of
// exactly these bytes. To a caller that is a broken request like any other.
const (
	unsupportedCoding = "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nUnsupported transfer encoding"
	refusedCoding     = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nUnsupported transfer encoding"
)

// strictListener hands out connections on which unsupportedCoding becomes
// refusedCoding. No upstream's answer can be mistaken for it: what net/http
// writes for a handler has a Date.
type strictListener struct{ net.Listener }

func (l strictListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return strictConn{tcp}, err
	}
	return c, err
}

// strictConn embeds a *net.TCPConn, not a net.Conn, to keep CloseWrite, which
// net/http uses to let a client read an early answer to its end.
type strictConn struct{ *net.TCPConn }

func (c strictConn) Write(b []byte) (int, error) {
	if len(b) == len(unsupportedCoding) && string(b) == unsupportedCoding {
		if _, err := c.TCPConn.Write([]byte(refusedCoding)); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return c.TCPConn.Write(b)
}
