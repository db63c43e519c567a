// Package upstream sends requests to groups of servers that hold the same data.
//
//	g, err := upstream.New("default", settings, nil, options)
//	g.Start(life, &running)
//	result := g.Send(upstream.Request{HTTP: r, Call: "saveJob"})
//	defer result.Server.Leave()       // when the answer has been passed on
//	defer result.Response.Body.Close() // if result.Err is nil
//
// A server is chosen by load and by what is known of it: a connection that was
// refused, requests that failed ([PassiveHealth]), and checks ([ActiveHealth]). While
// nothing has been sent, another server is tried; the [Outcome] says how far a
// request got. A [Group] knows nothing of routes and rules, and of a caller only what
// [Caller] tells: what a request's way depends on comes with it.
//
// connect makes the connections, conversation keeps them and writes requests, and
// probe asks whether a server is a PowerJob server.
package upstream
