package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"powerjob-shim/internal/await"
)

// TestKubeWhatIsWrongIsToldAndRefusedAlone: each kind of bad input gets an Event
// with what to write, and 503 in the client's envelope for its route; everything
// else is served.
func TestKubeWhatIsWrongIsToldAndRefusedAlone(t *testing.T) {
	c := needCluster(t)
	i := c.install(t, "wrong", "")
	replica := i.run(t, "one", c.url).ready(t)
	class := i.namespace
	edit := func(name, from, to string) string {
		text := ingressYAML(name, class, name+".test", "page", "")
		if !strings.Contains(text, from) {
			t.Fatalf("%s has no %s", text, from)
		}
		return strings.Replace(text, from, to, 1)
	}
	withSecret := func(name, secret string) string {
		return edit(name, "spec: {", "spec: {tls: [{secretName: "+secret+"}], ")
	}
	objects := localhostService("page", page(t)) +
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: keyless}\nstringData: {tls.crt: x}\n" +
		"---\napiVersion: v1\nkind: Secret\nmetadata: {name: garbled}\ntype: kubernetes.io/tls\nstringData: {tls.crt: no certificate, tls.key: no key}\n" +
		ingressYAML("good", class, "good.test", "page", "") + ingressYAML("nothing", class, "double.test", "page", "")
	c.apply(t, objects, "-n", class)
	await.That(t, "the good one is served", replica.serves("good.test", "/"), func() string { return "" })
	await.That(t, "the older one is served", replica.serves("double.test", "/"), func() string { return "" })

	cases := []struct{ name, reason, advice, text string }{
		{"pattern", "InvalidPath", "write whole segments such as /powerjob", edit("pattern", "path: /, pathType: Prefix", `path: "/(.*)", pathType: ImplementationSpecific`)},
		{"keyless", "InvalidSecret", "write a Secret of type kubernetes.io/tls", withSecret("keyless", "keyless")},
		{"garbled", "InvalidSecret", "write a certificate chain and its key in PEM", withSecret("garbled", "garbled")},
		{"secretless", "InvalidSecret", "kubectl create secret tls gone", withSecret("secretless", "gone")},
		{"serviceless", "ServiceNotFound", "create it, or correct backend.service.name", edit("serviceless", "name: page", "name: gone")},
		{"portless", "PortNotFound", "write one of: web", edit("portless", "port: {name: web}", "port: {name: ui}")},
		{"resource", "InvalidBackend", "write backend.service", edit("resource", "service: {name: page, port: {name: web}}", "resource: {kind: Bucket, name: b}")},
		{"unitless", "InvalidAnnotation", "write a duration with its unit, such as 5s", edit("unitless", "annotations: {", `annotations: {powerjob-shim.dev/window: "5"`)},
		{"misspelt", "InvalidAnnotation", "write one of auth-mode", edit("misspelt", "annotations: {", `annotations: {powerjob-shim.dev/widnow: 5s`)},
		{"templateless", "InvalidAnnotation", "add it under upstreams", edit("templateless", "annotations: {", `annotations: {powerjob-shim.dev/upstream: slow`)},
	}
	var all strings.Builder
	for _, w := range cases {
		all.WriteString(w.text)
	}
	// The younger of two with the same host and path; its other path is served.
	all.WriteString(strings.Replace(ingressYAML("younger", class, "double.test", "page", ""), "paths: [", "paths: [{path: /own, pathType: Exact, backend: {service: {name: page, port: {name: web}}}}, ", 1))
	c.apply(t, all.String(), "-n", class)
	for _, w := range cases {
		told := func() string { return fmt.Sprint(i.events(t, w.name)) }
		await.That(t, "an Event tells of "+w.name, func() bool {
			for message := range i.events(t, w.name) {
				if strings.HasPrefix(message, w.reason+": ") && strings.Contains(message, w.advice) {
					return true
				}
			}
			return false
		}, told)
		status, body := replica.get(w.name+".test", "/")
		var envelope struct {
			Success *bool
			Data    any
			Message string
		}
		err := json.Unmarshal([]byte(body), &envelope)
		if status != http.StatusServiceUnavailable || err != nil || envelope.Success == nil || *envelope.Success || !strings.HasPrefix(envelope.Message, "powerjob-shim: Ingress wrong/"+w.name) {
			t.Errorf("%s: %d %s", w.name, status, body)
		}
	}
	await.That(t, "an Event tells of the younger", func() bool {
		for message := range i.events(t, "younger") {
			if strings.HasPrefix(message, "HostConflict: ") && strings.Contains(message, "older Ingress wrong/nothing; write another host or path") {
				return true
			}
		}
		return false
	}, func() string { return fmt.Sprint(i.events(t, "younger")) })
	for _, good := range []string{"good.test/", "double.test/", "double.test/own"} {
		host, path, _ := strings.Cut(good, "/")
		if !replica.serves(host, "/"+path)() {
			t.Errorf("%s is not served", good)
		}
	}
	for _, name := range []string{"good", "nothing"} {
		if told := i.events(t, name); len(told) > 0 {
			t.Errorf("Events about the good one %s: %v", name, told)
		}
	}
	// A good Ingress that gets a bad annotation is served as before.
	i.annotate(t, "good", "mode", "off")
	await.That(t, "an Event tells of it", func() bool { return len(i.events(t, "good")) > 0 }, func() string { return "" })
	if !replica.serves("good.test", "/")() {
		t.Error("its last good state is not served")
	}
}
