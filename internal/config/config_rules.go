package config

import (
	"net/netip"
	"time"
)

// Values of Auth.Mode and, without ModeOff, of Dedup.Mode and RuleDedup.Mode.
const (
	ModeOff     = "off"
	ModeObserve = "observe"
	ModeEnforce = "enforce"
)

// Values of RuleDedup.Match.
const (
	MatchBody   = "body"
	MatchResend = "resend"
)

// Rule applies a header, deduplication or both to the requests that match. A
// request gets the headers of all rules that match, and the first dedup of them.
type Rule struct {
	// Name is unique.
	Name string `yaml:"name"`
	// Method is one method or a list. Empty: every method.
	Method OneOrMore `yaml:"method"`
	// Hosts are exact names or "*.example.com". Empty: every host.
	Hosts []string `yaml:"hosts"`
	// Paths are exact, or prefixes when they end in *; at least one. They are
	// compared as a Spring server routes a request, and relative to the
	// upstream's openapi_prefix.
	Paths []string `yaml:"paths"`
	// Header is nil when the rule writes no header.
	Header *RuleHeader `yaml:"header"`
	// Dedup is nil when the rule does not deduplicate.
	Dedup *RuleDedup `yaml:"dedup"`
}

// RuleHeader is an answer's header, written in exactly this case.
type RuleHeader struct {
	Name string `yaml:"name"`
	// Value is added where the upstream sent none. Empty: only the name's case is restored.
	Value string `yaml:"value"`
}

// RuleDedup recognises repeated calls.
type RuleDedup struct {
	// Match is body (equal calls within the window are one) or resend (only what
	// is evidently the client's own repetition is dropped).
	Match string `yaml:"match" choice:"body,resend"`
	// Window runs from the first call's answer.
	Window time.Duration `yaml:"window" default:"5s" min:"1"`
	// Mode is enforce or observe (count and forward).
	Mode string `yaml:"mode" choice:"enforce,observe" default:"enforce"`
}

// Values of Dedup.Store.
const (
	StoreMemory = "memory"
	StoreRedis  = "redis"
)

// Dedup bounds the record of calls, and says where it is kept.
type Dedup struct {
	// Mode: observe: count what would be dropped, forward everything.
	//
	// observe wins over every rule's mode.
	Mode string `yaml:"mode" choice:"enforce,observe" default:"enforce"`
	// Store: memory or redis; redis is shared by several replicas.
	Store string `yaml:"store" choice:"memory,redis" default:"memory" restart:"true"`
	// MaxEntries: calls on record; the oldest finished one goes first.
	MaxEntries int `yaml:"max_entries" default:"100000" min:"1" restart:"true"`
	// MaxBytes: their recorded answers, header and body, and some 450 bytes for each
	// call.
	MaxBytes Size `yaml:"max_bytes" default:"64MiB" min:"1" restart:"true"`
	// MaxBody: larger requests are forwarded without deduplication.
	//
	// They are not held, but pass as a stream.
	MaxBody Size `yaml:"max_body" default:"1MiB" min:"1"`
	// MaxAnswer: larger answers, header and body, are not recorded.
	MaxAnswer Size `yaml:"max_answer" default:"256KiB" min:"1"`
	// MaxHeldAnswers: all answers that are being collected; beyond it answers are
	// passed on and not recorded.
	MaxHeldAnswers Size `yaml:"max_held_answers" default:"32MiB" min:"1"`
	// Redis is used when Store is redis.
	Redis Redis `yaml:"redis" restart:"true"`
}

// Redis says how to reach a Redis or Valkey, 6.2 or later.
type Redis struct {
	// Addresses: one server, the sentinels, or a Cluster's nodes.
	//
	// Each is "host:port". With MasterName they are sentinels; without it, several
	// addresses, or Cluster, mean a Cluster.
	Addresses []string `yaml:"addresses"`
	// Cluster: true where the only address is a Cluster's.
	//
	// Default: false.
	Cluster bool `yaml:"cluster"`
	// MasterName: the name by which the sentinels know it.
	//
	// Empty: no sentinels.
	MasterName string `yaml:"master_name"`
	// Username is an ACL user. Empty: the default user.
	Username string `yaml:"username"`
	// Password, PasswordFile or PasswordEnv: at most one. After Load, Password
	// has the value in each case; empty: no password.
	Password Secret `yaml:"password"`
	// PasswordFile: or password_env, or password; read for each connection, as the files
	// of tls are.
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"`
	// SentinelUsername: the sentinels' own user.
	//
	// The passwords below are the sentinels', too; at most one of the three is given.
	// Empty: the sentinels ask for nothing.
	SentinelUsername string `yaml:"sentinel_username"`
	SentinelPassword Secret `yaml:"sentinel_password"`
	// SentinelPasswordFile: or sentinel_password_env, or sentinel_password; read as
	// password_file is.
	SentinelPasswordFile string `yaml:"sentinel_password_file"`
	SentinelPasswordEnv  string `yaml:"sentinel_password_env"`
	// TLS is for sentinels, too. Nil: plain connections.
	TLS *UpstreamTLS `yaml:"tls"`
	// KeyPrefix begins every key.
	KeyPrefix string `yaml:"key_prefix" default:"powerjob-shim:"`
	// KeySecretFile: or key_secret_env; at least 32 bytes: keys are HMACs; read every 5 s.
	//
	// Neither: keys are plain SHA-256.
	KeySecretFile string `yaml:"key_secret_file"`
	KeySecretEnv  string `yaml:"key_secret_env"`
	// KeySecret is the secret from KeySecretFile or KeySecretEnv; it cannot be written
	// in the configuration itself.
	KeySecret Secret `yaml:"-"`
	// Timeout: for all Redis work of one request.
	//
	// It must be well under the client's own timeout of 2s.
	Timeout time.Duration `yaml:"timeout" default:"200ms" min:"1"`
}

// Auth is the gate: it decides who may call what is under /openApi/.
type Auth struct {
	// Mode: off, observe (only count what would be refused) or enforce.
	Mode string `yaml:"mode" choice:"off,observe,enforce" default:"off"`
	// TokenTTL is how long a token is valid after its login. The default is a real server's.
	TokenTTL time.Duration `yaml:"token_ttl" default:"168h" min:"1"`
	// LegacyClients: 4.x clients have no token: {allow: [10.0.0.0/8], apps: [my-app]};
	// an app's name or id.
	//
	// The gate lets them through.
	LegacyClients LegacyClients `yaml:"legacy_clients"`
	// Allow: only these may call: {cidrs: [10.0.0.0/8], apps: [my-app]}.
	Allow Allow `yaml:"allow"`
	// Block: paths answered with 403 in every mode, such as /user/list.
	//
	// No caller is exempt.
	Block []string `yaml:"block"`
}

// LegacyClients are callers that may come without a token. Both lists must
// match; with both empty, no caller may.
// An app is given by its name, which has an effect from the first login to it on,
// or by its id, which has one at once.
type LegacyClients struct {
	Allow []netip.Prefix `yaml:"allow"`
	Apps  []string       `yaml:"apps"`
}

// Allow are the addresses and apps that may call. Empty: all. Apps are given as
// in LegacyClients.
type Allow struct {
	CIDRs []netip.Prefix `yaml:"cidrs"`
	Apps  []string       `yaml:"apps"`
}
