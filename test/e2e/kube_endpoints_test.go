package e2e

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// ownAddress is one of the machine's that an API server takes for an endpoint:
// those of loopback are refused.
func ownAddress(t testing.TB) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	missing(t, "this machine has no address besides loopback")
	return ""
}

// pods are two endpoints of one server, each with a port of its own.
type pods struct {
	service string
	address string
	ports   [2]int
}

// startPods serves a handler at two ports, for a Service of that name.
func startPods(t testing.TB, service string, server http.Handler) *pods {
	t.Helper()
	p := &pods{service: service, address: ownAddress(t)}
	for i := range p.ports {
		ln, err := net.Listen("tcp", net.JoinHostPort(p.address, "0"))
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: server, ReadHeaderTimeout: time.Minute}
		go func() { _ = s.Serve(ln) }()
		t.Cleanup(func() { _ = s.Close() })
		p.ports[i] = ln.Addr().(*net.TCPAddr).Port
	}
	return p
}

// conditions of an endpoint, as the API has them.
const (
	isReady  = `{"ready":true,"serving":true,"terminating":false}`
	isEnding = `{"ready":false,"serving":true,"terminating":true}`
	isDown   = `{"ready":false,"serving":false,"terminating":false}`
)

// slice is one EndpointSlice for one of the pods.
func (p *pods) slice(i int, conditions string) string {
	return fmt.Sprintf(`{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"%[1]s-%[2]d","labels":{"kubernetes.io/service-name":"%[1]s"}},
"addressType":"IPv4","ports":[{"name":"web","port":%[3]d}],"endpoints":[{"addresses":[%[4]q],"conditions":%[5]s}]}`, p.service, i, p.ports[i], p.address, conditions)
}

// objects are the Service and a slice for each pod, both ready.
func (p *pods) objects() string {
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {ports: [{name: web, port: 7700}]}\n---\n%s\n---\n%s\n",
		p.service, p.slice(0, isReady), p.slice(1, isReady))
}

// change gives a pod's endpoint other conditions.
func (p *pods) change(t testing.TB, c *cluster, namespace string, i int, conditions string) {
	t.Helper()
	var endpoint any = rawJSON(fmt.Sprintf(`[{"addresses":[%q],"conditions":%s}]`, p.address, conditions))
	c.must(t, http.MethodPatch, fmt.Sprintf("/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices/%s-%d", namespace, p.service, i),
		map[string]any{"endpoints": endpoint}, nil)
}

// ingressYAML is one whose only rule leads all of a host ("": of every host) to
// a Service's port web.
func ingressYAML(name, class, host, service, annotations string) string {
	if host != "" {
		host = "host: " + host + ", "
	}
	return fmt.Sprintf(`---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %s, annotations: {%s}}
spec: {ingressClassName: %s, rules: [{%shttp: {paths: [{path: /, pathType: Prefix, backend: {service: {name: %s, port: {name: web}}}}]}}]}
`, name, annotations, class, host, service)
}
