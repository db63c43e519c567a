package config

import (
	"net/netip"
	"time"
)

// Values of Dedup.Mode, RuleDedup.Mode and, ModeOff besides, Auth.Mode.
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

// Rule applies a header, deduplication or both to what matches. A request takes
// the headers of all rules that match and the first dedup that matches.
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
	// Header is nil when the rule writes none.
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
	// is evidently the client's own repetition).
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
	// MaxHeldAnswers: all answers being collected at once; beyond it they are passed
	// on and not recorded.
	MaxHeldAnswers Size `yaml:"max_held_answers" default:"32MiB" min:"1"`
	// Redis is used when Store is redis.
	Redis Redis `yaml:"redis" restart:"true"`
}

// Redis is a Redis or Valkey, 6.2 or later.
type Redis struct {
	// Addresses: one server, the sentinels, or a Cluster's nodes.
	//
	// Each is "host:port". The sentinels are those of MasterName; several without it,
	// or Cluster, are a Cluster's.
	Addresses []string `yaml:"addresses"`
	// Cluster: where a single address leads to a Cluster.
	//
	// Default: false.
	Cluster bool `yaml:"cluster"`
	// MasterName: what the sentinels call it.
	//
	// Empty: no sentinels.
	MasterName string `yaml:"master_name"`
	// Username is an ACL user. Empty: the default user.
	Username string `yaml:"username"`
	// Password, PasswordFile or PasswordEnv: at most one. After Load, Password
	// has the value whichever it was; empty: no password.
	Password Secret `yaml:"password"`
	// PasswordFile: or password_env, or password; read for each connection, as the files
	// of tls are.
	PasswordFile string `yaml:"password_file"`
	PasswordEnv  string `yaml:"password_env"`
	// SentinelUsername: what the sentinels themselves ask for.
	//
	// So are the passwords below; at most one of the three. Empty: they ask for
	// nothing.
	SentinelUsername string `yaml:"sentinel_username"`
	SentinelPassword Secret `yaml:"sentinel_password"`
	// SentinelPasswordFile: or sentinel_password_env, or sentinel_password; read as
	// password_file is.
	SentinelPasswordFile string `yaml:"sentinel_password_file"`
	SentinelPasswordEnv  string `yaml:"sentinel_password_env"`
	// TLS is nil for a plain connection. It holds for sentinels too.
	TLS *UpstreamTLS `yaml:"tls"`
	// KeyPrefix begins every key.
	KeyPrefix string `yaml:"key_prefix" default:"powerjob-shim:"`
	// KeySecretFile: or key_secret_env; at least 32 bytes: keys are HMACs; read every 5 s.
	//
	// Neither: keys are plain SHA-256.
	KeySecretFile string `yaml:"key_secret_file"`
	KeySecretEnv  string `yaml:"key_secret_env"`
	// KeySecret is what they hold; it cannot be written in the file.
	KeySecret Secret `yaml:"-"`
	// Timeout: of all Redis work for one request.
	//
	// It must be well under the client's own 2s.
	Timeout time.Duration `yaml:"timeout" default:"200ms" min:"1"`
}

// Auth is the gate: who may call what is under /openApi/.
type Auth struct {
	// Mode: off, observe (only count what would be refused) or enforce.
	Mode string `yaml:"mode" choice:"off,observe,enforce" default:"off"`
	// TokenTTL is how long a token counts after its login. The default is a real server's.
	TokenTTL time.Duration `yaml:"token_ttl" default:"168h" min:"1"`
	// LegacyClients: 4.x clients have no token: {allow: [10.0.0.0/8], apps: [my-app]};
	// an app's name or id.
	//
	// These are let through.
	LegacyClients LegacyClients `yaml:"legacy_clients"`
	// Allow: narrows further: {cidrs: [10.0.0.0/8], apps: [my-app]}.
	//
	// It says who may call.
	Allow Allow `yaml:"allow"`
	// Block: paths answered with 403 in every mode, such as /user/list.
	//
	// No caller is exempt.
	Block []string `yaml:"block"`
}

// LegacyClients are callers that may come without a token. Both lists must
// match; with both empty, no caller may.
// An app is written by its name, which counts from the first login to it on,
// or by its id, which counts at once.
type LegacyClients struct {
	Allow []netip.Prefix `yaml:"allow"`
	Apps  []string       `yaml:"apps"`
}

// Allow narrows the gate to some addresses and apps. Empty: all. Apps are
// written as in LegacyClients.
type Allow struct {
	CIDRs []netip.Prefix `yaml:"cidrs"`
	Apps  []string       `yaml:"apps"`
}
