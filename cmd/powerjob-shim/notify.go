package main

import (
	"net"
	"strings"

	"go.uber.org/zap"
)

// tellSupervisor says that the program has started to whoever started it and
// waits for that (sd_notify(3); Type=notify in a systemd unit). Without
// NOTIFY_SOCKET nobody waits. systemd sends no SIGHUP before: until a Go program
// has begun to run, one ends it.
func tellSupervisor(environ []string, log *zap.Logger) {
	const name = "NOTIFY_SOCKET="
	for _, v := range environ {
		socket, named := strings.CutPrefix(v, name)
		if !named || socket == "" {
			continue
		}
		if err := notify(socket, "READY=1"); err != nil {
			log.Warn("telling the supervisor of the start failed; with Type=notify it will take the start for failed", zap.Error(err))
		}
	}
}

// notify sends a datagram to a Unix socket; @ begins an abstract name.
func notify(socket, state string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // a datagram is sent or not
	_, err = c.Write([]byte(state))
	return err
}
