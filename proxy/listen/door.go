package listen

import (
	"net/http"
	"time"
)

// Redirect sends plain HTTP requests to https, with 308, which keeps the method.
type Redirect struct {
	Port int // of the https address; 0: 443

	// OpenAPI redirects calls under /openApi/ as well. By default they are
	// served: OkHttp 3.14 does not follow a 308 to a POST.
	OpenAPI bool
}

// Door is what a handler must do for the requests of one listener and not for those of
// another. All requests of the listener share it: it must not be changed.
type Door struct {
	// What a plain listener answers instead of serving it.
	Challenge func(http.ResponseWriter, *http.Request) bool // see Config; nil: none
	Redirect  *Redirect                                     // nil: none

	Pace Pace
}

// Pace is how fast the body of a listener's request must come.
type Pace struct {
	Timeout time.Duration // how long a body may stand still
	Rate    int64         // its slowest average, in bytes a second, once it was waited for as long as After; 0: no limit
	After   time.Duration
}

type doorKey struct{}

// DoorOf returns the door that r came through; nil: no listener of this package.
func DoorOf(r *http.Request) *Door {
	d, _ := r.Context().Value(doorKey{}).(*Door)
	return d
}

// PaceOf returns what is asked of r's body.
func PaceOf(r *http.Request) Pace {
	if d := DoorOf(r); d != nil {
		return d.Pace
	}
	return Pace{Timeout: defaultBodyTimeout}
}
