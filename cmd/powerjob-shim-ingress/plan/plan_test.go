package plan

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"powerjob-shim/internal/config"
	"powerjob-shim/internal/wire"
	"powerjob-shim/proxy"
	"powerjob-shim/rules/access"
)

// draft collects objects for a plan. Each Service leads to a server that answers with
// the Service's name and the path that it got.
type draft struct {
	t *testing.T
	Objects
	age int
}

func newDraft(t *testing.T) *draft {
	return &draft{t: t, Objects: Objects{Services: map[string]*corev1.Service{}, Slices: map[string][]*discoveryv1.EndpointSlice{}, Secrets: map[string]Secret{}}}
}

// service adds default/name, an ExternalName with port 80's server.
func (w *draft) service(names ...string) *draft {
	for _, name := range names {
		srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, name, " ", r.URL.Path) }))
		w.t.Cleanup(srv.Close)
		u, _ := url.Parse(srv.URL)
		port, _ := strconv.Atoi(u.Port())
		w.Services["default/"+name] = &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "127.0.0.1", Ports: []corev1.ServicePort{{Name: "web", Port: int32(port)}}}, //nolint:gosec // a port
		}
	}
	return w
}

// ingress adds an Ingress that is younger than those before. A rule is "host type path
// service"; the host "-" means none.
func (w *draft) ingress(name string, rules ...string) *networkingv1.Ingress {
	w.age++
	ing := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: name, Annotations: map[string]string{}, CreationTimestamp: metav1.NewTime(time.Unix(int64(w.age), 0)),
	}}
	for _, r := range rules {
		f := strings.Fields(r)
		kind := networkingv1.PathType(f[1])
		ing.Spec.Rules = append(ing.Spec.Rules, networkingv1.IngressRule{
			Host: strings.TrimPrefix(f[0], "-"),
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{
				{Path: strings.TrimPrefix(f[2], "-"), PathType: &kind, Backend: backendTo(f[3])},
			}}},
		})
	}
	w.Ingresses = append(w.Ingresses, ing)
	return ing
}

func backendTo(service string) networkingv1.IngressBackend {
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Name: "web"}}}
}

func testBase(t *testing.T) Base {
	t.Helper()
	cfg, err := config.Load(config.Source{Templates: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := wire.Settings(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return Base{s, cfg.Rules}
}

// ask sends a request for host and path, and returns the Service and the path that it
// got, or the answer's status.
func ask(t *testing.T, p *proxy.Proxy, host, path string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RequestURI, r.Host = path, host
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return strconv.Itoa(w.Code)
	}
	body, _ := io.ReadAll(w.Body)
	return string(body)
}

func (w *draft) proxy() (*proxy.Proxy, Plan) {
	w.t.Helper()
	made, _ := Make(w.Objects, testBase(w.t), nil)
	p, err := proxy.New(proxy.Options{}, made.Settings)
	if err != nil {
		w.t.Fatal(err)
	}
	return p, made
}

// TestTheIngressAPIsSentences checks each sentence of the API about hosts and paths
// (networking.k8s.io/v1, and Kubernetes' page on Ingress) by requests.
func TestTheIngressAPIsSentences(t *testing.T) {
	for _, c := range []struct {
		sentence string
		rules    string // of one Ingress each, separated by ;
		asks     string // host/path=service
	}{
		{"Exact: matches the URL path exactly and with case sensitivity", "h Exact /foo a", "h/foo=a h/FOO=404 h/foo/=404 h/foo/bar=404 h/foobar=404 h/=404"},
		{"Exact: a slash at the end counts", "h Exact /foo/ a", "h/foo/=a h/foo=404"},
		{"Prefix: / matches all paths", "h Prefix / a", "h/=a h/foo=a h/foo/bar=a"},
		{"Prefix: matching is by element, split by /", "h Prefix /aaa/bb a;h Prefix /foo b", "h/aaa/bbb=404 h/aaa/bb=a h/foo=b h/foo/=b h/foo/bar=b h/foobar=404"},
		{"Prefix: a trailing slash of the rule is ignored", "h Prefix /aaa/bbb/ a", "h/aaa/bbb=a h/aaa/bbb/=a h/aaa/bbb/ccc=a h/aaa/bbbxyz=404"},
		{"Prefix: case sensitive", "h Prefix /foo a", "h/Foo=404"},
		{"Multiple matches: the longest matching path wins", "h Prefix / a;h Prefix /aaa b;h Prefix /aaa/bbb c", "h/x=a h/aaa/x=b h/aaa/bbb=c h/aaa/bbb/x=c"},
		{"Multiple matches: of two equal ones, Exact before Prefix", "h Prefix /foo a;h Exact /foo b", "h/foo=b h/foo/=a h/foo/x=a"},
		{"ImplementationSpecific is treated as Prefix", "h ImplementationSpecific /foo a;i ImplementationSpecific - b", "h/foo=a h/foo/x=a h/foobar=404 i/x=b"},
		{"Host: precise", "a.b Prefix / a", "a.b/=a A.B/=a a.b:8080/=a x.a.b/=404 b/=404"},
		{"Host: a wildcard is equal to the host without its first label", "*.foo.com Prefix / a", "bar.foo.com/=a baz.bar.foo.com/=404 foo.com/=404"},
		{"Host: a precise one before a wildcard", "*.foo.com Prefix / a;bar.foo.com Prefix / b", "bar.foo.com/=b baz.foo.com/=a"},
		{"Host: without one, the rule is for all traffic", "- Prefix /foo a;h Prefix /bar b", "x/foo=a h/foo=a h/bar=b x/bar=404"},
		{"Host: without one comes after a host", "- Prefix / a;h Prefix / b", "x/=a h/=b"},
		{"Several Ingresses for one host are one list of paths", "h Prefix /a a;h Prefix /b b;h Exact /a/x c", "h/a=a h/b=b h/a/x=c h/c=404"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			w := newDraft(t).service("a", "b", "c")
			for i, rule := range strings.Split(c.rules, ";") {
				w.ingress(fmt.Sprint("i", i), rule)
			}
			p, made := w.proxy()
			if len(made.Problems) > 0 {
				t.Errorf("problems: %v", made.Problems)
			}
			for _, a := range strings.Fields(c.asks) {
				target, want, _ := strings.Cut(a, "=")
				host, path, _ := strings.Cut(target, "/")
				if got, _, _ := strings.Cut(ask(t, p, host, "/"+path), " "); got != want {
					t.Errorf("%s/%s: %s, want %s", host, path, got, want)
				}
			}
		})
	}
}

func TestTheDefaultBackendGetsWhatNoRuleIsFor(t *testing.T) {
	w := newDraft(t).service("a", "d1", "d2", "any")
	to := func(s string) *networkingv1.IngressBackend { b := backendTo(s); return &b }
	w.ingress("one", "h Prefix /a a").Spec.DefaultBackend = to("d1")
	two := w.ingress("two", "i Prefix /a a")
	two.Spec.DefaultBackend = to("d2")
	two.Spec.Rules = append(two.Spec.Rules, networkingv1.IngressRule{Host: "k"}) // a host without paths
	w.ingress("three", "- Prefix /any any")
	p, made := w.proxy()
	for target, want := range map[string]string{"h/a": "a", "h/x": "d1", "i/x": "d2", "k/x": "d2", "x/x": "d1", "i/any": "any"} {
		host, path, _ := strings.Cut(target, "/")
		if got, _, _ := strings.Cut(ask(t, p, host, "/"+path), " "); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	if len(made.Problems) > 0 {
		t.Errorf("problems: %v", made.Problems)
	}
}

func TestWhatIsWrongIs503ForItsRouteAlone(t *testing.T) {
	for _, c := range []struct {
		name, reason, advice string
		spoil                func(*draft, *networkingv1.Ingress)
	}{
		{"a pattern for a path", InvalidPath, "write whole segments", func(_ *draft, i *networkingv1.Ingress) { i.Spec.Rules[0].HTTP.Paths[0].Path = "/bad(/|$)(.*)" }},
		{"no Service", ServiceNotFound, "create it", func(_ *draft, i *networkingv1.Ingress) {
			i.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name = "gone"
		}},
		{"no such port", PortNotFound, "write one of: web ", func(_ *draft, i *networkingv1.Ingress) {
			i.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Port.Name = "x"
		}},
		{"a resource", InvalidBackend, "write backend.service", func(_ *draft, i *networkingv1.Ingress) {
			i.Spec.Rules[0].HTTP.Paths[0].Backend = networkingv1.IngressBackend{Resource: &corev1.TypedLocalObjectReference{}}
		}},
		{"a Secret without a key", InvalidSecret, "Secret default/s: no tls.key", func(w *draft, i *networkingv1.Ingress) {
			i.Spec.TLS = []networkingv1.IngressTLS{{SecretName: "s"}}
			w.Secrets["default/s"] = Secret{Err: errors.New("no tls.key")}
		}},
		{"an annotation's value", InvalidAnnotation, "write a duration with its unit", func(_ *draft, i *networkingv1.Ingress) { i.Annotations[Prefix+Window] = "5" }},
		{"a template that is not there", InvalidAnnotation, "add it under upstreams", func(_ *draft, i *networkingv1.Ingress) { i.Annotations[Prefix+Template] = "slow" }},
		{"an annotation's name", InvalidAnnotation, "write one of auth-mode, ", func(_ *draft, i *networkingv1.Ingress) { i.Annotations[Prefix+"widnow"] = "5s" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newDraft(t).service("a", "b")
			c.spoil(w, w.ingress("bad", "h Prefix /bad a"))
			w.ingress("good", "h Prefix /good b")
			p, made := w.proxy()
			if got := ask(t, p, "h", "/bad/x"); got != "503" {
				t.Errorf("the bad one answers %s", got)
			}
			if got := ask(t, p, "h", "/good"); got != "b /good" {
				t.Errorf("the good one answers %s", got)
			}
			if len(made.Problems) != 1 || made.Problems[0].Reason != c.reason || made.Problems[0].Ingress.Name != "bad" || !strings.Contains(made.Problems[0].Message, c.advice) {
				t.Errorf("problems: %+v", made.Problems)
			}
		})
	}
}

func TestABadAnnotationLeavesTheLastGoodStateInForce(t *testing.T) {
	w := newDraft(t).service("a", "b")
	ing := w.ingress("one", "h Prefix / a")
	base := testBase(t)
	_, good := Make(w.Objects, base, nil)
	bad := ing.DeepCopy()
	bad.Annotations[Prefix+AuthMode] = "on"
	bad.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name = "b"
	w.Ingresses[0] = bad
	for range 2 { // the last good state stays in force for every further plan
		var made Plan
		made, good = Make(w.Objects, base, good)
		p, err := proxy.New(proxy.Options{}, made.Settings)
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, p, "h", "/x"); got != "a /x" {
			t.Errorf("got %s", got)
		}
		if len(made.Problems) != 1 || made.Problems[0].Ingress != bad {
			t.Errorf("problems: %+v", made.Problems)
		}
	}
}

func TestTheOlderIngressWins(t *testing.T) {
	w := newDraft(t).service("a", "b")
	w.ingress("old", "h Prefix /x a").Annotations[Prefix+Window] = "7s"
	young := w.ingress("young", "h Prefix /x/ b", "h Prefix /y a")
	young.Annotations[Prefix+Window] = "8s"
	young.Annotations[Prefix+AuthMode] = "observe"
	slices.Reverse(w.Ingresses)
	p, made := w.proxy()
	if got := ask(t, p, "h", "/x"); got != "a /x" {
		t.Errorf("got %s", got)
	}
	var reasons []string
	for _, p := range made.Problems {
		reasons = append(reasons, p.Ingress.Name+" "+p.Reason)
	}
	if want := []string{"young HostConflict", "young AnnotationConflict"}; !slices.Equal(reasons, want) {
		t.Errorf("problems %v, want %v", reasons, want)
	}
	for name, u := range made.Settings.Upstreams {
		if strings.HasPrefix(name, "default/a:") && (u.Policy.Rules.Window() != 7*time.Second || u.Policy.Access.Mode != access.Observe) {
			t.Errorf("%s: window %v, gate %v", name, u.Policy.Rules.Window(), u.Policy.Access.Mode)
		}
	}
}

func TestAnnotationsBecomeTheGroupsSettings(t *testing.T) {
	w := newDraft(t).service("a")
	ing := w.ingress("one", "h Prefix / a")
	for name, value := range map[string]string{
		Mode: "observe", DedupMatch: "resend", AuthMode: "enforce", OpenAPIPrefix: "/x/openApi",
		StripPrefix: "/pj", Host: "pj.example.com", UpstreamProtocol: "https", Unreachable: "error", Timeout: "15m",
	} {
		ing.Annotations[Prefix+name] = value
	}
	made, _ := Make(w.Objects, testBase(t), nil)
	if len(made.Problems) > 0 {
		t.Fatal(made.Problems)
	}
	for _, u := range made.Settings.Upstreams {
		m := u.Policy.Rules.For("POST", "h", "/openApi/saveJob")
		for name, pair := range map[string][2]any{
			"observe": {u.Policy.Observing, true}, "match": {m.Dedup.Match.String(), "resend"},
			"the gate": {u.Policy.Access.Mode, access.Enforce}, "prefix": {u.OpenAPIPrefix, "/x/openApi"}, "unreachable": {u.AnswerUnreachable, true},
			"timeout": {u.Timeout, 15 * time.Minute}, "stream timeout": {u.StreamTimeout, 15 * time.Minute},
			"host": {u.Host, "pj.example.com"}, "scheme": {u.Servers[0].Scheme, "https"}, "strip": {made.Settings.Routes[0].StripPrefix, "/pj"},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
			}
		}
	}
}

func TestCertificatesAreByHost(t *testing.T) {
	w := newDraft(t).service("a")
	first, second := &tls.Certificate{}, &tls.Certificate{}
	w.Secrets["default/s1"], w.Secrets["default/s2"] = Secret{Certificate: first}, Secret{Certificate: second, Err: errors.New("the newest content is bad")}
	w.ingress("one", "H.test Prefix / a").Spec.TLS = []networkingv1.IngressTLS{{SecretName: "s1"}}
	w.ingress("two", "i.test Prefix / a").Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{"*.i.test", "h.test"}, SecretName: "s2"}, {Hosts: []string{"x"}}}
	made, _ := Make(w.Objects, testBase(t), nil)
	if len(made.Certificates) != 2 || made.Certificates["h.test"] != first || made.Certificates["*.i.test"] != second || !slices.Equal(made.Secrets, []string{"default/s1", "default/s2"}) {
		t.Errorf("got %v, %v", made.Certificates, made.Secrets)
	}
	if len(made.Problems) != 2 { // the newest content, and h.test twice
		t.Errorf("problems: %+v", made.Problems)
	}
}

func TestClassesDecideWhichIngressesAreOurs(t *testing.T) {
	class := func(name, controller string, isDefault bool) *networkingv1.IngressClass {
		c := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.IngressClassSpec{Controller: controller}}
		if isDefault {
			c.Annotations = map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}
		}
		return c
	}
	list := []*networkingv1.IngressClass{class("shim", ControllerName, false), class("nginx", "k8s.io/ingress-nginx", true), class("main", ControllerName, true)}
	named := func(name string) *networkingv1.Ingress {
		return &networkingv1.Ingress{Spec: networkingv1.IngressSpec{IngressClassName: &name}}
	}
	old := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"kubernetes.io/ingress.class": "shim"}}}
	all, only := ClassesOf(list, ""), ClassesOf(list, "shim")
	for i, c := range []struct{ got, want bool }{
		{all.Ours(named("shim")), true}, {all.Ours(named("nginx")), false}, {all.Ours(named("gone")), false}, {all.Ours(old), true},
		{all.Ours(&networkingv1.Ingress{}), true}, {only.Ours(&networkingv1.Ingress{}), false}, {only.Ours(named("main")), false}, {OnlyClass("x").Ours(named("x")), true},
	} {
		if c.got != c.want {
			t.Errorf("%d: ours is %t, want %t", i, c.got, c.want)
		}
	}
}

func TestNothingAtAllIsServed(t *testing.T) {
	p, _ := newDraft(t).proxy()
	if got := ask(t, p, "h", "/"); got != "404" {
		t.Errorf("got %s", got)
	}
}
