package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"powerjob-shim/internal/await"
)

// events returns the messages of the Events about an Ingress.
func (c *cluster) events(name string) (messages []string) {
	c.t.Helper()
	list, err := c.Core.Events("default").List(c.t.Context(), metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range list.Items {
		if e.InvolvedObject.Kind == "Ingress" && e.InvolvedObject.Name == name && e.Type == corev1.EventTypeWarning {
			messages = append(messages, e.Reason+": "+e.Message)
		}
	}
	return messages
}

func (c *cluster) addresses(name string) string {
	c.t.Helper()
	ing, err := c.Networking.Ingresses("default").Get(c.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	var list []string
	for _, at := range ing.Status.LoadBalancer.Ingress {
		list = append(list, at.IP+at.Hostname)
	}
	return strings.Join(list, " ")
}

func TestTheLeaderWritesEventsAndStatus(t *testing.T) {
	c := newCluster(t)
	c.service("a")
	c.add(ingress("good", "good.test", "a"))
	bad := ingress("bad", "bad.test", "a")
	bad.Annotations["powerjob-shim.dev/window"] = "5"
	c.add(bad)
	ctl := c.run(Options{Status: Status{Addresses: []string{"lb.example.com", "192.0.2.1"}}})
	await.That(t, "the status has the addresses", func() bool { return c.addresses("good") == "192.0.2.1 lb.example.com" })
	await.That(t, "an Event tells", func() bool { return len(c.events("bad")) > 0 })
	if got := c.events("bad"); len(got) != 1 || !strings.HasPrefix(got[0], "InvalidAnnotation: ") || !strings.Contains(got[0], "such as 5s") {
		t.Errorf("Events: %q", got)
	}
	if got := c.events("good"); len(got) > 0 {
		t.Errorf("Events on the good one: %q", got)
	}
	if !ctl.Leading() {
		t.Error("it writes without being the leader")
	}
}

// TestOnlyTheLeaderWrites: while another replica has the Lease, this one writes
// nothing; when the Lease is over, it writes everything.
func TestOnlyTheLeaderWrites(t *testing.T) {
	c := newCluster(t)
	c.service("a")
	c.add(ingress("one", "one.test", "a"))
	first := c.run(Options{})
	await.That(t, "the first leads", first.Leading)
	second := c.run(Options{
		Leader: Leader{Namespace: "default", Name: "lease", Identity: "two", Lease: 15 * time.Second},
		Status: Status{Addresses: []string{"192.0.2.1"}},
	})
	await.That(t, "the second is ready", func() bool { return second.Ready() == nil })
	if second.Leading() || c.addresses("one") != "" {
		t.Error("two leaders")
	}
	lease, err := c.Coordination.Leases("default").Get(t.Context(), "lease", metav1.GetOptions{})
	if err != nil || *lease.Spec.HolderIdentity != "one" {
		t.Errorf("the Lease is %v, %v", lease, err)
	}
}

func TestAProblemIsToldOnceAndAgainWhenItComesBack(t *testing.T) {
	c := newCluster(t)
	c.service("a")
	ing := ingress("one", "one.test", "gone")
	c.add(ing)
	c.run(Options{})
	await.That(t, "an Event tells", func() bool { return len(c.events("one")) == 1 })
	c.update(ingress("one", "one.test", "a"))
	await.That(t, "served", c.answers("one.test", "a"))
	c.update(ingress("one", "one.test", "lost"))
	await.That(t, "another Event tells", func() bool {
		return slices.ContainsFunc(c.events("one"), func(e string) bool { return strings.Contains(e, "no Service default/lost") })
	})
}

func TestAServicesAddressesAreThoseFromOutside(t *testing.T) {
	lb := func(list ...corev1.LoadBalancerIngress) corev1.ServiceStatus {
		return corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: list}}
	}
	for want, svc := range map[string]*corev1.Service{
		"1.2.3.4 lb.test": {Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}, Status: lb(corev1.LoadBalancerIngress{IP: "1.2.3.4", Hostname: "x"}, corev1.LoadBalancerIngress{Hostname: "lb.test"})},
		"":                {Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.0.0.1"}},
		"5.6.7.8":         {Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.1", ExternalIPs: []string{"5.6.7.8"}}},
		"10.0.0.1":        {Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.1"}},
		"name.test":       {Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "name.test"}},
	} {
		if got := strings.Join(serviceAddresses(svc), " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := serviceAddresses(&corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}}); len(got) > 0 {
		t.Errorf("a headless Service: %q", got)
	}
	a, b := []networkingv1.IngressLoadBalancerIngress{{IP: "1"}}, []networkingv1.IngressLoadBalancerIngress{{Hostname: "1"}}
	if sameAddresses(a, b) || !sameAddresses(a, a) || sameAddresses(a, nil) {
		t.Error("addresses are compared wrongly")
	}
}
