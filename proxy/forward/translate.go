package forward

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/exchange/recorder"
	"powerjob-shim/proxy/routing"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/openapi"
)

// runJob is the call of servers that lack runJob2.
const runJob = "runJob"

// maxNotFound bounds how much of a server's 404 is read, in bytes; Spring's has about 120.
const maxNotFound = 16 << 10

// translation is a runJob2 that can be sent as a runJob.
type translation struct {
	ex       *exchange.Exchange
	run      openapi.RunJob
	lossy    bool
	known    *routing.Lacking
	old      bool     // runJob was sent last, not runJob2
	original struct { // the runJob2; set by the first address
		url    url.URL
		header []string // Content-Type
		body   func() (io.ReadCloser, error)
		length int64
	}
}

// Translate lets clients of 5.1.2 start jobs on servers that have no runJob2. A
// server that answers with Spring's own 404 has executed nothing: the shim sends
// it the same call as runJob, and then only runJob for as long as routing.Lacking
// remembers the server. All links before this one see the call as the client sent it.
func (f *Forwarder) Translate(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		t := translatable(ex, r)
		if t == nil {
			next(w, r, ex)
			return
		}
		ex.Readdress = t.address
		if timeout := ex.Group.Settings.Timeout; timeout > 0 && ex.Until.IsZero() {
			ex.Until = time.Now().Add(timeout) // for both requests
		}
		rec := recorder.New(w, ex, maxNotFound, nil)
		whole := rec.Collect(next, r)
		again := whole && f.judgeNotFound(t, &rec)
		if again {
			rec.Reset()
			ex.Pinned = ex.Server
			next(w, r, ex)
		}
		if t.old && ex.Reached != up.NotSent {
			ex.Translated = runJob
			f.metrics.Translated.WithLabelValues(routing.RunJob2).Inc()
		}
		switch {
		case again, rec.Streaming() && whole:
		case rec.Streaming():
			panic(http.ErrAbortHandler)
		case whole:
			_ = rec.Pass() // the links before this one notice a hang-up
		default:
			passBroken(w, &rec)
		}
	}
}

// translatable returns how to translate the request; nil: it is not translated. In mode:
// observe, none is.
func translatable(ex *exchange.Exchange, r *http.Request) *translation {
	compat := ex.Group.Settings.RunJob2
	if ex.Snap.Observing || compat == routing.CompatOff || ex.Call == nil || ex.Call.Name != routing.RunJob2 || r.Method != http.MethodPost || r.GetBody == nil {
		return nil
	}
	run, ok := openapi.RunJobOf(r.Header["Content-Type"], ex.Body)
	if !ok || r.Header["Content-Encoding"] != nil {
		return nil
	}
	return &translation{ex: ex, run: run, lossy: compat == routing.CompatLossy, known: ex.Snap.Lacking}
}

// judgeNotFound looks at the answer, and reports whether the same server must get the
// call again as runJob. Only the server's own 404 shows that it has no runJob2; a
// gateway's 404 shows nothing.
func (f *Forwarder) judgeNotFound(t *translation, rec *recorder.Recorder) (again bool) {
	ex := t.ex
	if t.old || ex.Reached != up.Answered || rec.Streaming() {
		return false
	}
	if !hasNoHandler(rec, ex.Target) {
		t.known.Forget(ex.Server)
		return false
	}
	log := f.log.With(zap.String(exchange.FieldRequestID, ex.ID), zap.String(exchange.FieldUpstream, ex.Group.Name), zap.String(exchange.FieldUpstreamServer, ex.Server.Name))
	if t.known.Learn(ex.Server, time.Now()) {
		log.Info("the server has no runJob2, it is older than 5.1.2: what it can do is sent as runJob")
	}
	if len(t.run.Lost) > 0 && !t.lossy {
		if t.known.Warns(ex.Server, time.Now()) {
			log.Warn("a runJob2 is answered with the server's 404: runJob cannot carry these fields; "+
				"leave them out in the client, or set upstreams."+ex.Group.Name+".compat: {run_job2: lossy} to drop them; "+
				"of further ones nothing is said for an hour",
				zap.Strings("fields", t.run.Lost))
		}
		return false
	}
	t.old = true
	return true
}

// hasNoHandler reports whether the collected answer is a Spring server's 404 for a path
// without a handler (BasicErrorController). Then nothing was executed.
func hasNoHandler(rec *recorder.Recorder, target string) bool {
	if rec.Status() != http.StatusNotFound {
		return false
	}
	body, ok := rec.PlainBody(maxNotFound)
	var e struct {
		Status int    `json:"status"`
		Path   string `json:"path"`
	}
	path, _, _ := strings.Cut(target, "?")
	return ok && json.Unmarshal(body, &e) == nil && e.Status == http.StatusNotFound && e.Path == path
}

// passBroken passes on the part of an answer that came before it broke off.
func passBroken(w http.ResponseWriter, rec *recorder.Recorder) {
	if rec.Status() != 0 {
		w.WriteHeader(rec.Status())
		_, _ = w.Write(rec.Body())
	}
	// The status line must go out before the connection is cut: otherwise OkHttp would
	// silently send again.
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// address makes out a runJob2, or a runJob if s is known to lack runJob2. A call with
// fields that runJob cannot carry is always tried as runJob2 first.
func (t *translation) address(out *http.Request, s *up.Server) {
	if t.ex.Pinned == nil {
		t.old = len(t.run.Lost) == 0 && t.known.Has(s, time.Now())
	}
	original := &t.original
	if original.body == nil {
		original.url, original.header, original.body, original.length = *out.URL, out.Header["Content-Type"], out.GetBody, out.ContentLength
	}
	if !t.old {
		original.url.Scheme, original.url.Host = out.URL.Scheme, out.URL.Host
		*out.URL = original.url
		out.Header["Content-Type"], out.GetBody, out.ContentLength = original.header, original.body, original.length
	} else {
		*out.URL = url.URL{Scheme: out.URL.Scheme, Host: out.URL.Host, Opaque: t.ex.Group.Settings.Prefix() + "/" + runJob}
		form := []byte(t.run.Form)
		out.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(form)), nil }
		out.ContentLength = int64(len(form))
		for _, name := range [...]string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
			delete(out.Header, name) // a digest of the original body
		}
	}
	out.Body, _ = out.GetBody() // it is in memory
}
