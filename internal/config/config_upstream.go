package config

import (
	"net/url"
	"time"

	"powerjob-shim/internal/address"
)

// Upstream is a group of PowerJob servers that share one database.
type Upstream struct {
	// Servers: http://127.0.0.1:7701/pj for servers under the context path /pj: the
	// shim puts /pj in front of paths that lack it.
	//
	// "http://host:port" or "https://host:port"; at least one. Load puts http:// in
	// front of "host:port", and splits an item with commas. The context path is the
	// same for all servers of a group; /openApi behind it is ignored.
	Servers []string `yaml:"servers"`
	// Host: the Host header for the servers: the caller's; upstream: that of the URL
	// above; or a name.
	//
	// keep is the caller's. A name is sent as it is written, with its port if it has
	// one. It is also the server name for TLS, unless tls.server_name is given.
	Host string `yaml:"host" default:"keep"`
	// Unreachable: if nothing was sent, or a read, a login or a worker's GET
	// /server/... got no answer, clients and workers get a closed connection and go on
	// to their next address; error: 502, 503 or 504.
	//
	// After such a status they give up.
	Unreachable string `yaml:"unreachable" choice:"close,error" default:"close"`
	// Timeout: until the answer's header; until the end of the answer for calls that
	// dedup holds and for runJob2, unless it is an event stream.
	//
	// With mode: observe it always runs until the header.
	Timeout time.Duration `yaml:"timeout" default:"30s" min:"1"`
	// StreamTimeout: for pages, uploads, downloads and all else but calls: from the
	// sent request to the answer's header, and before that how long a server may read
	// nothing of an upload.
	//
	// The answer itself may take any time.
	StreamTimeout time.Duration `yaml:"stream_timeout" default:"10m" min:"1"`
	// IdleTimeout: shorter than the server's own keep-alive timeout.
	//
	// Unused connections to the servers are closed after it. Tomcat's own timeout is
	// 60s by default, 20s in its server.xml; with a longer one here a call may be sent
	// on a connection that the server is just closing.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"15s" min:"1"`
	// OpenAPIPrefix: /x/openApi if the servers run under /x and the callers' paths
	// already begin with /x.
	//
	// Default: /openApi behind the path of Servers.
	OpenAPIPrefix string `yaml:"openapi_prefix"`
	// MaxConnections: per server; 0: no bound.
	MaxConnections int `yaml:"max_connections" min:"0"`
	// MaxRequests: in flight; beyond it clients get what unreachable says, and
	// browsers 503; 0: no bound.
	MaxRequests int `yaml:"max_requests" min:"0"`
	// TLS: for https servers.
	//
	// Nil: the system's roots and no client certificate.
	TLS *UpstreamTLS `yaml:"tls"`
	// Health says how broken servers are found. Nil: they are not looked for; after a dial error a request still goes to the next server.
	Health *Health `yaml:"health"`
	// Compat: clients of 5.1.2 start jobs by runJob2; servers that lack it get runJob.
	// off: never; lossy: even if outerKey or extendValue is lost.
	Compat Compat `yaml:"compat"`
	// LoginBridge: for servers before 5.1.0, which have no authApp.
	//
	// The shim answers authApp in their place. Nil: off.
	LoginBridge *LoginBridge `yaml:"login_bridge"`
}

// ContextPath is the context path in the servers' URLs: "/pj" of "http://h:7701/pj"
// and of "http://h:7701/pj/openApi". Empty: they have none.
func (u *Upstream) ContextPath() string {
	if len(u.Servers) == 0 {
		return ""
	}
	server, err := url.Parse(u.Servers[0])
	if err != nil {
		return ""
	}
	return contextOf(server)
}

func contextOf(server *url.URL) string {
	if server.Host == "" { // no server's URL
		return ""
	}
	return address.ContextPath(server)
}

// Values of Upstream.Host; any other value is a name.
const (
	HostKeep     = "keep"
	HostUpstream = "upstream"
)

// Values of Compat.RunJob2.
const (
	CompatAuto  = "auto"
	CompatOff   = "off"
	CompatLossy = "lossy"
)

// Compat says which calls of newer clients are translated for older servers.
type Compat struct {
	// RunJob2, by which clients of 5.1.2 start jobs, is sent as runJob to a server
	// without runJob2. auto: unless outerKey or extendValue is set, which an older
	// server cannot keep; lossy: even if they are set, and both are lost; off: never.
	RunJob2 string `yaml:"run_job2" choice:"auto,off,lossy" default:"auto"`
}

// UpstreamTLS checks https servers, and shows them a certificate.
type UpstreamTLS struct {
	// CAFile is a PEM file of roots. Empty: the system's.
	CAFile string `yaml:"ca_file" file:"true"`
	// ServerName is checked instead of the URL's host. Empty: the URL's host.
	ServerName string `yaml:"server_name"`
	// CertFile and KeyFile are the client certificate; both or neither.
	CertFile string `yaml:"cert_file" file:"true"`
	KeyFile  string `yaml:"key_file" file:"true"`
	// PinSHA256 are base64 SHA-256 hashes of public keys (SPKI, RFC 7469, 2.4). A
	// server with one of them is accepted whatever its name, chain and dates; all
	// others are refused. Empty: name and chain decide.
	PinSHA256 []string `yaml:"pin_sha256"`
}

// Values of Upstream.Unreachable.
const (
	UnreachableClose = "close"
	UnreachableError = "error"
)

// Health has the two ways of finding broken servers. Nil: that way is off.
type Health struct {
	Active  *ActiveHealth  `yaml:"active"`
	Passive *PassiveHealth `yaml:"passive"`
}

// Values of ActiveHealth.Check.
const (
	CheckAssert = "assert" // POST /openApi/assert, which every PowerJob server answers harmlessly
	CheckTCP    = "tcp"    // a connection
)

// ActiveHealth asks each server at intervals.
type ActiveHealth struct {
	// Check is assert or tcp.
	Check string `yaml:"check" choice:"assert,tcp" default:"assert"`
	// Interval lies between two checks of a server.
	Interval time.Duration `yaml:"interval" default:"5s" min:"1"`
	// Timeout of one check, at most Interval. Default: the shorter of 2s and Interval.
	Timeout time.Duration `yaml:"timeout" default:"2s" min:"1"`
	// Unhealthy is how many failures in a row remove a server from use.
	Unhealthy int `yaml:"unhealthy" default:"3" min:"1"`
	// Healthy is how many successes in a row bring it back.
	Healthy int `yaml:"healthy" default:"2" min:"1"`
}

// PassiveHealth removes servers from use by what happens to ordinary requests; never the last one.
type PassiveHealth struct {
	// Failures in a row (dial errors, 5xx) that eject a server.
	Failures int `yaml:"failures" default:"5" min:"1"`
	// Eject is how long a server is out the first time; each time it doubles.
	Eject time.Duration `yaml:"eject" default:"10s" min:"1"`
	// MaxEject is the longest time that a server is out.
	MaxEject time.Duration `yaml:"max_eject" default:"5m"`
}

// LoginBridge answers /openApi/authApp for servers before 5.1.0.
type LoginBridge struct {
	// Apps may log in; at least one.
	Apps []BridgeApp `yaml:"apps"`
	// SecretFile: or secret_env; at least 32 bytes, the same on every replica; default: random.
	//
	// Tokens are signed with it (RFC 7518, 3.2, for its length). A random one is
	// replaced by a restart, and by a reload that changes this group.
	SecretFile string `yaml:"secret_file"`
	SecretEnv  string `yaml:"secret_env"`
	// Secret is the secret from SecretFile or SecretEnv; it cannot be written in the
	// configuration itself. Empty: neither was given.
	Secret Secret `yaml:"-"`
	// TokenTTL is how long a token is valid. The default is a real server's.
	TokenTTL time.Duration `yaml:"token_ttl" default:"168h" min:"1"`
}

// BridgeApp is an app's name and password, as registered in PowerJob. Exactly
// one of Password, PasswordFile and PasswordEnv is given; after Load, Password
// has the value in each case.
type BridgeApp struct {
	Name     string `yaml:"name"`
	Password Secret `yaml:"password"`
	// PasswordFile is read again every 5 s: a rotated file has its effect within that time.
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"`
}
