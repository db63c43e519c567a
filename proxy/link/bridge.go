package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/exchange"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// assertedFor is how long an app id from the server is used before the server is asked
// again. For as long, an old password still logs in after a change on the server.
const assertedFor = 10 * time.Minute

// Bridge is the link that logs clients in on behalf of servers that cannot. All its
// fields are needed.
type Bridge struct {
	Log     *zap.Logger
	Metrics *metrics.Metrics
	Life    context.Context // parent context of the requests to servers
}

// Link answers authApp for groups whose servers do not have it, so that clients of
// 5.1 and later can start. It gets the app's id from assert, the login of 4.x clients.
// assert needs the password itself, but a client sends only its MD5: Link compares
// that with the configured password, and sends the configured one to assert.
func (b Bridge) Link(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		if ex.Group.Issuer == nil || ex.Call == nil || ex.Call.Name != "authApp" || r.Method != http.MethodPost {
			next(w, r, ex)
			return
		}
		data, err := b.logIn(r, ex)
		var refused *access.LoginError
		switch {
		case err == nil:
			b.Metrics.Logins.WithLabelValues(metrics.LoginBridged, metrics.LoginOK).Inc()
			answerLogin(w, authAnswer{Success: true, Data: data})
		case errors.As(err, &refused):
			b.Metrics.Logins.WithLabelValues(metrics.LoginBridged, metrics.LoginRefused).Inc()
			answerLogin(w, authAnswer{Message: &refused.Message, Code: &refused.Code})
		default:
			b.failed(w, ex, err)
		}
	}
}

// authAnswer is the body of a real server's answer to authApp (PowerResultDTO).
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

// answerLogin writes the answer to a login. It sets the auth header, as 5.1.1 servers
// do: without that the client would log in once more.
func answerLogin(w http.ResponseWriter, a authAnswer) {
	body, _ := json.Marshal(a) // strings and numbers always marshal
	h := w.Header()
	h[openapi.AuthHeader] = []string{"true"}
	h["Content-Type"] = []string{exchange.ServerContentType}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // into login's recorder
}

// logIn logs a client in. The error is an *access.LoginError if a real server would
// refuse the login; any other error says why the server could not be asked.
func (b Bridge) logIn(r *http.Request, ex *exchange.Exchange) (*authData, error) {
	in, err := openapi.LoginOf(r.Header["Content-Type"], ex.Body)
	if ex.Unheld != "" || err != nil {
		return nil, &access.LoginError{Code: "-300", Message: "INVALID_REQUEST:not_a_login"}
	}
	issuer := ex.Group.Issuer
	password, err := issuer.Check(in.AppName, in.EncryptedPassword, in.EncryptType)
	if err != nil {
		return nil, err
	}
	id, err := b.appID(r, ex, in.AppName, password)
	if err != nil {
		return nil, err
	}
	token, err := issuer.Issue(in.AppName, id, time.Now())
	if err != nil {
		return nil, err
	}
	return &authData{AppID: id, Token: token}, nil
}

// Why there is no answer of assert: errNotAsked: it was not sent; errNotTold: it was
// sent, but not answered in full.
var (
	errNotAsked = errors.New("nothing was sent")
	errNotTold  = errors.New("no whole answer came")
)

// assertRefused is the error of assert when the server rejects the configured password.
type assertRefused struct{ message string }

func (e *assertRefused) Error() string { return "the server's assert refuses: " + e.message }

// appID returns an app's id: from memory if it is younger than assertedFor, else from
// the server, else, if that cannot be asked, from memory whatever its age.
func (b Bridge) appID(r *http.Request, ex *exchange.Exchange, app, password string) (int64, error) {
	known, at := ex.Group.Asserted.Get(app)
	if known != 0 && time.Since(at) < assertedFor {
		return known, nil
	}
	id, err := b.assert(r, ex, app, password)
	var refused *assertRefused
	switch {
	case err == nil:
		ex.Group.Asserted.Set(app, id, time.Now())
		return id, nil
	case known != 0 && !errors.As(err, &refused):
		return known, nil
	}
	return 0, err
}

// assert asks a server of the group for an app's id. It continues when the caller
// hangs up, so that the caller's next login finds the id in memory.
func (b Bridge) assert(r *http.Request, ex *exchange.Exchange, app, password string) (int64, error) {
	form := url.Values{"appName": {app}, "password": {password}}.Encode()
	out, err := http.NewRequestWithContext(b.Life, http.MethodPost,
		"http://server"+ex.Group.Settings.Prefix()+"/assert", strings.NewReader(form))
	if err != nil {
		return 0, fmt.Errorf("asking for an app id: %w", err)
	}
	out.Host = r.Host
	ex.SetForwarded(out, r)
	h := out.Header
	h["Content-Type"] = []string{"application/x-www-form-urlencoded"}
	h["User-Agent"] = []string{"powerjob-shim"}

	ask := up.Request{HTTP: out, Call: "assert", Harmless: true}
	if timeout := ex.Group.Settings.Timeout; timeout > 0 {
		ask.Until = time.Now().Add(timeout)
	}
	sent := ex.Group.Upstream.Send(ask)
	defer sent.Server.Leave()
	ex.Server, ex.Took, ex.Failure = sent.Server, sent.Took, sent.Err
	if err := sent.Err; err != nil {
		if sent.Outcome == up.NotSent {
			return 0, fmt.Errorf("asking for an app id: %s: %w: %w", connect.Problem(err), errNotAsked, err)
		}
		return 0, fmt.Errorf("asking for an app id: %w: %w", errNotTold, err)
	}
	res := sent.Response
	defer func() { _ = res.Body.Close() }() // the answer has been read
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

// failed answers a login for which the server could not be asked.
func (b Bridge) failed(w http.ResponseWriter, ex *exchange.Exchange, err error) {
	ex.Failure = err
	b.Log.Error("the login bridge cannot log a client in", zap.String(exchange.FieldRequestID, ex.ID),
		zap.String(exchange.FieldUpstream, ex.Group.Name), zap.Error(err))
	var refused *assertRefused
	switch {
	case errors.As(err, &refused):
		ex.Fail(w, http.StatusBadGateway, "the PowerJob server refuses the password that login_bridge has for this app; correct it in upstreams."+ex.Group.Name+".login_bridge")
	case b.Life.Err() != nil:
		ex.Unsent(w, http.StatusServiceUnavailable, exchange.UnansweredStopping, "stopping; log in again")
	case errors.Is(err, up.ErrAllFull):
		ex.Unsent(w, http.StatusServiceUnavailable, exchange.UnansweredMaxConnections, "the PowerJob servers have max_connections in use; log in again later")
	case errors.Is(err, errNotAsked):
		ex.Unsent(w, http.StatusBadGateway, exchange.UnansweredConnect, "the PowerJob server could not be asked for this app's id; the shim's log has why, request id "+ex.ID)
	case connect.IsTimeout(err):
		ex.NoAnswer(w, http.StatusGatewayTimeout, exchange.UnansweredNoAnswer, "the PowerJob server did not answer the login in time; log in again")
	case errors.Is(err, errNotTold):
		ex.NoAnswer(w, http.StatusBadGateway, exchange.UnansweredNoAnswer, "the PowerJob server broke its answer off; log in again")
	default:
		ex.Fail(w, http.StatusBadGateway, "the PowerJob server could not be asked for this app's id; the shim's log has why, request id "+ex.ID)
	}
}
