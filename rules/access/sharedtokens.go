package access

import "time"

// SharedTokens are issued tokens that replicas share, for the gate. The methods are
// safe for concurrent use and take a fraction of a second at most.
type SharedTokens interface {
	// KeepToken tells all replicas of a token, until ttl is over.
	KeepToken(group string, token Token, t KnownToken, ttl time.Duration)
	// FindToken returns a token that some replica kept, and whether it is known.
	FindToken(group string, token Token) (KnownToken, bool)
}

// KnownToken is what an issued token stands for.
type KnownToken struct {
	App   string    `json:"app"`            // the app's id
	Name  string    `json:"name,omitempty"` // and its name; empty: not known
	Since time.Time `json:"since"`          // of the login
}
