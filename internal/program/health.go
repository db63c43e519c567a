package program

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"powerjob-shim/internal/address"
)

// healthTimeout is shorter than the 3 s of the images' HEALTHCHECK.
const healthTimeout = 2 * time.Second

// AskHealth asks for /healthz at an admin listener of this host. who names the
// program in the error.
func AskHealth(ctx context.Context, who, admin string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	at := address.Local(admin)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("asking the %s: %w", who, err)
	}
	res, err := (&http.Transport{}).RoundTrip(req) // the environment's proxy is not used
	if err != nil {
		return fmt.Errorf("asking the %s at %s: %w; if run was given --admin or --config, give healthcheck the same", who, at, err)
	}
	_ = res.Body.Close() // only the status is needed
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the %s at %s says %s", who, at, res.Status)
	}
	return nil
}
