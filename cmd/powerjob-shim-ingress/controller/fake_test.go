package controller

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	coordinationfake "k8s.io/client-go/kubernetes/typed/coordination/v1/fake"
	corefake "k8s.io/client-go/kubernetes/typed/core/v1/fake"
	discoveryfake "k8s.io/client-go/kubernetes/typed/discovery/v1/fake"
	networkingfake "k8s.io/client-go/kubernetes/typed/networking/v1/fake"
	clienttesting "k8s.io/client-go/testing"

	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
	"powerjob-shim/internal/config"
	"powerjob-shim/internal/wire"
	"powerjob-shim/proxy"
	"powerjob-shim/proxy/upstream"
)

// patience is how long things may take on a busy machine.
const patience = 60 * time.Second

// cluster is a fake API server with an IngressClass "shim" of the controller.
type cluster struct {
	t    *testing.T
	fake *clienttesting.Fake
	Clients
	base plan.Base

	mu    sync.Mutex
	plans []plan.Plan
	proxy *proxy.Proxy
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	f := &clienttesting.Fake{}
	tracker := clienttesting.NewObjectTracker(scheme.Scheme, scheme.Codecs.UniversalDecoder())
	f.AddReactor("*", "*", clienttesting.ObjectReaction(tracker))
	f.AddWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		var options metav1.ListOptions
		if w, ok := action.(clienttesting.WatchActionImpl); ok {
			options = w.ListOptions
		}
		w, err := tracker.Watch(action.GetResource(), action.GetNamespace(), options)
		return err == nil, w, err
	})
	cfg, err := config.Load(config.Source{Templates: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := wire.Settings(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, fake: f, base: plan.Base{Settings: s, Rules: cfg.Rules}, Clients: Clients{
		Networking: &networkingfake.FakeNetworkingV1{Fake: f}, Core: &corefake.FakeCoreV1{Fake: f},
		Discovery: &discoveryfake.FakeDiscoveryV1{Fake: f}, Coordination: &coordinationfake.FakeCoordinationV1{Fake: f},
	}}
	s.Upstreams = map[string]proxy.Upstream{"none": {Settings: upstream.Settings{Dynamic: true}}}
	if c.proxy, err = proxy.New(proxy.Options{}, s); err != nil {
		t.Fatal(err)
	}
	c.class("shim", plan.ControllerName)
	return c
}

// run starts a controller, which ends with the test.
func (c *cluster) run(o Options) *Controller {
	c.t.Helper()
	o.Clients, o.Base = c.Clients, func() plan.Base { return c.base }
	if o.Leader.Identity == "" {
		o.Leader = Leader{Namespace: "default", Name: "lease", Identity: "one", Lease: 15 * time.Second}
	}
	o.Apply = func(made plan.Plan) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.plans = append(c.plans, made)
		return c.proxy.Swap(made.Settings)
	}
	ctl := New(o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctl.Run(c.t.Context())
	}()
	c.t.Cleanup(func() { <-done })
	return ctl
}

// last returns the newest plan.
func (c *cluster) last() plan.Plan {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.plans) == 0 {
		return plan.Plan{}
	}
	return c.plans[len(c.plans)-1]
}

func (c *cluster) class(name, controller string) {
	c.must(c.Networking.IngressClasses().Create(c.t.Context(), &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.IngressClassSpec{Controller: controller},
	}, metav1.CreateOptions{}))
}

func (c *cluster) must(_ any, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// service adds a Service whose server answers with the Service's name.
func (c *cluster) service(name string) {
	c.t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
	c.t.Cleanup(srv.Close)
	u, _ := url.Parse(srv.URL)
	port, _ := strconv.ParseInt(u.Port(), 10, 32)
	c.must(c.Core.Services("default").Create(c.t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "127.0.0.1", Ports: []corev1.ServicePort{{Name: "web", Port: int32(port)}}},
	}, metav1.CreateOptions{}))
}

// ingress makes an Ingress that leads a host to a Service.
func ingress(name, host, service string) *networkingv1.Ingress {
	class, kind := "shim", networkingv1.PathTypePrefix
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), Annotations: map[string]string{}},
		Spec: networkingv1.IngressSpec{IngressClassName: &class, Rules: []networkingv1.IngressRule{{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &kind, Backend: networkingv1.IngressBackend{
				Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Name: "web"}},
			}}}},
		}}}},
	}
}

func (c *cluster) add(ing *networkingv1.Ingress) {
	c.t.Helper()
	c.must(c.Networking.Ingresses(ing.Namespace).Create(c.t.Context(), ing, metav1.CreateOptions{}))
}

func (c *cluster) update(ing *networkingv1.Ingress) {
	c.t.Helper()
	c.must(c.Networking.Ingresses(ing.Namespace).Update(c.t.Context(), ing, metav1.UpdateOptions{}))
}

// answers reports whether a request to host gets want: a body, or a status.
func (c *cluster) answers(host, want string) func() bool {
	return func() bool {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RequestURI, r.Host = "/", host
		w := httptest.NewRecorder()
		c.proxy.ServeHTTP(w, r)
		return w.Body.String() == want || strconv.Itoa(w.Code) == want
	}
}

// pair makes a certificate for a host and its key.
func pair(t *testing.T, host string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}
