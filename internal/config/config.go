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
// built from them elsewhere (package wire).
package config

import (
	"net/netip"
	"time"
)

// Config is a complete configuration: decoded, defaulted and validated. Nothing
// changes it after Load, and any number of goroutines may read it. The defaults
// are in the tags of its fields; table.go explains all tags.
type Config struct {
	// Listen are the listeners that clients connect to; at least one.
	Listen []Listener `yaml:"listen" restart:"true"`
	// Admin is the listener for metrics, health and status.
	Admin Admin `yaml:"admin"`
	// Mode is enforce, or observe: nothing on the wire is changed; what would be
	// added, dropped and refused is only counted.
	Mode string `yaml:"mode" choice:"enforce,observe" default:"enforce"`
	// Upstreams are the groups of servers by name; at least one.
	Upstreams map[string]Upstream `yaml:"upstreams"`
	// Routes choose a group by host and path. Empty: all requests go to the only group.
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
	// MaxBody bounds the body of every request; a larger one gets 413. 0: no bound.
	MaxBody  Size     `yaml:"max_body" default:"0" min:"0" example:"256MiB, or 0 for no bound"`
	Log      Log      `yaml:"log"`
	Shutdown Shutdown `yaml:"shutdown"`

	digest  [32]byte     // see Digest
	secrets []secretFile // by path, see SecretFiles
}

// Listener is one address that clients connect to.
type Listener struct {
	// Address is "host:port"; an empty host means all addresses, port 0 any free port.
	Address string `yaml:"address"`
	// ProxyProtocol: accept or require a PROXY header, v1 or v2, from trusted_proxies;
	// if anyone else sends one, the connection is closed.
	//
	// off: no connection may begin with such a header; accept: it may; require: it must,
	// so that nobody else can connect.
	ProxyProtocol string `yaml:"proxy_protocol" choice:"off,accept,require" default:"off"`
	// TLS makes it an https listener. Nil: plain HTTP.
	TLS *TLS `yaml:"tls"`
	// Redirect: on a plain listener: send browsers to https.
	//
	// Nil: no redirect.
	Redirect *Redirect `yaml:"redirect"`
	// MaxConnections: open at once; 503 beyond; 0: no bound.
	//
	// From twice as many on they are closed unread.
	MaxConnections int `yaml:"max_connections" min:"0"`
	// HeaderTimeout: for the TLS handshake, and for a request's header; then the
	// connection is closed without an answer.
	HeaderTimeout time.Duration `yaml:"header_timeout" default:"10s" min:"1"`
	// BodyTimeout: how long nothing of a request's body may arrive; then 400.
	//
	// The whole body may take any time.
	BodyTimeout time.Duration `yaml:"body_timeout" default:"30s" min:"1"`
	// MinBodyRate: the slowest average rate of a body, once the shim has waited 30 s
	// for it; 400 below it; 0: no limit.
	MinBodyRate Rate `yaml:"min_body_rate" default:"100B/s" min:"0" example:"100B/s, or 0 for any rate"`
	// StallTimeout: how long a caller may read nothing of its answer; then its
	// connection is closed.
	StallTimeout time.Duration `yaml:"stall_timeout" default:"30s" min:"1"`
	// IdleTimeout: longer than the 5 minutes after which PowerJob's client closes an
	// unused connection.
	//
	// The shim closes unused connections after it; the client should close first.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"6m" min:"1"`
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
	// Mode: acme, files or self-signed.
	Mode string `yaml:"mode" choice:"acme,files,self-signed"`

	// Domains are the names to obtain certificates for (acme).
	Domains []string `yaml:"domains" modes:"acme"`
	// Email is the ACME account's contact; may be empty (acme).
	Email string `yaml:"email" modes:"acme"`
	// CA is the ACME directory's URL. Empty: Let's Encrypt (acme).
	CA string `yaml:"ca" modes:"acme"`
	// CARoot is a PEM file with the root that the ACME server's own certificate
	// is checked against. Empty: the system's roots (acme).
	CARoot string `yaml:"ca_root" modes:"acme" file:"true"`
	// Profile is one of the certificate profiles that the ACME server offers,
	// such as Let's Encrypt's shortlived. Empty: its default (acme).
	Profile string `yaml:"profile" modes:"acme"`
	// Challenges are http-01, tls-alpn-01 or both (acme).
	Challenges []string `yaml:"challenges" choice:"http-01,tls-alpn-01" modes:"acme" default:"http-01,tls-alpn-01"`

	// Files are certificate and key pairs, chosen by SNI (files).
	Files []KeyPair `yaml:"files" modes:"files"`

	// Names are the host names in the certificate. Empty: localhost and the host's name (self-signed).
	Names []string `yaml:"names" modes:"self-signed"`

	// Storage is the directory that certificates are kept in (acme,
	// self-signed), or "redis" (acme): the one of dedup.redis, encrypted with its
	// key_secret if there is one.
	Storage string `yaml:"storage" modes:"acme,self-signed" default:"/var/lib/powerjob-shim"`
	// ClientCA is a PEM file; clients must show a certificate signed by it. Empty: clients need no certificate.
	ClientCA string `yaml:"client_ca" file:"true"`
	// MinVersion: "1.2" or "1.3".
	MinVersion string `yaml:"min_version" choice:"1.2,1.3" default:"1.2"`
}

// KeyPair names a PEM certificate chain and its key.
type KeyPair struct {
	Cert string `yaml:"cert" file:"true"`
	Key  string `yaml:"key" file:"true"`
}

// Redirect sends plain HTTP requests to https. ACME challenges are answered, not redirected.
type Redirect struct {
	// Port is the https URL's port.
	Port int `yaml:"port" default:"443"`
	// OpenAPI redirects calls under /openApi/ as well. By default they are
	// served: the client's OkHttp 3.14 turns a POST redirected by 301 or 302 into
	// a GET, and does not follow 307 and 308 (RetryAndFollowUpInterceptor).
	OpenAPI bool `yaml:"openapi"`
}

// Admin is the listener for the status page, /metrics, /healthz, /readyz and /status.
type Admin struct {
	// Address is "host:port".
	Address string `yaml:"address" default:"127.0.0.1:9700" restart:"true"`
	// TokenFile: all but /healthz and /readyz ask for it: a bearer token, or a
	// browser's password; without it the page is served on loopback only.
	//
	// The file is read for each request. Empty: no token is needed.
	TokenFile string `yaml:"token_file" restart:"true"`
	// PProf: /debug/pprof/.
	PProf bool `yaml:"pprof" default:"false" restart:"true"`
	// Ready: /readyz: 200 while any routed group has a ready server; or all: while
	// every routed group has one; ?group=NAME asks for one group.
	Ready string `yaml:"ready" choice:"any,all" default:"any"`
}

// Values of Admin.Ready.
const (
	ReadyAny = "any"
	ReadyAll = "all"
)

// Route sends what matches to an upstream group. The most specific route wins,
// whatever the order.
type Route struct {
	// Name is shown in logs and metrics; unique.
	Name string `yaml:"name"`
	// Hosts: exact names or "*.example.com"; default: every host.
	Hosts []string `yaml:"hosts"`
	// Paths: ending in *: a prefix; else exact.
	//
	// They are compared with the path as the caller sent it, before StripPrefix.
	Paths []string `yaml:"paths" default:"/*"`
	// Upstream is a group's name. Default: the only group.
	Upstream string `yaml:"upstream"`
	// StripPrefix: whole segments, cut off each path; none by default.
	//
	// Ingress controllers do so, too. Then AddPrefix is put in front of the path, and
	// the servers' context path in front of both. Location and cookies in answers are
	// not changed.
	StripPrefix string `yaml:"strip_prefix"`
	// AddPrefix: then put in front of it; none by default. The servers' context path
	// comes last.
	AddPrefix string `yaml:"add_prefix"`
}

// Log says what is logged to standard error.
type Log struct {
	// Level: debug, info, warn, error.
	Level string `yaml:"level" choice:"debug,info,warn,error" default:"info"`
	// Format: console, for people, on a terminal, else json; or json or console.
	Format string `yaml:"format" choice:"auto,json,console" default:"auto" restart:"true"`
	// Access: one line per request.
	Access bool `yaml:"access" default:"true"`
}

// Shutdown times the end after SIGTERM or SIGINT.
type Shutdown struct {
	// Grace is how long requests in flight may go on. 0: they are cut off at once.
	Grace time.Duration `yaml:"grace" default:"20s" min:"0"`
	// Delay is how long new requests are still served after /readyz fails.
	Delay time.Duration `yaml:"delay" default:"0s" min:"0"`
}
