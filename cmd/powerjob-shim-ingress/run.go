package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"sync/atomic"
	"syscall"

	"go.uber.org/zap"
	"k8s.io/klog/v2"

	"powerjob-shim/cmd/powerjob-shim-ingress/controller"
	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
	"powerjob-shim/internal/collector"
	"powerjob-shim/internal/config"
	"powerjob-shim/internal/hangup"
	"powerjob-shim/internal/wire"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy"
	"powerjob-shim/proxy/upstream"
)

// starting returns the proxy's settings for the time before the Ingresses have been
// read: every request is refused.
func starting(base proxy.Settings) proxy.Settings {
	base.Upstreams = map[string]proxy.Upstream{"none": {Settings: upstream.Settings{Dynamic: true}}}
	base.Routes = []proxy.Route{{Name: "starting", Refuse: "the Ingresses have not been read yet; ask again in a moment"}}
	return base
}

// serve runs the controller and its proxy until stop ends, drains it and returns
// nil. When now ends, it does not wait for the drain. Logs go to stderr.
func serve(stop, now context.Context, s settings, src config.Source, stderr io.Writer) error {
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	cfg, err := config.Load(src)
	if err != nil {
		return err
	}
	first, err := baseOf(cfg)
	if err != nil {
		return err
	}
	clients, err := s.clients()
	if err != nil {
		return err
	}
	build := buildInfo()
	process := wire.NewProcess(cfg, stderr, build)
	defer process.Close()
	log, m := process.Logger, process.Metrics
	quietClient(log)

	var ctl *controller.Controller
	options := proxy.Options{Logger: log, Metrics: m, Version: build.Version, Ready: func() error { return ctl.Ready() }}
	closeStore, err := wire.UseStore(stop, &options, cfg)
	if err != nil {
		return err
	}
	defer closeStore()
	p, err := proxy.New(options, starting(first.Settings))
	if err != nil {
		return err
	}
	crts, err := wire.OpenCertificates(cfg, log, m)
	if err != nil {
		return err
	}
	given, err := newCertificates(log)
	if err != nil {
		return err
	}
	clientListeners := given.listeners(crts.Give(wire.Listeners(cfg.Listen)), s.https)
	m.ObserveCertificates(func() []metrics.Expiry { return append(crts.Expiries(), given.expiries()...) })

	var base atomic.Pointer[plan.Base]
	base.Store(&first)
	ctl = controller.New(controller.Options{
		Clients: clients, Logger: log, Base: func() plan.Base { return *base.Load() },
		Class: s.class, Namespace: s.namespace, DefaultSecret: s.defaultCertificate,
		Leader: controller.Leader{Namespace: s.ownNamespace, Name: s.lease, Identity: s.identity},
		Status: controller.Status{Service: s.publishService, Addresses: s.publishAddresses},
		Apply: func(made plan.Plan) error {
			given.use(made.Certificates) // before the routes, so that a host's first caller gets its certificate
			return p.Swap(made.Settings)
		},
	})
	process.Registry.MustRegister(newCounts(ctl))

	server, err := p.Listen(proxy.Listeners{
		Clients: clientListeners, Challenge: crts.Challenge, Admin: cfg.Admin.Address, AdminTokenFile: cfg.Admin.TokenFile, Gatherer: process.Registry, Pprof: cfg.Admin.PProf,
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; stop what listens there, or choose another address (--listen, --https, --admin)", err)
	}
	if err != nil {
		return err
	}
	reloader := &wire.Reloader{
		Source: src, Started: cfg, Level: process.Level, Log: log, Metrics: m,
		Apply: func(next *config.Config) error {
			made, err := baseOf(next)
			if err == nil {
				base.Store(&made)
				ctl.Changed()
			}
			return err
		},
	}
	wire.Loaded(m)
	working, end := context.WithCancel(context.Background())
	process.Go(func() { ctl.Run(working) })
	process.Go(func() { reloader.Watch(working, hangup.Signals) })
	process.Go(func() { crts.Run(working, server.Addrs()) })
	process.Go(func() { given.run(working) })
	process.Go(func() { collector.Pace(working) })
	defer func() { end(); process.Wait() }()
	log.Info("started",
		zap.String("version", build.Version), zap.String("configuration", cfg.Hash()), zap.String("file", src.Path()),
		zap.Stringers("listen", server.Addrs()), zap.Stringer("admin", server.AdminAddr()),
		zap.String("class", s.class), zap.String("namespace", s.namespace))
	if err := server.Serve(stop, now); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// baseOf makes the settings that apply to all Ingresses from a configuration.
func baseOf(cfg *config.Config) (plan.Base, error) {
	s, err := wire.Settings(cfg)
	return plan.Base{Settings: s, Rules: cfg.Rules}, err
}

// quietClient sends client-go's own messages to the log and keeps klog from writing
// errors to standard error, as it does by default.
func quietClient(log *zap.Logger) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "alsologtostderr": "false", "stderrthreshold": "FATAL", "one_output": "true"} {
		_ = flags.Set(name, value) // klog has defined these flags
	}
	klog.SetOutput(klogWriter{log})
}
