package plan

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// tls chooses the certificates for an Ingress's hosts. A host whose Secret has never
// been valid is refused for this Ingress; other Ingresses still serve it.
func (m *maker) tls(e *entry) {
	for i := range e.ing.Spec.TLS {
		t := &e.ing.Spec.TLS[i]
		if t.SecretName == "" {
			continue // the controller's own certificate
		}
		name := e.ing.Namespace + "/" + t.SecretName
		m.secrets[name] = true
		secret, read := m.objects.Secrets[name]
		if !read {
			continue
		}
		if secret.Err != nil {
			m.problem(e.newest, InvalidSecret, fmt.Sprintf("Secret %s: %v", name, secret.Err))
		}
		for _, host := range tlsHosts(e.ing, t) {
			m.certificate(e, host, name, secret)
		}
	}
}

func (m *maker) certificate(e *entry, host, name string, secret Secret) {
	if secret.Certificate == nil {
		if m.refused[key(e.ing)] == nil {
			m.refused[key(e.ing)] = map[string]string{}
		}
		m.refused[key(e.ing)][host] = fmt.Sprintf("Ingress %s: Secret %s: %v", key(e.ing), name, secret.Err)
		return
	}
	if before, taken := m.names[host]; taken {
		if before != name {
			m.problem(e.newest, HostConflict, fmt.Sprintf("%s has its certificate from Secret %s of an older Ingress; name the same Secret, or another host", hostName(host), before))
		}
		return
	}
	m.names[host] = name
	m.Certificates[host] = secret.Certificate
}

// tlsHosts returns the hosts that a certificate is for: those listed with it or, if
// none are, those of the rules.
func tlsHosts(ing *networkingv1.Ingress, t *networkingv1.IngressTLS) []string {
	var hosts []string
	for _, h := range t.Hosts {
		hosts = append(hosts, strings.ToLower(h))
	}
	if len(hosts) == 0 {
		for _, r := range ing.Spec.Rules {
			hosts = append(hosts, strings.ToLower(r.Host))
		}
	}
	return hosts
}
