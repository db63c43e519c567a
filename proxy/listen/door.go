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

// Door is what a handler must do for the requests of one listener, and may differ
// between listeners. All requests of a listener share its Door: do not change it.
type Door struct {
	// Requests that a plain listener answers itself.
	Challenge func(http.ResponseWriter, *http.Request) bool // see Config; nil: none
	Redirect  *Redirect                                     // nil: none

	Pace Pace
}

// Pace is how fast the body of a listener's request must arrive.
type Pace struct {
	Timeout time.Duration // how long a body may pause
	Rate    int64         // the lowest allowed average, in bytes a second; 0: no limit
	After   time.Duration // Rate applies once reads have waited this long in all
}

type doorKey struct{}

// DoorOf returns the door that r came through; nil if r came by no listener of this package.
func DoorOf(r *http.Request) *Door {
	d, _ := r.Context().Value(doorKey{}).(*Door)
	return d
}

// PaceOf returns how fast r's body must arrive.
func PaceOf(r *http.Request) Pace {
	if d := DoorOf(r); d != nil {
		return d.Pace
	}
	return Pace{Timeout: defaultBodyTimeout}
}
