package e2e

import "net/http"

// patient leaves the bodies of proxy's requests alone. net/http's server closes the
// body of a request as soon as its answer begins, and a Transport that has sent the
// body, but has not yet seen its end, then cuts the connection with the answer still
// on its way (seen once in 500 calls of a busy machine, where the server sends its
// answer in two pieces).
func patient(proxy http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 is so always
		proxy.ServeHTTP(w, r)
	})
}
