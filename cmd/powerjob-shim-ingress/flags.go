package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	discoveryclient "k8s.io/client-go/kubernetes/typed/discovery/v1"
	networkingclient "k8s.io/client-go/kubernetes/typed/networking/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"powerjob-shim/cmd/powerjob-shim-ingress/controller"
	"powerjob-shim/internal/config"
	"powerjob-shim/internal/program"
)

// settings are run's own flags.
type settings struct {
	config, kubeconfig string
	https              string

	class, namespace   string
	publishService     string
	publishAddresses   []string
	defaultCertificate string

	ownNamespace, lease, identity string
}

func newRunCmd(environ []string) *cobra.Command {
	s := settings{}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Serve a cluster's Ingresses",
		Long: `Serve a cluster's Ingresses.

Those are served whose IngressClass has spec.controller: powerjob-shim.dev/ingress,
and, where such a class is the default one, those that name no class. Everything
has a default. The configuration file is powerjob-shim's, without routes and
servers: its groups under upstreams are templates, "default" for every Service
and others by the annotation powerjob-shim.dev/upstream. SIGTERM and SIGINT let
requests in flight end; a second one ends at once.`,
		Example: "  powerjob-shim-ingress run --publish-service powerjob/powerjob-shim-ingress",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.complete(environ); err != nil {
				return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
			}
			stop, now, release := program.UntilSignals(cmd.Context())
			defer release()
			src := config.Source{File: s.config, Environ: environ, Flags: cmd.Flags(), Templates: true}
			return serve(stop, now, s, src, cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.config, "config", "", "configuration `file` (default $POWERJOB_SHIM_CONFIG)")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "`file` that says where the API server is (default $KUBECONFIG, else the Pod's own access)")
	f.StringVar(&s.https, "https", ":7443", "`address` for https, with certificates from the Ingresses' Secrets; empty: none")
	f.StringVar(&s.class, "ingress-class", "", "serve this IngressClass `name` alone (default: each of this controller)")
	f.StringVar(&s.namespace, "watch-namespace", "", "serve the Ingresses of this `namespace` alone, without rights elsewhere; IngressClasses are then not read: --ingress-class decides (default there: powerjob-shim)")
	f.StringVar(&s.publishService, "publish-service", "", "`namespace/name` of the Service whose addresses the Ingresses' status gets")
	f.StringArrayVar(&s.publishAddresses, "publish-address", nil, "`address` or host name that the Ingresses' status gets in its place; may be repeated")
	f.StringVar(&s.defaultCertificate, "default-certificate", "", "`namespace/name` of the TLS Secret for hosts without one (default: self-signed)")
	f.StringVar(&s.lease, "lease", "powerjob-shim-ingress", "`name` of the Lease by which the replicas choose the one that writes Events and status")
	f.StringVar(&s.ownNamespace, "namespace", "", "`namespace` of the Lease (default $POD_NAMESPACE, else the Pod's own)")
	f.StringVar(&s.identity, "identity", "", "`name` of this replica in the Lease (default $POD_NAME, else the host's name)")
	config.AddFlags(f)
	_ = f.MarkHidden("upstream") // the flag exists; using it is an error that says what to do
	return cmd
}

// complete fills in the flags that were not given, and checks the others.
func (s *settings) complete(environ []string) error {
	own, _ := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace") // only a Pod has this file
	host, _ := os.Hostname()
	s.ownNamespace = cmp.Or(s.ownNamespace, config.Variable(environ, "POD_NAMESPACE"), strings.TrimSpace(string(own)), s.namespace, "default")
	s.identity = cmp.Or(s.identity, config.Variable(environ, "POD_NAME"), host, "powerjob-shim-ingress")
	if s.namespace != "" {
		s.class = cmp.Or(s.class, "powerjob-shim")
	}
	for flag, name := range map[string]string{"publish-service": s.publishService, "default-certificate": s.defaultCertificate} {
		namespace, rest, ok := strings.Cut(name, "/")
		if name != "" && (!ok || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(rest)) > 0) {
			return fmt.Errorf("--%s %q is no namespace/name", flag, name)
		}
	}
	return nil
}

// clients makes clients of the API server. It sends no request yet.
func (s *settings) clients() (c controller.Clients, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = s.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return c, fmt.Errorf("there is no way to an API server: %w; outside a Pod give --kubeconfig", err)
	}
	v := buildInfo().Version
	config.UserAgent = "powerjob-shim-ingress/" + v
	config.QPS = -1 // no limit here: the API server limits its clients fairly
	// Protobuf takes half the space of JSON, on the wire and while it is read.
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return c, fmt.Errorf("connecting to the API server: %w", err)
	}
	if c.Networking, err = networkingclient.NewForConfigAndClient(config, client); err != nil {
		return c, err
	}
	if c.Core, err = coreclient.NewForConfigAndClient(config, client); err != nil {
		return c, err
	}
	if c.Discovery, err = discoveryclient.NewForConfigAndClient(config, client); err != nil {
		return c, err
	}
	c.Coordination, err = coordinationclient.NewForConfigAndClient(config, client)
	return c, err
}
