package main

import (
	"net"

	"go.uber.org/zap"

	"powerjob-shim/internal/config"
)

// tellSupervisor tells the supervisor that the program has started (sd_notify(3);
// Type=notify in a systemd unit). It does nothing without NOTIFY_SOCKET: then no
// supervisor waits. systemd sends a SIGHUP only after this message: earlier, before
// the program handles it, the signal would end the program.
func tellSupervisor(environ []string, log *zap.Logger) {
	socket := config.Variable(environ, "NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	if err := notify(socket, "READY=1"); err != nil {
		log.Warn("telling the supervisor of the start failed; with Type=notify it will take the start for failed", zap.Error(err))
	}
}

// notify sends a datagram to a Unix socket. A leading @ means an abstract name.
func notify(socket, state string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // Write has sent the datagram, or said why not
	_, err = c.Write([]byte(state))
	return err
}
