//go:build !unix

package proxy

// gone is not known here: false.
func (c *upstreamConn) gone() bool { return false }
