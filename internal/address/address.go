// Package address reads the addresses of PowerJob servers as people write them,
// in the same way for every command, flag, variable and file:
//
//	10.0.0.1:7700                    http
//	https://powerjob.example.com/pj  with a context path
//	http://10.0.0.1:7700/pj/openApi  pasted from a client's log
//	10.0.0.1:7700,10.0.0.2:7700      a list, as a client has it
package address

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"powerjob-shim/internal/redact"
	"powerjob-shim/rules/openapi"
)

// Server is where a PowerJob server is reached.
type Server struct {
	URL     *url.URL // scheme "http" or "https", and a host; never nil
	Address string   // "host:port", to connect to
	Prefix  string   // the context path, "/x"; "" for none
}

// Base returns the address with its context path, as people would write it.
func (s Server) Base() string { return s.URL.Scheme + "://" + s.URL.Host + s.Prefix }

// Parse reads one address. An error names the address without its secrets, and says what
// to write.
func Parse(text string) (Server, error) {
	u, err := url.Parse(WithScheme(text))
	if err != nil {
		return Server{}, fmt.Errorf("reading the URL: %s", redact.Sentence(err.Error()))
	}
	if u.Scheme == "" && u.Host == "" && u.Path != "" && !strings.ContainsAny(u.Path, "/ ") {
		return Server{}, fmt.Errorf("%q has neither a port nor http://; write %[1]s:7700, or http://%[1]s for port 80", text)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" || u.User != nil {
		return Server{}, fmt.Errorf("the URL is %q; write the server's address such as http://10.0.0.1:7700", redact.Address(text))
	}
	u.Fragment = ""
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return Server{
		URL:     u,
		Address: net.JoinHostPort(u.Hostname(), port),
		Prefix:  ContextPath(u),
	}, nil
}

// ParseList reads addresses, each of which may itself be a list.
func ParseList(texts []string) ([]Server, error) {
	var servers []Server
	for _, text := range List(texts) {
		s, err := Parse(text)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// List splits addresses at their commas, and adds http to those without a scheme.
// Other text stays as it is, so that errors about it show it as it was
// written.
func List(texts []string) []string {
	var all []string
	for _, text := range texts {
		for one := range strings.SplitSeq(text, ",") {
			all = append(all, WithScheme(strings.TrimSpace(one)))
		}
	}
	return all
}

// hostPort matches the beginning of an address without a scheme. Text that has no port
// either may be anything, a misspelt word or a file's name: it needs a scheme.
var hostPort = regexp.MustCompile(`^([\w.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]+(/|$)`)

// WithScheme returns text with http:// in front, if it is "host:port", with or
// without a path; else text as it is.
func WithScheme(text string) string {
	if hostPort.MatchString(text) {
		return "http://" + text
	}
	return text
}

// ContextPath returns the path in front of the OpenAPI in a server's URL: "/pj" for
// "http://h:7701/pj/" and "http://h:7701/pj/openApi"; "" if there is none.
func ContextPath(u *url.URL) string {
	return strings.TrimSuffix(strings.TrimRight(u.EscapedPath(), "/"), strings.TrimSuffix(openapi.Prefix, "/"))
}

// Local returns the address at which a listener of this host can be reached. It ignores
// http:// in front.
func Local(address string) string {
	address = strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
