package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/metrics"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// assertedFor is how long an app id that the server told is not asked for
// again: how long a password that was changed there still logs in here.
const assertedFor = 10 * time.Minute

// bridge answers authApp for groups whose servers do not have it, so that
// clients of 5.1 and later can start. It checks the client's password itself,
// since it gets no more than the MD5 of it, and has the app's id told by
// assert, the login of 4.x clients, which wants the password itself.
func (p *Proxy) bridge(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		if ex.group.issuer == nil || ex.call == nil || ex.call.Name != "authApp" || r.Method != http.MethodPost {
			next(w, r, ex)
			return
		}
		data, err := p.bridgedLogin(r, ex)
		var refused *access.LoginError
		switch {
		case err == nil:
			p.metrics.Logins.WithLabelValues(metrics.LoginBridged, metrics.LoginOK).Inc()
			ex.answerLogin(w, authAnswer{Success: true, Data: data})
		case errors.As(err, &refused):
			p.metrics.Logins.WithLabelValues(metrics.LoginBridged, metrics.LoginRefused).Inc()
			ex.answerLogin(w, authAnswer{Message: &refused.Message, Code: &refused.Code})
		default:
			p.bridgeFailed(w, ex, err)
		}
	}
}

// authAnswer is how a real server answers authApp (PowerResultDTO).
type authAnswer struct {
	Success bool      `json:"success"`
	Data    *authData `json:"data"`
	Message *string   `json:"message"`
	Code    *string   `json:"code"`
}

// authData is tech.powerjob.client.module.AppAuthResult.
type authData struct {
	AppID int64   `json:"appId"`
	Token string  `json:"token"`
	Extra *string `json:"extra"`
}

// answerLogin writes a login's answer with the auth header, as 5.1.1 servers
// do: without it the client would log in once more.
func (ex *exchange) answerLogin(w http.ResponseWriter, a authAnswer) {
	body, _ := json.Marshal(a) // strings and numbers always marshal
	h := w.Header()
	h[openapi.AuthHeader] = []string{"true"}
	h["Content-Type"] = []string{serverContentType}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // into login's recorder
}

// bridgedLogin logs a client in. The error is an *access.LoginError for what a
// real server would refuse, else why the server could not be asked.
func (p *Proxy) bridgedLogin(r *http.Request, ex *exchange) (*authData, error) {
	in, err := openapi.LoginOf(r.Header["Content-Type"], ex.body)
	if ex.unheld != "" || err != nil {
		return nil, &access.LoginError{Code: "-300", Message: "INVALID_REQUEST:not_a_login"}
	}
	issuer := ex.group.issuer
	password, err := issuer.Check(in.AppName, in.EncryptedPassword, in.EncryptType)
	if err != nil {
		return nil, err
	}
	id, err := p.appID(r, ex, in.AppName, password)
	if err != nil {
		return nil, err
	}
	token, err := issuer.Issue(in.AppName, id, time.Now())
	if err != nil {
		return nil, err
	}
	return &authData{AppID: id, Token: token}, nil
}

// asserted remembers the ids of the apps that a server's assert accepted. The
// zero value is ready to use.
type asserted struct {
	mu  sync.Mutex
	ids map[string]assertedID // guarded by mu; by app name, those of the configuration only
}

type assertedID struct {
	id int64
	at time.Time
}

func (a *asserted) get(app string) assertedID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ids[app]
}

func (a *asserted) set(app string, id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ids == nil {
		a.ids = map[string]assertedID{}
	}
	a.ids[app] = assertedID{id, time.Now()}
}

// Why assert has no answer: it was not sent, or sent and not answered in full.
var (
	errNotAsked = errors.New("nothing was sent")
	errNotTold  = errors.New("no whole answer came")
)

// assertRefused says that the server does not take the configured password.
type assertRefused struct{ message string }

func (e *assertRefused) Error() string { return "the server's assert refuses: " + e.message }

// appID returns an app's id: a recent one from memory, else the server's, else,
// where the server cannot be asked, an old one.
func (p *Proxy) appID(r *http.Request, ex *exchange, app, password string) (int64, error) {
	known := ex.group.asserted.get(app)
	if known.id != 0 && time.Since(known.at) < assertedFor {
		return known.id, nil
	}
	id, err := p.assert(r, ex, app, password)
	var refused *assertRefused
	switch {
	case err == nil:
		ex.group.asserted.set(app, id)
		return id, nil
	case known.id != 0 && !errors.As(err, &refused):
		return known.id, nil
	}
	return 0, err
}

// assert asks a server of the group for an app's id. It goes on when the caller
// hangs up, so that its next try finds the answer.
func (p *Proxy) assert(r *http.Request, ex *exchange, app, password string) (int64, error) {
	form := url.Values{"appName": {app}, "password": {password}}.Encode()
	out, err := http.NewRequestWithContext(p.life, http.MethodPost,
		"http://server"+ex.group.settings.Prefix()+"/assert", strings.NewReader(form))
	if err != nil {
		return 0, fmt.Errorf("asking for an app id: %w", err)
	}
	out.Host = r.Host
	ex.setForwarded(out, r)
	h := out.Header
	h["Content-Type"] = []string{"application/x-www-form-urlencoded"}
	h["User-Agent"] = []string{"powerjob-shim"}
	h[requestIDHeader] = []string{ex.id}

	ask := up.Request{HTTP: out, Call: "assert", Harmless: true}
	if timeout := ex.group.settings.Timeout; timeout > 0 {
		ask.Until = time.Now().Add(timeout)
	}
	sent := ex.group.upstream.Send(ask)
	defer sent.Server.Leave()
	ex.server, ex.upstream, ex.failure = sent.Server, sent.Took, sent.Err
	if err := sent.Err; err != nil {
		if sent.Outcome == up.NotSent {
			return 0, fmt.Errorf("asking for an app id: %s: %w: %w", dialProblem(err), errNotAsked, err)
		}
		return 0, fmt.Errorf("asking for an app id: %w: %w", errNotTold, err)
	}
	res := sent.Response
	defer func() { _ = res.Body.Close() }() // it has been read
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxLoginAnswer))
	if err != nil {
		return 0, fmt.Errorf("reading the answer of assert: %w: %w", errNotTold, err)
	}
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("assert was answered with status %d", res.StatusCode)
	}
	digits, ok := openapi.AssertedApp(answer)
	if !ok {
		return 0, &assertRefused{openapi.Message(answer)}
	}
	return strconv.ParseInt(digits, 10, 64)
}

// bridgeFailed answers a login for which the server could not be asked.
func (p *Proxy) bridgeFailed(w http.ResponseWriter, ex *exchange, err error) {
	ex.failure = err
	p.log.Error("the login bridge cannot log a client in", zap.String(fieldRequestID, ex.id),
		zap.String(fieldUpstream, ex.group.name), zap.Error(err))
	var refused *assertRefused
	switch {
	case errors.As(err, &refused):
		ex.fail(w, http.StatusBadGateway, "the PowerJob server refuses the password that login_bridge has for this app; correct it in upstreams."+ex.group.name+".login_bridge")
	case p.life.Err() != nil:
		ex.unsent(w, http.StatusServiceUnavailable, unansweredStopping, "stopping; log in again")
	case errors.Is(err, up.ErrAllFull):
		ex.unsent(w, http.StatusServiceUnavailable, unansweredMaxConnections, "the PowerJob servers have max_connections in use; log in again later")
	case errors.Is(err, errNotAsked):
		ex.unsent(w, http.StatusBadGateway, unansweredConnect, "the PowerJob server could not be asked for this app's id; the shim's log has why, request id "+ex.id)
	case connect.IsTimeout(err):
		ex.noAnswer(w, http.StatusGatewayTimeout, unansweredNoAnswer, "the PowerJob server did not answer the login in time; log in again")
	case errors.Is(err, errNotTold):
		ex.noAnswer(w, http.StatusBadGateway, unansweredNoAnswer, "the PowerJob server broke its answer off; log in again")
	default:
		ex.fail(w, http.StatusBadGateway, "the PowerJob server could not be asked for this app's id; the shim's log has why, request id "+ex.id)
	}
}
