package controller

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
	"powerjob-shim/internal/await"
)

func TestWhatTheIngressesSayIsServed(t *testing.T) {
	c := newCluster(t)
	c.service("a")
	c.service("b")
	c.add(ingress("one", "one.test", "a"))
	foreign := ingress("foreign", "foreign.test", "a")
	other := "nginx"
	foreign.Spec.IngressClassName = &other
	c.add(foreign)
	ctl := c.run(Options{})
	await.That(t, "ready", func() bool { return ctl.Ready() == nil })
	if !c.answers("one.test", "a")() || !c.answers("foreign.test", "404")() {
		t.Error("ready, but one.test is not served by a, or foreign.test is")
	}
	c.add(ingress("two", "two.test", "b"))
	await.That(t, "a new Ingress is served", c.answers("two.test", "b"))
	c.update(ingress("one", "one.test", "b"))
	await.That(t, "a changed one is served", c.answers("one.test", "b"))
	if err := c.Networking.Ingresses("default").Delete(t.Context(), "two", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await.That(t, "a deleted one is not", c.answers("two.test", "404"))
	moved := foreign.DeepCopy()
	moved.Spec.IngressClassName = ingress("", "", "").Spec.IngressClassName
	c.update(moved)
	await.That(t, "one that changed its class is served", c.answers("foreign.test", "a"))
	if n, _ := ctl.Counts(); n != 2 {
		t.Errorf("%d Ingresses are counted, want 2", n)
	}
}

func TestItIsNotReadyBeforeEverythingHasBeenRead(t *testing.T) {
	c := newCluster(t)
	reading := make(chan struct{})
	c.fake.PrependReactor("list", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
		<-reading
		return false, nil, nil
	})
	c.add(ingress("one", "one.test", "a"))
	ctl := c.run(Options{})
	if err := ctl.Ready(); err == nil || !strings.Contains(err.Error(), "not all been read yet") {
		t.Errorf("ready before the Services are known: %v", err)
	}
	close(reading)
	await.That(t, "ready", func() bool { return ctl.Ready() == nil })
}

func TestInOneNamespaceNothingElseIsAskedFor(t *testing.T) {
	c := newCluster(t)
	c.service("a")
	c.add(ingress("one", "one.test", "a"))
	ctl := c.run(Options{Namespace: "default", Class: "shim"})
	await.That(t, "ready", func() bool { return ctl.Ready() == nil })
	await.That(t, "served", c.answers("one.test", "a"))
	for _, a := range c.fake.Actions() {
		if a.GetVerb() != "create" && (a.GetNamespace() != "default" || a.GetResource().Resource == "ingressclasses") {
			t.Errorf("asked for %s %s in %q", a.GetVerb(), a.GetResource().Resource, a.GetNamespace())
		}
	}
}

// TestAPlanThatCannotBeAppliedLeavesTheOneBefore, and the controller goes on.
func TestAPlanThatCannotBeAppliedLeavesTheOneBefore(t *testing.T) {
	c := newCluster(t)
	c.service("a")
	c.add(ingress("one", "one.test", "a"))
	o := Options{Clients: c.Clients, Base: func() plan.Base { return c.base }, Leader: Leader{Namespace: "default", Name: "l", Identity: "i"}}
	applied := make(chan int, 100)
	bad := true
	o.Apply = func(p plan.Plan) error {
		applied <- len(p.Settings.Routes)
		if bad = !bad; bad {
			return nil
		}
		return errors.New("no")
	}
	ctl := New(o)
	done := make(chan struct{})
	go func() { defer close(done); ctl.Run(t.Context()) }()
	t.Cleanup(func() { <-done })
	<-applied
	if n, _ := ctl.Counts(); n != 0 {
		t.Errorf("%d Ingresses count as served by a plan that was refused", n)
	}
	ctl.Changed()
	<-applied
	await.That(t, "the next plan counts", func() bool { n, _ := ctl.Counts(); return n == 1 })
}

func TestSecretsAreReadByNameAlone(t *testing.T) {
	c := newCluster(t)
	c.service("a")
	cert, key := pair(t, "one.test")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "s"}, Data: map[string][]byte{"tls.crt": cert, "tls.key": key}}
	c.must(c.Core.Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{}))
	ing := ingress("one", "one.test", "a")
	ing.Spec.TLS = []networkingv1.IngressTLS{{SecretName: "s"}}
	c.add(ing)
	missing := ingress("two", "two.test", "a")
	missing.Spec.TLS = []networkingv1.IngressTLS{{SecretName: "gone"}}
	c.add(missing)
	ctl := c.run(Options{DefaultSecret: "default/s"})
	await.That(t, "ready", func() bool { return ctl.Ready() == nil })
	made := c.last()
	if made.Certificates["one.test"] == nil || made.Certificates[""] != made.Certificates["one.test"] {
		t.Errorf("ready, with certificates for %v", made.Certificates)
	}
	if !c.answers("one.test", "a")() || !c.answers("two.test", "503")() {
		t.Error("the Ingress with a Secret is not served, or the one without is")
	}
	if len(made.Problems) != 1 || made.Problems[0].Reason != plan.InvalidSecret || !strings.Contains(made.Problems[0].Message, "kubectl create secret tls gone") {
		t.Errorf("problems: %v", made.Problems)
	}
	for _, a := range c.fake.Actions() {
		if a.GetResource().Resource == "secrets" && a.GetVerb() != "get" && a.GetVerb() != "create" {
			t.Errorf("%s of Secrets", a.GetVerb())
		}
	}
	other := *secret
	other.Name = "gone"
	c.must(c.Core.Secrets("default").Create(t.Context(), &other, metav1.CreateOptions{}))
	ctl.secrets.mu.Lock()
	ctl.secrets.list["default/gone"].next = time.Time{} // instead of waiting for readSoon
	ctl.secrets.mu.Unlock()
	await.That(t, "a Secret that comes later is served", c.answers("two.test", "a"))
}

func TestABadSecretLeavesTheGoodOneInForce(t *testing.T) {
	cert, key := pair(t, "a.test")
	newCert, newKey := pair(t, "a.test")
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "s", nil)
	k := &secret{}
	s := &secrets{log: zap.NewNop()}
	var first *tls.Certificate
	for _, c := range []struct {
		name      string
		cert, key []byte
		err       error
		news      bool
		wrong     string
	}{
		{"the API server is away", nil, nil, errors.New("connection refused"), false, ""},
		{"a key is missing", cert, nil, nil, true, "it has no tls.key; write"},
		{"still", cert, nil, nil, false, "it has no tls.key; write"},
		{"good", cert, key, nil, true, ""},
		{"as before", cert, key, nil, false, ""},
		{"another's key", cert, newKey, nil, true, "write a certificate chain and its key in PEM"},
		{"forbidden", nil, nil, forbidden, true, "rbac.secretNames"},
		{"away again", nil, nil, errors.New("connection refused"), false, "rbac.secretNames"},
		{"good again", cert, key, nil, true, ""},
		{"renewed", newCert, newKey, nil, true, ""},
	} {
		found := &corev1.Secret{Data: map[string][]byte{"tls.crt": c.cert, "tls.key": c.key}}
		if news := s.note("default/s", k, found, c.err); news != c.news {
			t.Errorf("%s: news is %t", c.name, news)
		}
		if got := ""; k.Err != nil {
			got = k.Err.Error()
			if c.wrong == "" || !strings.Contains(got, c.wrong) {
				t.Errorf("%s: %q, want %q", c.name, got, c.wrong)
			}
		} else if c.wrong != "" {
			t.Errorf("%s: nothing is wrong", c.name)
		}
		switch {
		case c.name == "good":
			first = k.Certificate
		case c.name == "renewed" && k.Certificate == first, c.name != "renewed" && k.Certificate != first:
			t.Errorf("%s: the certificate is the old one: %t", c.name, k.Certificate == first)
		}
	}
	if !slices.Equal(k.cert, newCert) || time.Until(k.next) < readSoon*2 {
		t.Errorf("a good one is read again in %v", time.Until(k.next))
	}
}
