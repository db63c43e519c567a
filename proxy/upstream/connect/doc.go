// Package connect makes connections to servers: it looks their names up, tries
// their addresses, and does the TLS handshake.
//
//	d := new(connect.Dialer) // one for the whole process: it remembers addresses
//	s := connect.NewServer("powerjob.example.com:7700", nil, d)
//	conn, err := s.Dial(ctx)
//
// An error is a [*DialError], which names each address and why it failed, or says which
// TLS file cannot be read.
package connect
