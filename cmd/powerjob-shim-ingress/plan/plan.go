// Package plan turns Ingress objects, and the Services, endpoints and certificates
// that they name, into the proxy's settings. It does no I/O: the same objects make
// the same plan.
//
//	p, good := plan.Make(objects, base, good)
//	proxy.Swap(p.Settings)
//
// A path that cannot be served gets a route that says so with 503, and its Ingress a
// Problem; everything else is served.
package plan

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"powerjob-shim/internal/config"
	"powerjob-shim/proxy"
	"powerjob-shim/proxy/upstream"
)

// Objects are what a plan is made from. Make does not change them.
type Objects struct {
	Ingresses []*networkingv1.Ingress                 // those of the controller's class, see Classes
	Services  map[string]*corev1.Service              // by namespace/name
	Slices    map[string][]*discoveryv1.EndpointSlice // by the Service's namespace/name
	Secrets   map[string]Secret                       // by namespace/name: the named ones that have been read so far
}

// Secret is the content of a TLS Secret.
type Secret struct {
	Certificate *tls.Certificate // the last valid one; nil: there was none
	Err         error            // why the newest content cannot be used; nil: it can
}

// Base has the settings that apply to all Ingresses.
type Base struct {
	Settings proxy.Settings // of the configuration; its upstreams are templates
	Rules    []config.Rule  // Settings.Rules before they were compiled
}

// Good has the last state of each Ingress in which all its annotations were valid,
// by namespace/name. Nil: no such states.
type Good map[string]*networkingv1.Ingress

// Plan is what the controller puts into force and reports.
type Plan struct {
	Settings     proxy.Settings
	Certificates map[string]*tls.Certificate // by host, "*.example.com" too, in lower case
	Secrets      []string                    // namespace/name of each Secret that an Ingress names, sorted
	Problems     []Problem
}

// Reasons of problems, for Events.
const (
	InvalidAnnotation  = "InvalidAnnotation"
	InvalidPath        = "InvalidPath"
	InvalidBackend     = "InvalidBackend"
	InvalidSecret      = "InvalidSecret"
	ServiceNotFound    = "ServiceNotFound"
	PortNotFound       = "PortNotFound"
	HostConflict       = "HostConflict"
	AnnotationConflict = "AnnotationConflict"
)

// Reasons lists all of them.
var Reasons = []string{
	InvalidAnnotation, InvalidPath, InvalidBackend, InvalidSecret, ServiceNotFound, PortNotFound, HostConflict, AnnotationConflict,
}

// Problem is a problem that the owner of an Ingress must be told about.
type Problem struct {
	Ingress *networkingv1.Ingress
	Reason  string
	Message string // what is wrong and what to write
}

// maker holds one plan while it is made.
type maker struct {
	Plan
	objects Objects
	base    Base
	next    Good
	claims  map[claim]string             // host and path -> the Ingress that has it
	names   map[string]string            // host -> Secret that it is served with
	groups  map[string]*group            // by namespace/service:port
	secrets map[string]bool              // those that Ingresses name
	refused map[string]map[string]string // Ingress -> host -> why its certificate cannot be served
	// policies made so far, without their Access
	policies map[ruleChange]*proxy.Policy
}

// Make makes a plan, and returns the Good for the next call. good is the Good of the
// call before; nil: this is the first. Older Ingresses win over younger ones.
func Make(o Objects, b Base, good Good) (Plan, Good) {
	m := &maker{
		objects: o, base: b, next: Good{}, claims: map[claim]string{}, names: map[string]string{},
		groups: map[string]*group{}, secrets: map[string]bool{}, refused: map[string]map[string]string{},
		policies: map[ruleChange]*proxy.Policy{},
	}
	m.Settings = b.Settings
	m.Settings.OneLabelWildcards = true
	m.Settings.Routes, m.Settings.Upstreams = nil, map[string]proxy.Upstream{}
	m.Certificates = map[string]*tls.Certificate{}
	list := slices.Clone(o.Ingresses)
	slices.SortFunc(list, older)
	var fallbacks []*entry
	for _, ing := range list {
		e := m.read(ing, good[key(ing)])
		m.tls(e)
		m.rules(e)
		if e.ing.Spec.DefaultBackend != nil {
			fallbacks = append(fallbacks, e)
		}
	}
	for _, e := range fallbacks {
		m.defaultBackend(e)
	}
	m.finish()
	for name := range m.secrets {
		m.Secrets = append(m.Secrets, name)
	}
	slices.Sort(m.Secrets)
	return m.Plan, m.next
}

// older orders Ingresses by age, and those of the same age by name.
func older(a, b *networkingv1.Ingress) int {
	return cmp.Or(
		a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}

func key(ing *networkingv1.Ingress) string { return ing.Namespace + "/" + ing.Name }

// entry is an Ingress as it is served.
type entry struct {
	ing         *networkingv1.Ingress // the newest state with valid annotations
	newest      *networkingv1.Ingress // the newest state, which Events refer to
	annotations annotations
	refuse      string // why nothing of it can be served; empty: it can
}

// read parses the annotations. If one is invalid, the last good state stays in force.
func (m *maker) read(ing, last *networkingv1.Ingress) *entry {
	parsed, problems := parseAnnotations(ing.Annotations)
	if name := parsed[Template]; name != "" && name != "default" {
		if _, known := m.base.Settings.Upstreams[name]; !known {
			problems = append(problems, fmt.Sprintf("annotation %s%s: the controller's configuration has no group %q; add it under upstreams there, or write another", Prefix, Template, name))
		}
	}
	if len(problems) == 0 {
		m.next[key(ing)] = ing
		return &entry{ing: ing, newest: ing, annotations: parsed}
	}
	for _, p := range problems {
		m.problem(ing, InvalidAnnotation, p)
	}
	if last == nil {
		return &entry{ing: ing, newest: ing, refuse: "Ingress " + key(ing) + ": " + problems[0]}
	}
	m.next[key(ing)] = last
	parsed, _ = parseAnnotations(last.Annotations)
	return &entry{ing: last, newest: ing, annotations: parsed}
}

func (m *maker) problem(ing *networkingv1.Ingress, reason, message string) {
	p := Problem{ing, reason, message}
	if !slices.Contains(m.Problems, p) {
		m.Problems = append(m.Problems, p)
	}
}

// finish sorts the routes and makes the groups that they lead to.
func (m *maker) finish() {
	// The first of equal routes wins: an exact path must come before an equal prefix.
	slices.SortStableFunc(m.Settings.Routes, func(a, b proxy.Route) int {
		switch {
		case a.ExactSlash == b.ExactSlash:
			return 0
		case a.ExactSlash:
			return -1
		}
		return 1
	})
	for name, g := range m.groups {
		m.Settings.Upstreams[name] = m.upstream(g)
	}
	if len(m.groups) == 0 {
		// The proxy needs a group, and routes: without routes all requests would go to it.
		m.Settings.Upstreams["none"] = proxy.Upstream{Settings: upstream.Settings{Dynamic: true}}
	}
	if len(m.Settings.Routes) == 0 {
		m.Settings.Routes = []proxy.Route{{Name: "none", Hosts: []string{"none.invalid"}, Refuse: "no Ingress leads here"}}
	}
}
