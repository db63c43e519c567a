// Package client repeats, in Go, what PowerJob's Java client does on the wire:
// which requests it sends, in which order, with which token, and when it sends
// one again. It is a port of the call sequence of 5.1.0, and of 4.x in V4, for
// tests, the simulation and the demo. It is not a client to build upon.
//
// The simple use is over real sockets:
//
//	c, err := client.New(client.Config{Addresses: []string{"127.0.0.1:7700"}, AppName: "app1", Password: "pw"})
//	r, err := c.Call("saveJob", client.Params{"jobName": "nightly"})
//
// The algorithm is written in blocking style over Transport, so that a
// simulation with virtual time can drive it as well.
//
// Facts are from tag v5.1.0: PowerJobClient, AppAuthClusterRequestService,
// ClusterRequestService, ClusterRequestServiceOkHttp3Impl; and from OkHttp
// 3.14.9: RetryAndFollowUpInterceptor, Http1ExchangeCodec, Headers.
package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"powerjob-shim/internal/wireclient"
)

const (
	authHeader  = "X-POWERJOB-AUTH-PASSED"
	tokenHeader = "X-POWERJOB-ACCESS-TOKEN"
	appIDHeader = "X-POWERJOB-APP-ID"
)

// ErrNoServer is a call's error when no address of the list answered.
var ErrNoServer = errors.New("no server available when send post request")

// Transport carries one HTTP call to one address, as OkHttp's execute does: it also
// applies the time limit of the whole call and makes OkHttp's own repetitions (see
// Silently).
type Transport interface {
	// RoundTrip returns an error where OkHttp throws an IOException. It is called
	// from many goroutines at once.
	RoundTrip(address string, r Request) (Response, error)
}

// Config sets up a Client.
type Config struct {
	Addresses []string // "host:port", at least one
	AppName   string
	Password  string    // in plain text; 5.x sends its MD5, 4.x the text
	Transport Transport // nil: a SocketTransport of its own

	// Pause is called where a thread of the original may be preempted although it
	// does not block: between a login's answer and the write of the shared token
	// field, and between that write and the request that reads the field. Nil: no
	// call.
	Pause func()
}

// Client is one PowerJobClient object of 5.1.0. Its methods may be called from many
// goroutines; these share the token and the current address as the original's threads
// do, without any lock around read, call and refresh. The fields are atomic only so
// that Go's race detector accepts it: every interleaving of the original is possible
// here.
type Client struct {
	config  Config
	appID   int64
	auth    atomic.Pointer[grant]
	current atomic.Pointer[string]
}

// grant is AppAuthResult.
type grant struct {
	AppID int64  `json:"appId"`
	Token string `json:"token"`
}

// New is the constructor of PowerJobClient: it logs in for a token, and then
// asks authApp again as an ordinary request, for the app id.
func New(config Config) (*Client, error) {
	if len(config.Addresses) == 0 {
		return nil, errors.New("no address given")
	}
	if config.Transport == nil {
		config.Transport = &SocketTransport{}
	}
	if config.Pause == nil {
		config.Pause = func() {}
	}
	c := &Client{config: config}
	c.current.Store(&config.Addresses[0])
	answer, err := c.request(wireclient.Login(config.AppName, config.Password))
	if err != nil {
		return nil, err
	}
	var got grant
	if err := decode(answer, &got); err != nil {
		return nil, err
	}
	c.appID = got.AppID
	return c, nil
}

// AppID returns the id of the app that the client has logged in to.
func (c *Client) AppID() int64 { return c.appID }

// Call sends one logical call ("saveJob") and returns the server's envelope. It adds
// the app id, as each method of the original does. The error stands for the exception
// that the original throws; a business error is not an error here.
func (c *Client) Call(name string, p Params) (Result, error) {
	r, err := Encode(name, p, c.appID)
	if err != nil {
		return Result{}, err
	}
	return c.Do(r)
}

// Do sends an encoded call as Call would.
func (c *Client) Do(r Request) (Result, error) {
	answer, err := c.request(r)
	if err != nil {
		return Result{}, err
	}
	return readResult(answer)
}

// request is AppAuthClusterRequestService.request.
func (c *Client) request(r Request) (Response, error) {
	if c.auth.Load() == nil {
		if err := c.refresh(); err != nil {
			return Response{}, err
		}
	}
	answer, err := c.doRequest(r)
	if err != nil {
		return Response{}, err
	}
	if strings.EqualFold(answer.Get(authHeader), "true") {
		return answer, nil
	}
	if err := c.refresh(); err != nil {
		return Response{}, err
	}
	return c.doRequest(r) // with whichever token the shared field holds by now
}

func (c *Client) doRequest(r Request) (Response, error) {
	auth := c.auth.Load()
	r.Header = []Field{
		{Name: appIDHeader, Value: strconv.FormatInt(auth.AppID, 10)},
		{Name: tokenHeader, Value: auth.Token},
	}
	answer, err := c.clusterRequest(r)
	if err == nil && answer.Status != 200 {
		err = &StatusError{Status: answer.Status, Body: string(answer.Body)}
	}
	return answer, err
}

// refresh logs in without a token and without an app id.
func (c *Client) refresh() error {
	answer, err := c.clusterRequest(wireclient.Login(c.config.AppName, c.config.Password))
	if err != nil {
		return err
	}
	if answer.Status != 200 {
		return fmt.Errorf("logging in: %w", &StatusError{Status: answer.Status, Body: string(answer.Body)})
	}
	var got grant
	if err := decode(answer, &got); err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	c.config.Pause()
	c.auth.Store(&got)
	c.config.Pause()
	return nil
}

// clusterRequest is ClusterRequestService.clusterHaRequest: it tries the address that
// worked last, then all others in order. As in the original, each step reads the
// shared field again.
func (c *Client) clusterRequest(r Request) (Response, error) {
	answer, err := c.config.Transport.RoundTrip(*c.current.Load(), r)
	if err == nil {
		return answer, nil
	}
	failures := []error{ErrNoServer, err}
	for i, address := range c.config.Addresses {
		if address == *c.current.Load() {
			continue
		}
		answer, err := c.config.Transport.RoundTrip(address, r)
		if err == nil {
			c.current.Store(&c.config.Addresses[i])
			return answer, nil
		}
		failures = append(failures, err)
	}
	return Response{}, errors.Join(failures...)
}

// StatusError is an answer with a status other than 200: the client throws
// (REMOTE_SERVER_INNER_EXCEPTION) and does not repeat.
type StatusError struct {
	Status int
	Body   string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("REMOTE_SERVER_INNER_EXCEPTION: status %d", e.Status)
}
