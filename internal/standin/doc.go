// Package standin has no code of its own. Below it are the stand-ins for PowerJob's
// programs: package client for the Java client, package legacy for the server. They
// are for tests, test tools and the demo; the product does not import them (the
// linter's rule depguard makes sure of that).
package standin
