package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"powerjob-shim/internal/redact"
	"powerjob-shim/rules/openapi"
)

// server is one that a command is told to speak to.
type server struct {
	url     *url.URL
	address string // "host:port"
	prefix  string // the context path, "/x"; "" for none
}

// base is the server's address with its context path, as one would write it again.
func (s server) base() string { return s.url.Scheme + "://" + s.url.Host + s.prefix }

// parseServer reads a server's address as a user writes it: with or without
// http:// in front, and with its context path or even /openApi behind it.
func parseServer(target string) (server, error) {
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	u, err := url.Parse(target)
	if err != nil {
		return server{}, fmt.Errorf("reading the URL: %s", redact.Sentence(err.Error()))
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" || u.User != nil {
		return server{}, fmt.Errorf("the URL is %q; write the server's address such as http://10.0.0.1:7700", redact.Address(target))
	}
	u.Fragment = ""
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return server{
		url:     u,
		address: net.JoinHostPort(u.Hostname(), port),
		prefix:  strings.TrimSuffix(strings.TrimRight(u.EscapedPath(), "/"), strings.TrimSuffix(openapi.Prefix, "/")),
	}, nil
}
