package client

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrStaleConnection is the error of an exchange on a pooled connection that ended
// before the answer's header was complete. OkHttp then silently sends the request
// again.
var ErrStaleConnection = errors.New("pooled connection ended before the answer")

// maxFollowUps is RetryAndFollowUpInterceptor.MAX_FOLLOW_UPS.
const maxFollowUps = 20

// Silently repeats one exchange with one address in the cases in which OkHttp does so
// by itself: after ErrStaleConnection, a 408, or a 503 with Retry-After: 0, but not
// after the same of the two statuses twice in a row. It is for implementations of
// Transport. OkHttp's redirects and authenticators are left out.
func Silently(exchange func() (Response, error)) (Response, error) {
	prior := 0
	for range maxFollowUps + 1 {
		answer, err := exchange()
		for errors.Is(err, ErrStaleConnection) {
			answer, err = exchange()
		}
		if err != nil || !again(answer, prior) {
			return answer, err
		}
		prior = answer.Status
	}
	return Response{}, fmt.Errorf("too many follow-up requests: %d", maxFollowUps+1)
}

func again(r Response, prior int) bool {
	switch {
	case r.Status == prior:
		return false
	case r.Status == 408:
		return retryAfter(r, 0) <= 0
	case r.Status == 503:
		return retryAfter(r, 1) == 0
	}
	return false
}

// retryAfter returns Retry-After in seconds; missing if it is not there, 1 if it is
// not a number.
func retryAfter(r Response, missing int) int {
	value := r.Last("Retry-After")
	if value == "" {
		return missing
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 1
	}
	return int(n)
}
