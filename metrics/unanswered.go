package metrics

// The reasons of [Metrics.Unanswered], and of the log's field "unanswered".
const (
	UnansweredConnect        = "connect"         // no server could be connected to
	UnansweredUnhealthy      = "unhealthy"       // likewise, and health checks had found no server healthy
	UnansweredMaxRequests    = "max_requests"    // the group has as many requests in flight as it may
	UnansweredMaxConnections = "max_connections" // each server has as many connections as it may
	UnansweredStopping       = "stopping"        // the shim ends
	UnansweredCallerGone     = "caller_gone"     // the caller had hung up before the first byte was written to a server
	UnansweredNoAnswer       = "no_answer"       // a read, a login or a worker's question was sent and not answered
)

var unansweredReasons = []string{
	UnansweredConnect, UnansweredUnhealthy, UnansweredMaxRequests, UnansweredMaxConnections,
	UnansweredStopping, UnansweredCallerGone, UnansweredNoAnswer,
}

// PresetUnanswered creates the series of a route at 0. It must be called for each
// route of the configuration before the first request.
func (m *Metrics) PresetUnanswered(route string) {
	for _, reason := range unansweredReasons {
		m.Unanswered.WithLabelValues(route, reason)
	}
}
