// Package e2e has no code, only tests: the real Java clients of PowerJob and a
// real 4.3.9 server, with the shim's own binary in between.
//
//	go test ./test/e2e
//
// They need Java 17, Maven, and some of haproxy and Chromium; what is missing
// skips the tests that want it, or fails them where CI=true. The first run
// fetches the jars through Maven; later ones work offline. -short skips all.
//
// The Java half is in java: one driver program that calls any method of the
// client on request, and the jars of each version.
package e2e
