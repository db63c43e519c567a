package plan

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"powerjob-shim/proxy"
	"powerjob-shim/proxy/upstream"
)

// group is an upstream group that is being made: a port of a Service.
type group struct {
	name    string // namespace/service:port; part of the dedup records' keys
	service *corev1.Service
	port    corev1.ServicePort

	annotations annotations
	from        map[string]string // the Ingress that gave an annotation, by its name
}

// backend returns the group for b, or a reason of problems and what is wrong.
func (m *maker) backend(e *entry, b *networkingv1.IngressBackend) (g *group, reason, wrong string) {
	if b.Service == nil {
		return nil, InvalidBackend, "a backend that is no Service cannot be served; write backend.service"
	}
	name := e.ing.Namespace + "/" + b.Service.Name
	svc := m.objects.Services[name]
	if svc == nil {
		return nil, ServiceNotFound, fmt.Sprintf("there is no Service %s; create it, or correct backend.service.name", name)
	}
	port, wrong := servicePort(svc, b.Service.Port)
	if wrong != "" {
		return nil, PortNotFound, wrong
	}
	full := name + ":" + strconv.Itoa(int(port.Port))
	if g = m.groups[full]; g == nil {
		g = &group{name: full, service: svc, port: port, annotations: annotations{}, from: map[string]string{}}
		m.groups[full] = g
	}
	return g, "", ""
}

// servicePort finds a port by its number or name.
func servicePort(svc *corev1.Service, want networkingv1.ServiceBackendPort) (port corev1.ServicePort, wrong string) {
	var has []string
	for _, p := range svc.Spec.Ports {
		if p.Protocol != "" && p.Protocol != corev1.ProtocolTCP {
			continue
		}
		if want.Name != "" && p.Name == want.Name || want.Name == "" && p.Port == want.Number {
			return p, ""
		}
		has = append(has, strings.Trim(p.Name+" "+strconv.Itoa(int(p.Port)), " "))
	}
	open := svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Spec.ClusterIP == corev1.ClusterIPNone
	if open && len(svc.Spec.Ports) == 0 && want.Number != 0 {
		return corev1.ServicePort{Port: want.Number}, ""
	}
	return port, fmt.Sprintf("Service %s/%s has no port %s; write one of: %s", svc.Namespace, svc.Name,
		cmp.Or(want.Name, strconv.Itoa(int(want.Number))), cmp.Or(strings.Join(has, ", "), "none, add it to the Service"))
}

// annotate adds an Ingress's annotations to those of its group. It is called for
// older Ingresses first, whose annotations win.
func (m *maker) annotate(e *entry, g *group) {
	for name, value := range e.annotations {
		if name == StripPrefix {
			continue // it belongs to the route
		}
		before, taken := g.annotations[name]
		if !taken {
			g.annotations[name], g.from[name] = value, key(e.ing)
		} else if before != value {
			m.problem(e.newest, AnnotationConflict, fmt.Sprintf("annotation %s%s: Service %s has %q from the older Ingress %s; write the same, or lead this Ingress to another Service",
				Prefix, name, g.name, before, g.from[name]))
		}
	}
}

// upstream makes a group's settings.
func (m *maker) upstream(g *group) proxy.Upstream {
	u, ok := m.base.Settings.Upstreams[cmp.Or(g.annotations[Template], "default")]
	if !ok {
		u = proxy.Upstream{Settings: upstream.Settings{Timeout: 30 * time.Second}}
	}
	u.Dynamic, u.Policy = true, m.policy(g.annotations)
	u.Servers = m.servers(g)
	u.Host = cmp.Or(g.annotations[Host], u.Host)
	u.OpenAPIPrefix = cmp.Or(g.annotations[OpenAPIPrefix], u.OpenAPIPrefix)
	if d, err := time.ParseDuration(g.annotations[Timeout]); err == nil {
		u.Timeout, u.StreamTimeout = d, max(d, u.StreamLimit())
	}
	if v := g.annotations[Unreachable]; v != "" {
		u.AnswerUnreachable = v == "error"
	}
	return u
}

// servers returns the addresses of a group, sorted: the ready ones or, if there are
// none, those that are terminating but still serve.
func (m *maker) servers(g *group) []*url.URL {
	scheme := "http"
	if g.port.AppProtocol != nil && strings.EqualFold(*g.port.AppProtocol, "https") {
		scheme = "https"
	}
	scheme = cmp.Or(g.annotations[UpstreamProtocol], scheme)
	var ready, ending []string
	if g.service.Spec.Type == corev1.ServiceTypeExternalName {
		ready = []string{net.JoinHostPort(g.service.Spec.ExternalName, strconv.Itoa(int(g.port.Port)))}
	} else {
		for _, slice := range m.slices(g.service) {
			port := slicePort(slice, g.port)
			if port == 0 {
				continue
			}
			for i := range slice.Endpoints {
				to := &ready
				switch c := slice.Endpoints[i].Conditions; {
				case c.Ready == nil || *c.Ready:
				case c.Serving != nil && *c.Serving && c.Terminating != nil && *c.Terminating:
					to = &ending
				default:
					continue
				}
				for _, address := range slice.Endpoints[i].Addresses {
					*to = append(*to, net.JoinHostPort(address, strconv.Itoa(port)))
				}
			}
		}
	}
	if len(ready) == 0 {
		ready = ending
	}
	slices.Sort(ready)
	var servers []*url.URL
	for _, address := range slices.Compact(ready) {
		servers = append(servers, &url.URL{Scheme: scheme, Host: address})
	}
	return servers
}

// slices returns a Service's EndpointSlices of its first address family only: with
// both families each Pod would be listed twice.
func (m *maker) slices(svc *corev1.Service) []*discoveryv1.EndpointSlice {
	family := discoveryv1.AddressTypeIPv4
	all := m.objects.Slices[svc.Namespace+"/"+svc.Name]
	if len(svc.Spec.IPFamilies) > 0 {
		family = discoveryv1.AddressType(svc.Spec.IPFamilies[0])
	} else if !slices.ContainsFunc(all, func(s *discoveryv1.EndpointSlice) bool { return s.AddressType == family }) {
		family = discoveryv1.AddressTypeIPv6
	}
	return slices.DeleteFunc(slices.Clone(all), func(s *discoveryv1.EndpointSlice) bool {
		return s.AddressType != family && s.AddressType != discoveryv1.AddressTypeFQDN
	})
}

// slicePort returns the endpoints' port in a slice for a Service's port; 0: none.
func slicePort(slice *discoveryv1.EndpointSlice, want corev1.ServicePort) int {
	if len(slice.Ports) == 0 && want.Name == "" { // a headless Service without ports
		return int(want.Port)
	}
	for _, p := range slice.Ports {
		name := ""
		if p.Name != nil {
			name = *p.Name
		}
		if name == want.Name && p.Port != nil {
			return int(*p.Port)
		}
	}
	return 0
}
