package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"powerjob-shim/internal/await"
)

// leader is who holds a release's Lease; "": nobody yet.
func (i *installed) leader() string {
	var lease map[string]any
	if i.cluster.do(http.MethodGet, "/apis/coordination.k8s.io/v1/namespaces/"+i.namespace+"/leases/"+i.namespace, nil, &lease) != nil {
		return ""
	}
	holder, _ := object(lease).at("spec", "holderIdentity").(string)
	return holder
}

// addresses are those of an Ingress's status.
func (i *installed) addresses(t testing.TB, name string) string {
	t.Helper()
	list, err := json.Marshal(i.cluster.reading(t, "/apis/networking.k8s.io/v1/namespaces/"+i.namespace+"/ingresses/"+name).at("status", "loadBalancer", "ingress"))
	if err != nil {
		t.Fatal(err)
	}
	return string(list)
}

// events are those about an Ingress, as "Reason: message", with how often each
// was told.
func (i *installed) events(t testing.TB, name string) map[string]int {
	t.Helper()
	var list struct {
		Items []struct {
			Reason, Message, Type string
			Count                 int
			InvolvedObject        struct{ Kind, Name string }
		}
	}
	i.cluster.must(t, http.MethodGet, "/api/v1/namespaces/"+i.namespace+"/events", nil, &list)
	told := map[string]int{}
	for _, e := range list.Items {
		if e.Type == "Warning" && e.InvolvedObject.Kind == "Ingress" && e.InvolvedObject.Name == name {
			told[e.Reason+": "+e.Message] += e.Count
		}
	}
	return told
}

// annotate gives an Ingress an annotation of the controller's.
func (i *installed) annotate(t testing.TB, ingress, name, value string) {
	t.Helper()
	i.cluster.must(t, http.MethodPatch, "/apis/networking.k8s.io/v1/namespaces/"+i.namespace+"/ingresses/"+ingress,
		map[string]any{"metadata": map[string]any{"annotations": map[string]any{"powerjob-shim.dev/" + name: value}}}, nil)
}

// localhostService is a Service that leads to a port of this machine.
func localhostService(name, address string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {type: ExternalName, externalName: localhost, ports: [{name: web, port: %s}]}\n",
		name, address[strings.LastIndexByte(address, ':')+1:])
}

// page is a server that answers everything with 200.
func page(t testing.TB) (address string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "page") }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestKubeAnotherReplicaLeadsWhenTheLeaderIsKilled: only the leader writes
// Events and status, and what it may do is what it does.
func TestKubeAnotherReplicaLeadsWhenTheLeaderIsKilled(t *testing.T) {
	c := needCluster(t)
	i := c.install(t, "leading", "")
	witnesses := []*witness{c.witness(t), c.witness(t)}
	replicas := []*controller{i.run(t, "0", witnesses[0].url).ready(t), i.run(t, "1", witnesses[1].url).ready(t)}
	const bad, good = `powerjob-shim.dev/window: "5"`, ""
	cert := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: none}\nstringData: {a: b}\n"
	withSecret := strings.Replace(ingressYAML("secure", i.namespace, "secure.test", "page", good), "spec: {", "spec: {tls: [{secretName: none}], ", 1)
	c.apply(t, localhostService("page", page(t))+cert+withSecret+
		ingressYAML("good", i.namespace, "good.test", "page", good)+ingressYAML("bad", i.namespace, "bad.test", "page", bad), "-n", i.namespace)

	ip, _ := c.reading(t, "/api/v1/namespaces/"+i.namespace+"/services/"+i.namespace).at("spec", "clusterIP").(string)
	written := func(name string) func() bool {
		return func() bool { return i.addresses(t, name) == fmt.Sprintf(`[{"ip":%q}]`, ip) }
	}
	nothing := func() string { return "" }
	told := func(name string) func() bool { return func() bool { return len(i.events(t, name)) > 0 } }
	await.That(t, "the status has the Service's address", written("good"), nothing)
	await.That(t, "an Event tells what is wrong", told("bad"), nothing)
	for n, r := range replicas {
		await.That(t, fmt.Sprint("replica ", n, " serves"), r.serves("good.test", "/"), nothing)
	}
	leader := slices.Index([]string{"0", "1"}, i.leader())
	if leader < 0 {
		t.Fatalf("%q leads", i.leader())
	}
	other := 1 - leader
	if list := witnesses[other].writes(); len(list) > 0 {
		t.Errorf("the replica that does not lead wrote %v", list)
	}

	replicas[leader].Kill()
	c.apply(t, ingressYAML("later", i.namespace, "later.test", "page", good)+ingressYAML("wrong", i.namespace, "wrong.test", "gone", good), "-n", i.namespace)
	await.That(t, "the other serves on", replicas[other].serves("later.test", "/"), nothing)
	await.That(t, "the other leads", func() bool { return i.leader() == fmt.Sprint(other) }, nothing)
	await.That(t, "it writes the status", written("later"), nothing)
	await.That(t, "and Events", told("wrong"), nothing)

	// A problem that comes back is told again, by the same Event.
	i.annotate(t, "bad", "window", "5s")
	await.That(t, "what was bad is served", replicas[other].serves("bad.test", "/"), nothing)
	i.annotate(t, "bad", "window", "5")
	await.That(t, "it is told again", func() bool {
		return slices.ContainsFunc(witnesses[other].writes(), func(a apiRequest) bool { return a.verb == "patch" && a.resource == "events" })
	}, func() string { return fmt.Sprint(i.events(t, "bad")) })
	compareRights(t, i, append(witnesses[0].all(), witnesses[1].all()...))
}

// compareRights holds what the chart's roles allow to what was asked for.
func compareRights(t *testing.T, i *installed, made []apiRequest) {
	t.Helper()
	used := map[string]bool{}
	for _, a := range made {
		used[a.verb+" "+a.group+"/"+a.resource] = true
		if a.status == http.StatusForbidden {
			t.Errorf("refused: %+v", a)
		}
		if a.resource == "secrets" && (a.verb != "get" || a.name == "") {
			t.Errorf("Secrets: %+v", a)
		}
	}
	const roles = "/apis/rbac.authorization.k8s.io/v1/"
	for _, path := range []string{roles + "clusterroles/" + i.namespace + "-" + i.namespace, roles + "namespaces/" + i.namespace + "/roles/" + i.namespace + "-leader"} {
		var role struct {
			Rules []struct{ APIGroups, Resources, Verbs []string }
		}
		i.cluster.must(t, http.MethodGet, path, nil, &role)
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					right := verb + " " + rule.APIGroups[0] + "/" + resource
					// A server that can send the list as part of a watch is not asked for one.
					if !used[right] && (verb != "list" || !used["watch"+strings.TrimPrefix(right, "list")]) {
						t.Errorf("%s allows %q, which nobody needed: %v", path, right, used)
					}
				}
			}
		}
	}
}

// may asks the API server whether a release's ServiceAccount may do something.
func (i *installed) may(t testing.TB, verb, group, resource, namespace, name string) bool {
	t.Helper()
	var review struct{ Status struct{ Allowed bool } }
	i.cluster.must(t, http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews", map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
		"spec": map[string]any{
			"user": "system:serviceaccount:" + i.namespace + ":" + i.namespace, "groups": []string{"system:serviceaccounts", "system:authenticated"},
			"resourceAttributes": map[string]any{"verb": verb, "group": group, "resource": resource, "namespace": namespace, "name": name},
		},
	}, &review)
	return review.Status.Allowed
}

// TestKubeTheServiceAccountMayDoLittle: everywhere, or in one namespace and with
// the Secrets that are named.
func TestKubeTheServiceAccountMayDoLittle(t *testing.T) {
	c := needCluster(t)
	c.kubectl(t, "", "create", "namespace", "watched")
	wide := c.install(t, "wide", "")
	narrow := c.install(t, "narrow", "ingress: {watchNamespace: watched}\nrbac: {secretNames: [mine]}")
	const networking = "networking.k8s.io"
	for _, q := range []struct {
		verb, group, resource, namespace, name string
		wide, narrow                           bool
	}{
		{"list", "", "secrets", "", "", false, false},
		{"watch", "", "secrets", "", "", false, false},
		{"list", "", "secrets", "watched", "", false, false},
		{"get", "", "secrets", "watched", "mine", true, true},
		{"get", "", "secrets", "watched", "other", true, false},
		{"get", "", "secrets", "default", "mine", true, false},
		{"update", "", "secrets", "watched", "mine", false, false},
		{"watch", networking, "ingresses", "watched", "", true, true},
		{"watch", networking, "ingresses", "", "", true, false},
		{"update", networking, "ingresses", "watched", "x", false, false},
		{"patch", networking, "ingresses/status", "watched", "x", true, true},
		{"watch", networking, "ingressclasses", "", "", true, false},
		{"list", "", "pods", "watched", "", false, false},
		{"get", "", "configmaps", "watched", "x", false, false},
		{"create", "coordination.k8s.io", "leases", "default", "", false, false},
	} {
		resource, sub, _ := strings.Cut(q.resource, "/")
		if sub != "" {
			resource = q.resource
		}
		for i, want := range map[*installed]bool{wide: q.wide, narrow: q.narrow} {
			if got := i.may(t, q.verb, q.group, resource, q.namespace, q.name); got != want {
				t.Errorf("%s: may it %s %s in %q: %t, want %t", i.namespace, q.verb, q.resource+" "+q.name, q.namespace, got, want)
			}
		}
	}
	secured := func(host, secret string) string {
		return strings.Replace(ingressYAML(secret, "narrow", host, "page", ""), "spec: {", "spec: {tls: [{secretName: "+secret+"}], ", 1)
	}
	log := c.witness(t)
	replica := narrow.run(t, "one", log.url).ready(t)
	c.apply(t, localhostService("page", page(t))+ingressYAML("plain", "narrow", "plain.test", "page", "")+secured("other.test", "other"), "-n", "watched")
	await.That(t, "the namespace's Ingress is served", replica.serves("plain.test", "/"), func() string { return "" })
	await.That(t, "an unnamed Secret is refused", func() bool {
		status, body := replica.get("other.test", "/")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "rbac.secretNames")
	}, func() string { return fmt.Sprint(replica.get("other.test", "/")) })
	for _, a := range log.all() {
		if a.status == http.StatusForbidden && a.resource != "secrets" {
			t.Errorf("refused: %+v", a)
		}
	}
}
