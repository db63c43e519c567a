package plan

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOnlyReadyEndpointsAreServers(t *testing.T) {
	yes, no, web, other := true, false, "web", "other"
	var port, otherPort int32 = 7700, 7701
	endpoint := func(address string, ready, serving, terminating *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ready, Serving: serving, Terminating: terminating}}
	}
	for _, c := range []struct {
		name      string
		endpoints []discoveryv1.Endpoint
		want      string
	}{
		{"ready ones", []discoveryv1.Endpoint{endpoint("10.0.0.2", &yes, &yes, nil), endpoint("10.0.0.1", nil, nil, nil), endpoint("10.0.0.3", &no, &no, nil), endpoint("10.0.0.4", &no, &yes, &yes)}, "10.0.0.1:7700 10.0.0.2:7700"},
		{"ending ones where none is ready", []discoveryv1.Endpoint{endpoint("10.0.0.3", &no, &no, &yes), endpoint("10.0.0.4", &no, &yes, &yes)}, "10.0.0.4:7700"},
		{"none", nil, ""},
	} {
		w := newDraft(t)
		w.Services["default/a"] = &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}, Spec: corev1.ServiceSpec{
			Ports: []corev1.ServicePort{{Name: "other", Port: 81}, {Name: "web", Port: 80}},
		}}
		w.Slices["default/a"] = []*discoveryv1.EndpointSlice{
			{AddressType: discoveryv1.AddressTypeIPv4, Endpoints: c.endpoints, Ports: []discoveryv1.EndpointPort{{Name: &other, Port: &otherPort}, {Name: &web, Port: &port}}},
			{AddressType: discoveryv1.AddressTypeIPv6, Endpoints: []discoveryv1.Endpoint{endpoint("fd00::1", &yes, nil, nil)}, Ports: []discoveryv1.EndpointPort{{Name: &web, Port: &port}}},
		}
		w.ingress("one", "h Prefix / a")
		made, _ := Make(w.Objects, testBase(t), nil)
		var got []string
		for _, s := range made.Settings.Upstreams["default/a:80"].Servers {
			got = append(got, s.Host)
		}
		if strings.Join(got, " ") != c.want || len(made.Problems) > 0 {
			t.Errorf("%s: %v, want %s; %v", c.name, got, c.want, made.Problems)
		}
	}
}

// A headless Service's slices have the target port, or no port if the Service maps
// none: then the number in the Ingress is the port.
func TestHeadlessServicesAreServedByTheirEndpoints(t *testing.T) {
	unnamed, target := "", int32(8080)
	for _, c := range []struct {
		ports []discoveryv1.EndpointPort
		want  string
	}{
		{[]discoveryv1.EndpointPort{{Name: &unnamed, Port: &target}}, "10.0.0.1:8080"},
		{nil, "10.0.0.1:80"},
	} {
		w := newDraft(t)
		w.Services["default/a"] = &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}, Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 80}},
		}}
		w.Slices["default/a"] = []*discoveryv1.EndpointSlice{
			{AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}, Ports: c.ports},
		}
		paths := w.ingress("one", "h Prefix / a").Spec.Rules[0].HTTP.Paths
		paths[0].Backend.Service.Port = networkingv1.ServiceBackendPort{Number: 80}
		made, _ := Make(w.Objects, testBase(t), nil)
		servers := made.Settings.Upstreams["default/a:80"].Servers
		if len(servers) != 1 || servers[0].Host != c.want || len(made.Problems) > 0 {
			t.Errorf("%v, want %s; %v", servers, c.want, made.Problems)
		}
	}
}
