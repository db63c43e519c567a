package program

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"powerjob-shim/internal/address"
)

// healthTimeout is below the 3 s that the images' HEALTHCHECK gives.
const healthTimeout = 2 * time.Second

// AskHealth asks the /healthz of an admin listener of this host; who it is, is
// for the error.
func AskHealth(ctx context.Context, who, admin string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	at := address.Local(admin)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("asking the %s: %w", who, err)
	}
	res, err := (&http.Transport{}).RoundTrip(req) // no proxy of the environment
	if err != nil {
		return fmt.Errorf("asking the %s at %s: %w; if run was given --admin or --config, give healthcheck the same", who, at, err)
	}
	_ = res.Body.Close() // the status says it all
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the %s at %s says %s", who, at, res.Status)
	}
	return nil
}
