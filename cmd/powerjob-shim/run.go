package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"powerjob-shim/internal/collector"
	"powerjob-shim/internal/config"
	"powerjob-shim/internal/hangup"
	"powerjob-shim/internal/program"
	"powerjob-shim/internal/wire"
	"powerjob-shim/proxy"
	"powerjob-shim/proxy/listen"
)

func newRunCmd(environ []string) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Stand in front of PowerJob servers",
		Long: `Stand in front of PowerJob servers.

--upstream URL alone is enough; everything else has a default. A changed
configuration file is loaded within 5 seconds, or at once on SIGHUP. SIGTERM
and SIGINT let requests in flight end; a second one ends at once.`,
		Example: "  powerjob-shim run --upstream http://127.0.0.1:7701",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stop, now, release := program.UntilSignals(cmd.Context())
			defer release()
			return serve(stop, now, config.Source{File: file, Environ: environ, Flags: cmd.Flags()}, cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &file)
	config.AddFlags(cmd.Flags())
	return cmd
}

func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "config", "", "configuration `file` (default $POWERJOB_SHIM_CONFIG)")
}

// serve runs a shim until stop ends, drains it and returns nil. When now ends, it
// does not wait for the drain. Logs go to stderr.
func serve(stop, now context.Context, src config.Source, stderr io.Writer) error {
	hangUp := hangup.Signals
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	// Without this the runtime ends the process when the reader of standard error
	// goes away. With it, log lines are dropped and counted from then on.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	cfg, err := config.Load(src)
	if err != nil {
		return err
	}
	build := buildInfo()
	process := wire.NewProcess(cfg, stderr, build)
	defer process.Close() // last, so that what the rest logs while it ends is written too
	log, m := process.Logger, process.Metrics

	settings, err := wire.Settings(cfg)
	if err != nil {
		return err
	}
	options := proxy.Options{Logger: log, Metrics: m, Probe: true, Version: build.Version}
	closeStore, err := wire.UseStore(stop, &options, cfg)
	if err != nil {
		return err
	}
	defer closeStore()
	p, err := proxy.New(options, settings)
	if err != nil {
		return err
	}
	crts, err := wire.OpenCertificates(cfg, log, m)
	if err != nil {
		return err
	}
	server, err := p.Listen(proxy.Listeners{
		Clients: crts.Give(wire.Listeners(cfg.Listen)), Challenge: crts.Challenge,
		Admin: cfg.Admin.Address, AdminTokenFile: cfg.Admin.TokenFile, Gatherer: process.Registry, Pprof: cfg.Admin.PProf,
	})
	if err != nil {
		return adviseOnPort(err)
	}

	reloader := &wire.Reloader{
		Source: src, Started: cfg, Warn: uncovered, Level: process.Level, Log: log, Metrics: m,
		Apply: func(next *config.Config) error { return swap(p, next) },
	}
	wire.Loaded(m)
	watching, end := context.WithCancel(context.Background())
	process.Go(func() { reloader.Watch(watching, hangUp) })
	process.Go(func() { crts.Run(watching, server.Addrs()) })
	process.Go(func() { collector.Pace(watching) })
	defer func() { end(); process.Wait() }()

	log.Info("started", zap.String("version", build.Version), zap.String("configuration", cfg.Hash()), zap.String("file", src.Path()),
		zap.Stringers("listen", server.Addrs()), zap.Stringer("admin", server.AdminAddr()), zap.Any("upstreams", wire.Servers(cfg)))
	log.Info("what is bounded by what", zap.Strings("bounds", bounds(cfg)))
	warnOfUncovered(cfg, log)
	tellSupervisor(src.Environ, log)
	if err := server.Serve(stop, now); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// adviseOnPort adds advice to an error that says that a port is taken.
func adviseOnPort(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; stop what listens there, or choose another address (--listen, --admin)", err)
	}
	return err
}

// swap makes the proxy run on another configuration.
func swap(p *proxy.Proxy, cfg *config.Config) error {
	settings, err := wire.Settings(cfg)
	if err != nil {
		return err
	}
	return p.Swap(settings)
}

// startInProcess runs a shim with the embedded default configuration in front
// of one server.
func startInProcess(upstream string) (address string, stop func(), err error) {
	return startInProcessWith(upstream)
}

// startInProcessWith is startInProcess with variables of the environment.
func startInProcessWith(upstream string, environ ...string) (address string, stop func(), err error) {
	cfg, err := config.Load(config.Source{Environ: append(environ, "POWERJOB_SHIM_UPSTREAM="+upstream)})
	if err != nil {
		return "", nil, err
	}
	settings, err := wire.Settings(cfg)
	if err != nil {
		return "", nil, err
	}
	p, err := proxy.New(proxy.Options{}, settings)
	if err != nil {
		return "", nil, err
	}
	server, err := p.Listen(proxy.Listeners{Clients: []listen.Listener{{Address: net.JoinHostPort("127.0.0.1", "0")}}})
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ctx, context.Background()) // after an error its callers cannot connect any more
	}()
	return server.Addrs()[0].String(), func() { cancel(); <-done }, nil
}
