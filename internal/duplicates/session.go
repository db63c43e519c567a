package duplicates

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"powerjob-shim/internal/address"
	"powerjob-shim/internal/wireclient"
	"powerjob-shim/rules/openapi"
)

// maxAnswer bounds an answer, in bytes. 20,000 jobs take some 25 MiB.
const maxAnswer = 512 << 20

// Config says where to log in.
type Config struct {
	Server   address.Server
	App      string
	Password string        // in plain text
	Timeout  time.Duration // of each request; 0: none
	TLS      *tls.Config   // nil: certificates are checked against the system's roots
}

// Session is an app's login to a server. Unlike PowerJob's client it sends every call
// exactly once, whatever the answer. Safe for concurrent use.
type Session struct {
	config Config
	appID  int64
	token  string // "" on servers without authApp
}

// Login logs in as a 5.x client's constructor does, with two requests, or as a 4.x
// client does if the server has no authApp.
func Login(ctx context.Context, c Config) (*Session, error) {
	s := &Session{config: c}
	var granted struct {
		AppID int64  `json:"appId"`
		Token string `json:"token"`
	}
	data, err := s.post(ctx, wireclient.Login(c.App, c.Password))
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
	// The 5.x client's constructor logs in once more, with its token. From this a shim
	// learns that the first login was not made to repeat a call.
	if _, err := s.post(ctx, wireclient.Login(c.App, c.Password)); err != nil {
		return nil, fmt.Errorf("logging in with the token that was just given out: %w", err)
	}
	return s, nil
}

// assert is the login of servers without authApp. They take the password in plain
// text, so it is sent only to a server that refuses an empty one as PowerJob does.
func (s *Session) assert(ctx context.Context) (json.RawMessage, error) {
	data, err := s.post(ctx, wireclient.Form("assert", "appName", s.config.App, "password", ""))
	var refused *refusal
	if errors.As(err, &refused) {
		return s.post(ctx, wireclient.Form("assert", "appName", s.config.App, "password", s.config.Password))
	}
	return data, err
}

// AppID returns the id of the app that is logged in.
func (s *Session) AppID() int64 { return s.appID }

// Jobs returns all jobs of the app, deleted ones too.
func (s *Session) Jobs(ctx context.Context) ([]Job, error) {
	var jobs []Job
	if err := s.call(ctx, "fetchAllJob", &jobs); err != nil {
		return nil, fmt.Errorf("listing the jobs: %w", err)
	}
	return jobs, nil
}

// job returns one job of the app.
func (s *Session) job(ctx context.Context, id int64) (Job, error) {
	var j Job
	err := s.call(ctx, "fetchJob", &j, "jobId", strconv.FormatInt(id, 10))
	if err == nil && j.ID != id {
		err = fmt.Errorf("the answer is about job %d", j.ID)
	}
	if err != nil {
		return Job{}, fmt.Errorf("reading job %d: %w", id, err)
	}
	return j, nil
}

// call sends one call of the app, with the names and values of its parameters in
// turn, and decodes the answer's data into data; nil: the data is ignored.
func (s *Session) call(ctx context.Context, name string, data any, pairs ...string) error {
	raw, err := s.post(ctx, wireclient.Form(name, append(pairs, "appId", strconv.FormatInt(s.appID, 10))...))
	if err != nil || data == nil {
		return err
	}
	if err := json.Unmarshal(raw, data); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// post sends one request, and returns the data of an answer that says success.
// Otherwise the error is a *silence, a *refusal, errNotFound, or says what came.
func (s *Session) post(ctx context.Context, r wireclient.Request) (json.RawMessage, error) {
	r.Path = s.config.Server.Prefix + r.Path
	answer, err := s.ask(ctx, r)
	var large *wireclient.TooLargeError
	switch {
	case errors.As(err, &large):
		return nil, large
	case err != nil:
		return nil, &silence{err}
	}
	return readAnswer(answer)
}

// ask sends one request as the app that is logged in. Each request has a connection
// of its own: the server may close an idle connection just when a call is written to
// it, and then nobody knows whether the call was executed.
func (s *Session) ask(ctx context.Context, r wireclient.Request) (wireclient.Response, error) {
	if s.config.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.config.Timeout)
		defer cancel()
	}
	r.Header = []wireclient.Field{
		{Name: "User-Agent", Value: "powerjob-shim-duplicates"},
		{Name: "Accept-Encoding", Value: "gzip"},
	}
	if s.appID != 0 {
		r.Header = append(r.Header, wireclient.Field{Name: openapi.AppIDHeader, Value: strconv.FormatInt(s.appID, 10)})
	}
	if s.token != "" {
		r.Header = append(r.Header, wireclient.Field{Name: openapi.TokenHeader, Value: s.token})
	}
	return wireclient.Server{Host: s.config.Server.URL.Host, Limit: maxAnswer, Dial: s.dial}.Ask(ctx, r)
}

func (s *Session) dial(ctx context.Context) (net.Conn, error) {
	if s.config.Server.URL.Scheme == "https" {
		return (&tls.Dialer{Config: s.config.TLS}).DialContext(ctx, "tcp", s.config.Server.Address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", s.config.Server.Address)
}

// whoCloses says more about a connection that was closed without an answer. It asks
// for /: a shim closes connections on clients only, and tells others what is wrong.
func (s *Session) whoCloses(ctx context.Context, err error) error {
	if !errors.Is(err, wireclient.ErrClosed) {
		return err
	}
	return errors.New("closed without an answer: a shim whose server is down, or nothing; " + s.root(ctx))
}

// root says what the answer to GET / is.
func (s *Session) root(ctx context.Context) string {
	answer, err := s.ask(ctx, wireclient.Request{Method: http.MethodGet, Path: s.config.Server.Prefix + "/"})
	if err != nil {
		return "/ has no answer either"
	}
	var e struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(answer.Body, &e) == nil && strings.HasPrefix(e.Message, "powerjob-shim: ") {
		return fmt.Sprintf("it is a shim, and says %q", e.Message)
	}
	return "/ is answered with " + status(answer)
}

// status returns an answer's status in the server's words.
func status(answer wireclient.Response) string {
	return fmt.Sprintf("%d %s", answer.Status, answer.Reason)
}

func readAnswer(answer wireclient.Response) (json.RawMessage, error) {
	var e struct {
		Success *bool           `json:"success"`
		Data    json.RawMessage `json:"data"`
		Message string          `json:"message"`
	}
	isEnvelope := json.Unmarshal(answer.Body, &e) == nil && e.Success != nil
	switch {
	case isEnvelope && *e.Success && answer.Status == http.StatusOK:
		return e.Data, nil
	case isEnvelope && !*e.Success:
		return nil, &refusal{answer.Status, e.Message}
	case answer.Status == http.StatusNotFound:
		return nil, errNotFound
	case answer.Status >= 300 && answer.Status < 400:
		return nil, fmt.Errorf("the server redirects to %q; use that address", answer.Last("Location"))
	case answer.Status != http.StatusOK:
		return nil, fmt.Errorf("the server answers %s without PowerJob's envelope: %.80q", status(answer), answer.Body)
	default:
		return nil, fmt.Errorf("this is not PowerJob's answer: %.80q", answer.Body)
	}
}

var errNotFound = errors.New("the server has no such call (404)")

// silence is the error of a request that was not answered in full. It may have been
// executed.
type silence struct{ err error }

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
