package duplicates

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/rules/openapi"
)

// maxAnswer is far above what 20,000 jobs take (some 25 MiB).
const maxAnswer = 512 << 20

// Config says where to log in.
type Config struct {
	Server   string // its URL with its context path, without a slash at the end
	App      string
	Password string        // in plain text
	Timeout  time.Duration // of each request; 0: none
	TLS      *tls.Config   // nil: certificates are checked against the system's roots
}

// Session is an app logged in to a server. Unlike PowerJob's client it sends
// every call exactly once, whatever the answer. Safe for concurrent use.
type Session struct {
	config    Config
	transport *http.Transport
	appID     int64
	token     string // "" on servers without authApp
}

// Login logs in as a 5.x client's constructor does, with two requests, and as a 4.x client does where the server
// has no authApp.
func Login(ctx context.Context, c Config) (*Session, error) {
	s := &Session{config: c, transport: &http.Transport{
		TLSClientConfig: c.TLS,
		// A connection that has idled may just be closing when a call is written
		// to it, and then nobody knows whether it was executed.
		DisableKeepAlives: true,
	}}
	var granted struct {
		AppID int64  `json:"appId"`
		Token string `json:"token"`
	}
	data, err := s.post(ctx, client.LoginRequest(c.App, c.Password))
	if errors.Is(err, errNotFound) {
		data, err = s.assert(ctx)
		if err == nil {
			err = json.Unmarshal(data, &granted.AppID)
		}
	} else if err == nil {
		err = json.Unmarshal(data, &granted)
	}
	var refused *refusal
	switch {
	case errors.As(err, &refused) && refused.status == http.StatusOK:
		return nil, fmt.Errorf("logging in to app %q: %w; check the name and the password", c.App, err)
	case errors.Is(err, errNotFound):
		return nil, fmt.Errorf("logging in: %w; is it a PowerJob server, and is its context path in the URL (http://host:7700/path)?", err)
	case err != nil:
		return nil, fmt.Errorf("logging in: %w", s.whoCloses(ctx, err))
	case granted.AppID == 0:
		return nil, errors.New("logging in: the answer names no app id; is it a PowerJob server?")
	}
	s.appID, s.token = granted.AppID, granted.Token
	if s.token == "" {
		return s, nil
	}
	// The 5.x client's constructor asks once more, carrying its token. A shim tells
	// by this that the login was not made for a call that is about to be repeated.
	if _, err := s.post(ctx, client.LoginRequest(c.App, c.Password)); err != nil {
		return nil, fmt.Errorf("logging in with the token that was just given out: %w", err)
	}
	return s, nil
}

// assert is the login of servers without authApp. It takes the password in
// plain text, so that it goes only to what refuses an empty one as PowerJob
// does.
func (s *Session) assert(ctx context.Context) (json.RawMessage, error) {
	data, err := s.post(ctx, client.AssertRequest(s.config.App, ""))
	var refused *refusal
	if errors.As(err, &refused) {
		return s.post(ctx, client.AssertRequest(s.config.App, s.config.Password))
	}
	return data, err
}

// AppID is the id of the app that is logged in.
func (s *Session) AppID() int64 { return s.appID }

// Jobs returns all jobs of the app, deleted ones too.
func (s *Session) Jobs(ctx context.Context) ([]Job, error) {
	var jobs []Job
	if err := s.call(ctx, "fetchAllJob", nil, &jobs); err != nil {
		return nil, fmt.Errorf("listing the jobs: %w", err)
	}
	return jobs, nil
}

// job returns one job of the app.
func (s *Session) job(ctx context.Context, id int64) (Job, error) {
	var j Job
	err := s.call(ctx, "fetchJob", client.Params{"jobId": id}, &j)
	if err == nil && j.ID != id {
		err = fmt.Errorf("the answer is about job %d", j.ID)
	}
	if err != nil {
		return Job{}, fmt.Errorf("reading job %d: %w", id, err)
	}
	return j, nil
}

// call sends one call of the app and reads the data of its answer; data may be
// nil.
func (s *Session) call(ctx context.Context, name string, p client.Params, data any) error {
	r, err := client.Encode(name, p, s.appID)
	if err != nil {
		return err
	}
	raw, err := s.post(ctx, r)
	if err != nil || data == nil {
		return err
	}
	if err := json.Unmarshal(raw, data); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// post sends one request, and returns the data of an answer that says success.
// Else the error is a *silence, a *refusal, errNotFound, or tells what came.
func (s *Session) post(ctx context.Context, r client.Request) (json.RawMessage, error) {
	if s.config.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.config.Timeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.Server+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", r.ContentType)
	req.Header.Set("User-Agent", "powerjob-shim-duplicates")
	if s.appID != 0 {
		req.Header.Set(openapi.AppIDHeader, strconv.FormatInt(s.appID, 10))
	}
	if s.token != "" {
		req.Header.Set(openapi.TokenHeader, s.token)
	}
	res, err := s.transport.RoundTrip(req) // follows no redirect: the password is for this server
	if err != nil {
		return nil, &silence{err: err, closed: errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)}
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or broken
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &silence{err: err}
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	return readAnswer(res, body)
}

// whoCloses says more of an error where a connection was closed without an answer.
// It asks for /: a shim closes to clients only, and tells others what is wrong.
func (s *Session) whoCloses(ctx context.Context, err error) error {
	var silent *silence
	if !errors.As(err, &silent) || !silent.closed {
		return err
	}
	return errors.New("closed without an answer: a shim whose server is down, or nothing; " + s.root(ctx))
}

// root tells what is answered to GET /.
func (s *Session) root(ctx context.Context) string {
	if s.config.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.config.Timeout)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.Server+"/", nil)
	if err != nil {
		return err.Error()
	}
	res, err := s.transport.RoundTrip(req)
	if err != nil {
		return "/ has no answer either"
	}
	defer func() { _ = res.Body.Close() }() // what it says has been read
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	var e struct {
		Message string `json:"message"`
	}
	if err == nil && json.Unmarshal(body, &e) == nil && strings.HasPrefix(e.Message, "powerjob-shim: ") {
		return fmt.Sprintf("it is a shim, and says %q", e.Message)
	}
	return fmt.Sprintf("/ is answered with %s", res.Status)
}

func readAnswer(res *http.Response, body []byte) (json.RawMessage, error) {
	var e struct {
		Success *bool           `json:"success"`
		Data    json.RawMessage `json:"data"`
		Message string          `json:"message"`
	}
	isEnvelope := json.Unmarshal(body, &e) == nil && e.Success != nil
	switch {
	case isEnvelope && *e.Success && res.StatusCode == http.StatusOK:
		return e.Data, nil
	case isEnvelope && !*e.Success:
		return nil, &refusal{res.StatusCode, e.Message}
	case res.StatusCode == http.StatusNotFound:
		return nil, errNotFound
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return nil, fmt.Errorf("the server redirects to %q; use that address", res.Header.Get("Location"))
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answers %s without PowerJob's envelope: %.80q", res.Status, body)
	default:
		return nil, fmt.Errorf("this is not PowerJob's answer: %.80q", body)
	}
}

var errNotFound = errors.New("the server has no such call (404)")

// silence is an error of a request that was not answered in full; it may have
// been executed.
type silence struct {
	err    error
	closed bool // not one byte came
}

func (e *silence) Error() string {
	if errors.Is(e.err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return "no answer: " + e.err.Error()
}

func (e *silence) Unwrap() error { return e.err }

// refusal is an envelope that says success:false, the server's or a shim's.
type refusal struct {
	status  int
	message string
}

func (e *refusal) Error() string { return fmt.Sprintf("the server says %q", e.message) }
