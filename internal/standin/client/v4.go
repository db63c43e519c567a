package client

import (
	"errors"
	"fmt"
	"sync/atomic"

	"powerjob-shim/internal/wireclient"
)

// V4 is one PowerJobClient object of 4.x (tag v4.3.6): it checks the password
// once, sends neither token nor app id header, and never sends a call twice
// by itself.
type V4 struct {
	config  Config
	appID   int64
	current atomic.Pointer[string]
}

// NewV4 is the constructor: it asks one address after the other for /openApi/assert,
// with the password in plain text, until one answers. If the transport is nil, a call's
// limit is 4.x's 5 s.
func NewV4(config Config) (*V4, error) {
	if config.Transport == nil {
		config.Transport = &SocketTransport{Timeout: v4Timeout}
	}
	c := &V4{config: config}
	login := Request{Path: "/openApi/assert", ContentType: wireclient.FormValues, Body: []byte(
		"appName=" + formEscape(config.AppName) + "&password=" + formEscape(config.Password))}
	failures := []error{ErrNoServer}
	for i, address := range config.Addresses {
		answer, err := config.Transport.RoundTrip(address, login)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if answer.Status != 200 {
			return nil, &StatusError{Status: answer.Status, Body: string(answer.Body)}
		}
		if err := decode(answer, &c.appID); err != nil {
			return nil, err
		}
		c.current.Store(&config.Addresses[i])
		return c, nil
	}
	return nil, errors.Join(failures...)
}

// AppID is the id of the app that the client logged in to.
func (c *V4) AppID() int64 { return c.appID }

// Call sends one logical call, see Client.Call.
func (c *V4) Call(name string, p Params) (Result, error) {
	r, err := encode4(name, p, c.appID)
	if err != nil {
		return Result{}, err
	}
	return c.Do(r)
}

// Do sends an encoded call: PowerJobClient.postHA. Like the original, it takes an
// empty answer for none and asks the next address.
func (c *V4) Do(r Request) (Result, error) {
	failures := []error{ErrNoServer}
	try := func(address string) (Result, bool, error) {
		answer, err := c.config.Transport.RoundTrip(address, r)
		switch {
		case err != nil:
			failures = append(failures, err)
			return Result{}, false, nil
		case answer.Status != 200:
			return Result{}, true, fmt.Errorf("http request failed: %w", &StatusError{Status: answer.Status, Body: string(answer.Body)})
		case len(answer.Body) == 0:
			return Result{}, false, nil
		}
		result, err := readResult(answer)
		return result, true, err
	}
	if result, done, err := try(*c.current.Load()); done {
		return result, err
	}
	for i, address := range c.config.Addresses {
		if address == *c.current.Load() {
			continue
		}
		if result, done, err := try(address); done {
			if err == nil {
				c.current.Store(&c.config.Addresses[i])
			}
			return result, err
		}
	}
	return Result{}, errors.Join(failures...)
}
