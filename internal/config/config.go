// Package config loads powerjob-shim's configuration.
//
// The simple way:
//
//	cfg, err := config.Load(config.Source{File: "config.yaml", Environ: os.Environ(), Flags: flags})
//
// Four layers are merged, the later one winning: the embedded default.yaml, the
// file, the environment (POWERJOB_SHIM_…), the flags that were set. Mappings are
// merged key by key, lists are replaced as a whole. An error from Load is every
// problem at once ([Problem], joined), each with its place.
//
// For a running process there are [Watch], which tells that the file's content
// changed, and [RestartNeeded], which names the changed keys that a reload
// cannot apply. The types here are those of the file; what the proxy runs on is
// built from them by its callers.
package config

import (
	"net/netip"
	"time"
)

// Config is a complete configuration: decoded, defaulted and validated. It is
// not changed after Load and may be read by any number of goroutines.
type Config struct {
	// Listen has the addresses that clients connect to; at least one.
	Listen []Listener `yaml:"listen"`
	// Admin is the listener for metrics, health and status.
	Admin Admin `yaml:"admin"`
	// Mode is enforce (default) or observe: nothing on the wire is changed, and
	// all is counted.
	Mode string `yaml:"mode" choice:"enforce,observe"`
	// Upstreams are the groups of servers by name; at least one.
	Upstreams map[string]Upstream `yaml:"upstreams"`
	// Routes choose a group by host and path. Empty: all goes to the only group.
	Routes []Route `yaml:"routes"`
	// Rules say what happens to which calls; at least one. Given in a file,
	// they replace the default rules.
	Rules []Rule `yaml:"rules"`
	// Dedup bounds the record of calls.
	Dedup Dedup `yaml:"dedup"`
	// Auth is the gate in front of /openApi/.
	Auth Auth `yaml:"auth"`
	// TrustedProxies are the peers whose X-Forwarded-For is believed. Empty: none.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`
	// MaxBody bounds the body of every request; 413 beyond. 0: no bound.
	MaxBody  Size     `yaml:"max_body"`
	Log      Log      `yaml:"log"`
	Shutdown Shutdown `yaml:"shutdown"`

	digest  [32]byte     // see Digest
	secrets []secretFile // by path, see SecretFiles
}

// Listener is one address that clients connect to.
type Listener struct {
	// Address is "host:port"; an empty host means all addresses, port 0 any free port.
	Address string `yaml:"address"`
	// ProxyProtocol is off, accept or require: whether connections begin with a
	// PROXY header (version 1 or 2). Only one from TrustedProxies is believed;
	// from others the connection is closed. Default: off.
	ProxyProtocol string `yaml:"proxy_protocol" choice:"off,accept,require"`
	// TLS makes it an https listener. Nil: plain HTTP.
	TLS *TLS `yaml:"tls"`
	// Redirect answers plain HTTP with a redirect to https. Nil: no redirect.
	Redirect *Redirect `yaml:"redirect"`
	// MaxConnections bounds the open connections; 503 on those beyond, and from
	// twice as many on they are closed unread. 0: no bound.
	MaxConnections int `yaml:"max_connections"`
	// HeaderTimeout ends connections that take longer for the TLS handshake or
	// for a request's header; without an answer. Default: 10s.
	HeaderTimeout time.Duration `yaml:"header_timeout"`
	// BodyTimeout is how long a request's body may stand still; 400 then. There
	// is no limit for all of it. Default: 30s.
	BodyTimeout time.Duration `yaml:"body_timeout"`
	// MinBodyRate is how fast a request's body must come, on average, once 30 s
	// were spent waiting for the caller; 400 then. Default: 100B/s. 0: any rate.
	MinBodyRate Rate `yaml:"min_body_rate"`
	// StallTimeout lets a caller go that takes nothing of what is written to it
	// for so long. Default: 30s.
	StallTimeout time.Duration `yaml:"stall_timeout"`
	// IdleTimeout closes unused connections. PowerJob's client closes its own
	// after 5 minutes, and should be the one who does. Default: 6m.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
}

// Values of Listener.ProxyProtocol.
const (
	ProxyOff     = "off"
	ProxyAccept  = "accept"
	ProxyRequire = "require"
)

// Values of TLS.Mode.
const (
	TLSACME       = "acme"
	TLSFiles      = "files"
	TLSSelfSigned = "self-signed"
)

// TLS says where a listener's certificates come from.
type TLS struct {
	// Mode is acme, files or self-signed.
	Mode string `yaml:"mode" choice:"acme,files,self-signed"`

	// Domains are the names to obtain certificates for (acme).
	Domains []string `yaml:"domains"`
	// Email is the ACME account's contact; may be empty (acme).
	Email string `yaml:"email"`
	// CA is the ACME directory's URL. Empty: Let's Encrypt (acme).
	CA string `yaml:"ca"`
	// CARoot is a PEM file with the root that the ACME server's own certificate
	// is checked against. Empty: the system's roots (acme).
	CARoot string `yaml:"ca_root"`
	// Profile is one of the certificate profiles that the ACME server offers,
	// such as Let's Encrypt's shortlived. Empty: its default (acme).
	Profile string `yaml:"profile"`
	// Challenges are http-01, tls-alpn-01 or both. Default: both (acme).
	Challenges []string `yaml:"challenges" choice:"http-01,tls-alpn-01"`

	// Files are certificate and key pairs, chosen by SNI (files).
	Files []KeyPair `yaml:"files"`

	// Names are those in the made certificate. Empty: localhost and the host's name (self-signed).
	Names []string `yaml:"names"`

	// Storage is the directory that certificates are kept in (acme,
	// self-signed), or "redis" (acme): the one of dedup.redis, encrypted with its
	// key_secret if there is one. Default: /var/lib/powerjob-shim.
	Storage string `yaml:"storage"`
	// ClientCA is a PEM file; clients must then show a certificate signed by it. Empty: they need none.
	ClientCA string `yaml:"client_ca"`
	// MinVersion is "1.2" (default) or "1.3".
	MinVersion string `yaml:"min_version" choice:"1.2,1.3"`
}

// KeyPair names a PEM certificate chain and its key.
type KeyPair struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Redirect sends plain HTTP requests to https. ACME challenges are answered in place.
type Redirect struct {
	// Port is that of the https URL. Default: 443.
	Port int `yaml:"port"`
	// OpenAPI redirects calls under /openApi/ as well. By default they are
	// served: the client's OkHttp 3.14 makes a GET of a POST redirected by 301 or
	// 302, and does not follow 307 and 308 (RetryAndFollowUpInterceptor).
	OpenAPI bool `yaml:"openapi"`
}

// Admin is the listener for the status page, /metrics, /healthz, /readyz and /status.
type Admin struct {
	// Address is "host:port". Default: 127.0.0.1:9700.
	Address string `yaml:"address"`
	// TokenFile holds a token that everything but /healthz and /readyz asks for, as
	// a bearer token or as a password. It is read at each request. Empty: none is
	// asked for, and off loopback the status page is not served.
	TokenFile string `yaml:"token_file"`
	// PProf serves /debug/pprof/ there too.
	PProf bool `yaml:"pprof"`
	// Ready is any (default): /readyz answers 200 while the servers of one routed
	// upstream group are ready; or all: only while those of each are.
	Ready string `yaml:"ready" choice:"any,all"`
}

// Values of Admin.Ready.
const (
	ReadyAny = "any"
	ReadyAll = "all"
)

// Route sends what matches to an upstream group. The most specific route wins,
// whatever the order.
type Route struct {
	// Name stands in logs and metrics; unique.
	Name string `yaml:"name"`
	// Hosts are exact names or "*.example.com". Empty: every host.
	Hosts []string `yaml:"hosts"`
	// Paths are exact, or prefixes when they end in *; as they come, before
	// StripPrefix. Default: /*.
	Paths []string `yaml:"paths"`
	// Upstream is a group's name. Default: the only group.
	Upstream string `yaml:"upstream"`
	// StripPrefix is cut off the path of each request, as the Ingress that the
	// shim replaces did; whole segments: "/x". Then AddPrefix is put in front of
	// it, then the servers' context path. Location and cookies in answers stay as
	// they are. Empty: the path stays as it came.
	StripPrefix string `yaml:"strip_prefix"`
	AddPrefix   string `yaml:"add_prefix"`
}

// Log says what is logged to standard error.
type Log struct {
	// Level is debug, info, warn or error. Default: info.
	Level string `yaml:"level" choice:"debug,info,warn,error"`
	// Format is json, console or auto: console on a terminal, else json. Default: auto.
	Format string `yaml:"format" choice:"auto,json,console"`
	// Access writes one line per request. Default: true.
	Access bool `yaml:"access"`
}

// Shutdown times the end after SIGTERM or SIGINT.
type Shutdown struct {
	// Grace is how long requests in flight may go on. Default: 20s; 0 cuts them at once.
	Grace time.Duration `yaml:"grace"`
	// Delay is how long new requests are still served after /readyz fails. Default: 0.
	Delay time.Duration `yaml:"delay"`
}
