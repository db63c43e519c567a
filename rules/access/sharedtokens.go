package access

import "time"

// SharedTokens are issued tokens that replicas share, for the gate. The methods are
// safe for concurrent use and take at most a fraction of a second.
type SharedTokens interface {
	// KeepToken tells all replicas of a token, until ttl is over.
	KeepToken(group string, token Token, t KnownToken, ttl time.Duration)
	// FindToken returns what a token stands for, and whether some replica kept it.
	FindToken(group string, token Token) (KnownToken, bool)
}

// KnownToken is what an issued token stands for.
type KnownToken struct {
	App   string    `json:"app"`            // the app's id
	Name  string    `json:"name,omitempty"` // and its name; empty: not known
	Since time.Time `json:"since"`          // of the login
}
