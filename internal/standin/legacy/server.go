package legacy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	authHeader  = "X-POWERJOB-AUTH-PASSED"
	tokenHeader = "X-POWERJOB-ACCESS-TOKEN"
	appIDHeader = "X-POWERJOB-APP-ID"
	maxBody     = 64 << 20
)

// Options set up a Server. The zero value is a 5.1.0 server with its check off
// and the app "app1" (id 1, password "pw").
type Options struct {
	Mode   Mode
	Apps   []App               // nil: app1
	New    bool                // it has runJob2, which 5.1.2 added
	Prefix string              // the server's context path ("/x"); "": none
	Delay  time.Duration       // before every OpenAPI answer, after its execution
	Fault  func(Request) Fault // called once for each OpenAPI request, on the request's goroutine; nil: no faults
	Other  http.Handler        // serves paths outside the OpenAPI; nil: a small page at /, 404 elsewhere
	Now    func() time.Time    // nil: time.Now
}

// Request is one OpenAPI request as it arrived.
type Request struct {
	Time   time.Time
	Method string
	Host   string
	URI    string      // the request target, unchanged
	Call   string      // "saveJob"; "": the path is not routed
	Header http.Header // all fields; the token is replaced by its fingerprint
	Token  string      // the token's fingerprint; "" without
	Login  int         // number of the login that gave the token; 0: none or unknown
	AppID  string      // X-POWERJOB-APP-ID
	Body   []byte      // unchanged; if Broken, the part that arrived
	Broken bool        // the body ended early; such a request is not executed
}

// Server is the stand-in behind HTTP. Its methods are safe for concurrent use.
type Server struct {
	*Core
	opts   Options
	closed chan struct{}
	once   sync.Once
	http   *http.Server

	mu       sync.Mutex // protects requests
	requests []Request
}

// New returns a server that is not listening yet.
func New(o Options) *Server {
	return &Server{Core: newCore(o), opts: o, closed: make(chan struct{})}
}

// Start listens on a free port of 127.0.0.1 and returns the URL, with the
// context path if there is one.
func (s *Server) Start() (string, error) {
	return s.StartBehind("127.0.0.1:0", func(server http.Handler) http.Handler { return server })
}

// StartBehind is Start on an address, with a handler around the server's own. Only one of
// the two may be called, once.
func (s *Server) StartBehind(address string, around func(http.Handler) http.Handler) (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
	if err != nil {
		return "", fmt.Errorf("starting the stand-in server: %w", err)
	}
	s.http = &http.Server{Handler: around(s), ReadHeaderTimeout: 10 * time.Second}
	go s.http.Serve(l) //nolint:errcheck // ends with ErrServerClosed by Close
	return "http://" + l.Addr().String() + s.opts.Prefix, nil
}

// Close closes the listener and all connections at once. It may be called more than
// once.
func (s *Server) Close() error {
	s.once.Do(func() { close(s.closed) })
	if s.http == nil {
		return nil
	}
	return s.http.Close()
}

// sleep returns false, at once, if the server is closing.
func (s *Server) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.closed:
		return false
	}
}

// Requests returns every OpenAPI request so far, in order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Executed counts the executions of a call; "": of all calls.
func (s *Server) Executed(call string) int {
	n := 0
	for _, e := range s.Executions() {
		if call == "" || e.Call == call {
			n++
		}
	}
	return n
}

// Received counts the requests for a call; "": all OpenAPI requests.
func (s *Server) Received(call string) int {
	n := 0
	for _, r := range s.Requests() {
		if call == "" || r.Call == call {
			n++
		}
	}
	return n
}

// ServeHTTP answers as Spring and the OpenAPI's controller do.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, status := callOf(r, s.opts.Prefix)
	if status < 0 {
		s.serveOther(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	request := s.record(r, call, body, err != nil)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var f Fault
	if s.opts.Fault != nil {
		f = s.opts.Fault(request)
	}
	if !s.sleep(f.DelayBefore) {
		panic(http.ErrAbortHandler)
	}
	var a Answer
	switch {
	case f.SkipExecution:
		a = Answer{Status: http.StatusOK, Body: []byte(`{}`)}
	case status != 0:
		a = Answer{Status: status, Auth: s.header(), Body: notRouted(status, rawPath(r))}
	case r.Method != http.MethodPost && s.has(call):
		a = Answer{Status: http.StatusOK, Auth: s.header(), Body: failure(call,
			throw("HttpRequestMethodNotSupportedException: Request method '%s' not supported", r.Method))}
	default:
		if a = s.Serve(input(r, call, body)); a.Status == http.StatusNotFound {
			a.Body = notRouted(a.Status, rawPath(r))
		}
	}
	if !s.sleep(f.DelayAfter + s.opts.Delay) {
		panic(http.ErrAbortHandler)
	}
	if f.Cut != CutNothing {
		if s.cut(w, f, a) != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
	s.write(w, f, a)
}

// contentType returns the Content-Type that servers of this version send.
func (s *Server) contentType() string {
	if s.mode == NoAuthApp {
		return "application/json"
	}
	return "application/json;charset=utf-8"
}

// write sends an answer chunked, as Tomcat does.
func (s *Server) write(w http.ResponseWriter, f Fault, a Answer) {
	h := w.Header()
	h.Set("Content-Type", s.contentType())
	if a.Auth != "" {
		h[authHeader] = []string{a.Auth}
	}
	for name, values := range f.Header {
		h[name] = values
	}
	if f.Status != 0 {
		a.Status, a.Body = f.Status, notRouted(f.Status, "")
	}
	w.WriteHeader(a.Status)
	if http.NewResponseController(w).Flush() == nil { // without it a short answer gets a Content-Length
		_, _ = w.Write(a.Body) // it fails only if the caller is gone
	}
}

// notRouted returns Spring's error page, as a real 4.3.9 server sends it.
func notRouted(status int, path string) []byte {
	return encode(struct {
		Timestamp string `json:"timestamp"`
		Status    int    `json:"status"`
		Error     string `json:"error"`
		Path      string `json:"path"`
	}{"2026-01-01T00:00:00.000+00:00", status, http.StatusText(status), path})
}

// rawPath returns the path as it arrived, with escapes and path parameters.
func rawPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}

func (s *Server) serveOther(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.opts.Other != nil:
		s.opts.Other.ServeHTTP(w, r)
	case r.URL.Path == s.opts.Prefix+"/":
		w.Header().Set("Content-Type", "text/html;charset=UTF-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>PowerJob</title><p>A stand-in for a PowerJob server.")
	case s.opts.Prefix != "" && !strings.HasPrefix(r.URL.Path+"/", s.opts.Prefix+"/"):
		w.WriteHeader(http.StatusNotFound) // Undertow's own, which is empty
	default:
		w.Header().Set("Content-Type", s.contentType())
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(notRouted(http.StatusNotFound, rawPath(r)))
	}
}

func (s *Server) record(r *http.Request, call string, body []byte, broken bool) Request {
	token := r.Header.Get(tokenHeader)
	q := Request{
		Time: s.now(), Method: r.Method, Host: r.Host, URI: r.RequestURI, Call: call, Header: r.Header.Clone(), Token: Fingerprint(token),
		Login: s.LoginOf(token), AppID: r.Header.Get(appIDHeader), Body: body, Broken: broken,
	}
	if token != "" {
		q.Header.Set(tokenHeader, q.Token)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, q)
	return q
}

// input reads the parameters as Spring does: the query first, then the body,
// which counts as a form or as JSON by its content type.
func input(r *http.Request, call string, body []byte) Input {
	in := Input{Call: call, Token: r.Header.Get(tokenHeader), AppID: r.Header.Get(appIDHeader), Params: map[string]string{}}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json") {
		in.JSON = body
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form := r.Clone(context.Background())
	if err := form.ParseMultipartForm(maxBody); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return in
	}
	for name, values := range form.PostForm {
		in.Params[name] = values[0]
	}
	for name, values := range form.URL.Query() {
		in.Params[name] = values[0]
	}
	return in
}
