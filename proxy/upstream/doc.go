// Package upstream sends requests to groups of servers that hold the same data.
//
//	g, err := upstream.New("default", settings, nil, options)
//	g.Start(life, &running)
//	result := g.Send(upstream.Request{HTTP: r, Call: "saveJob"})
//	defer result.Server.Leave()       // when the answer has been passed on
//	defer result.Response.Body.Close() // if result.Err is nil
//
// A server is chosen by its load and its health: refused connections, failed requests
// ([PassiveHealth]), and checks ([ActiveHealth]). While nothing has been sent, another
// server is tried; the [Outcome] says how far a request got. A [Group] knows nothing of
// routes and rules, and of a caller only what [Caller] tells: a [Request] carries
// everything that its handling depends on.
//
// Package connect makes the connections, package conversation keeps them and writes
// requests, and package probe asks whether a server is a PowerJob server.
package upstream
