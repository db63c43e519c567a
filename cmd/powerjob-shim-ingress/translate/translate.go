// Package translate rewrites Ingresses that were made for ingress-nginx.
//
//	ingresses, notes, err := translate.File(content, "powerjob-shim")
//
// A note names everything that powerjob-shim does in another way, or not at all.
package translate

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
)

const (
	nginx    = "nginx.ingress.kubernetes.io/"
	oldClass = "kubernetes.io/ingress.class"
)

// File translates every Ingress of a file with YAML or JSON documents. The new
// Ingresses have the given class.
func File(content []byte, class string) (all []networkingv1.Ingress, notes []string, err error) {
	read := yamlstream.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	found := false
	for number := 1; ; number++ {
		document, err := read.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var list []networkingv1.Ingress
		if err == nil {
			list, notes, err = decode(document, notes)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("document %d: %w", number, err)
		}
		for i := range list {
			found = true
			made, said := Ingress(&list[i], class)
			all = append(all, made...)
			notes = append(notes, said...)
		}
	}
	if !found {
		return nil, nil, errors.New("there is no Ingress in it; write one of apiVersion networking.k8s.io/v1")
	}
	return all, notes, nil
}

// decode reads one document: an Ingress, a list, or something else, which it notes.
// said is notes with what it adds.
func decode(document []byte, notes []string) (list []networkingv1.Ingress, said []string, err error) {
	var head struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ObjectMeta `json:"metadata"`
		Items           []any             `json:"items"`
	}
	if err := yaml.Unmarshal(document, &head); err != nil {
		return nil, nil, err
	}
	switch {
	case head.Kind == "" && head.APIVersion == "":
		return nil, notes, nil // a comment, or nothing
	case head.Kind == "List" || head.Kind == "IngressList":
		for i, item := range head.Items {
			text, err := yaml.Marshal(item)
			if err != nil {
				return nil, nil, err
			}
			var some []networkingv1.Ingress
			if some, notes, err = decode(text, notes); err != nil {
				return nil, nil, fmt.Errorf("item %d: %w", i+1, err)
			}
			list = append(list, some...)
		}
		return list, notes, nil
	case head.Kind != "Ingress":
		return nil, append(notes, fmt.Sprintf("%s %s: left out; only Ingresses are translated", head.Kind, head.Metadata.Name)), nil
	case head.APIVersion != networkingv1.SchemeGroupVersion.String():
		return nil, nil, fmt.Errorf("Ingress %s has apiVersion %s; write networking.k8s.io/v1 (kubectl get ingress -o yaml shows it so)", head.Metadata.Name, head.APIVersion)
	}
	var ing networkingv1.Ingress
	if err := yaml.UnmarshalStrict(document, &ing); err != nil {
		return nil, nil, fmt.Errorf("Ingress %s: %w", head.Metadata.Name, err)
	}
	return []networkingv1.Ingress{ing}, notes, nil
}

// translation is one Ingress while it is translated.
type translation struct {
	name        string
	annotations map[string]string // nginx's, without the prefix
	out         map[string]string // of the new Ingresses
	notes       []string
}

func (t *translation) note(format string, args ...any) {
	t.notes = append(t.notes, "Ingress "+t.name+": "+fmt.Sprintf(format, args...))
}

// Ingress translates one Ingress: into several if different prefixes must be cut
// off, into none if nothing can be kept.
func Ingress(old *networkingv1.Ingress, class string) (all []networkingv1.Ingress, notes []string) {
	t := &translation{name: old.Name, annotations: map[string]string{}, out: map[string]string{}}
	for name, value := range old.Annotations {
		if own, ok := strings.CutPrefix(name, nginx); ok {
			t.annotations[own] = value
		} else if name != oldClass && name != "kubectl.kubernetes.io/last-applied-configuration" {
			t.out[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.annotations)) {
		if translated := known[name]; translated != nil {
			translated(t, t.annotations[name])
		} else {
			t.note("%s%s cannot be kept; powerjob-shim has nothing of the kind", nginx, name)
		}
	}
	t.certManager(class)
	parts := t.split(old)
	for _, prefix := range slices.SortedFunc(maps.Keys(parts), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) {
		made := networkingv1.Ingress{
			TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "Ingress"},
			ObjectMeta: metav1.ObjectMeta{Namespace: old.Namespace, Name: old.Name, Labels: old.Labels, Annotations: maps.Clone(t.out)},
			Spec:       networkingv1.IngressSpec{IngressClassName: &class, TLS: old.Spec.TLS, Rules: parts[prefix]},
		}
		if len(all) == 0 {
			made.Spec.DefaultBackend = old.Spec.DefaultBackend
		} else {
			made.Name += strings.ReplaceAll(prefix, "/", "-")
			t.note("%s is split off for %s, since one Ingress can cut off one prefix", made.Name, prefix)
		}
		if prefix != "" {
			made.Annotations[plan.Prefix+plan.StripPrefix] = prefix
		}
		all = append(all, made)
	}
	return all, t.notes
}

// certManager notes what must be changed about cert-manager's annotations besides
// keeping them: the challenge now comes to this controller, not to nginx.
func (t *translation) certManager(class string) {
	for _, name := range slices.Sorted(maps.Keys(t.out)) {
		switch name {
		case "cert-manager.io/issuer", "cert-manager.io/cluster-issuer":
			t.note("%s %s is kept; if it has an http01 solver, that must have ingressClassName: %s for this host, or renewals fail", name, t.out[name], class)
		case "acme.cert-manager.io/http01-ingress-class", "acme.cert-manager.io/http01-ingress-ingressclassname":
			t.note("%s: %s is kept; write %s, or renewals fail", name, t.out[name], class)
		}
	}
}

// split returns the rules by the prefix that must be cut off their paths; "": none.
func (t *translation) split(old *networkingv1.Ingress) map[string][]networkingv1.IngressRule {
	parts := map[string][]networkingv1.IngressRule{}
	if old.Spec.DefaultBackend != nil {
		parts[""] = nil
	}
	for _, rule := range old.Spec.Rules {
		if rule.HTTP == nil {
			parts[""] = append(parts[""], rule)
			continue
		}
		own := map[string][]networkingv1.HTTPIngressPath{}
		for _, p := range rule.HTTP.Paths {
			if strip, ok := t.path(&p); ok {
				own[strip] = append(own[strip], p)
			}
		}
		for strip, paths := range own {
			parts[strip] = append(parts[strip], networkingv1.IngressRule{Host: rule.Host, IngressRuleValue: networkingv1.IngressRuleValue{
				HTTP: &networkingv1.HTTPIngressRuleValue{Paths: paths},
			}})
		}
	}
	return parts
}

// Print writes Ingresses as YAML documents, with the notes as comments.
func Print(w io.Writer, all []networkingv1.Ingress, notes []string) error {
	var out bytes.Buffer
	for _, note := range notes {
		fmt.Fprintf(&out, "# %s\n", note)
	}
	for i := range all {
		if i > 0 || len(notes) > 0 {
			out.WriteString("---\n")
		}
		// Without the fields that the API server fills in.
		text, err := yaml.Marshal(map[string]any{"apiVersion": all[i].APIVersion, "kind": all[i].Kind, "metadata": metadata(&all[i]), "spec": all[i].Spec})
		if err != nil {
			return fmt.Errorf("printing Ingress %s: %w", all[i].Name, err)
		}
		out.Write(text)
	}
	_, err := w.Write(out.Bytes())
	return err
}

func metadata(ing *networkingv1.Ingress) map[string]any {
	m := map[string]any{"name": ing.Name}
	if ing.Namespace != "" {
		m["namespace"] = ing.Namespace
	}
	if len(ing.Labels) > 0 {
		m["labels"] = ing.Labels
	}
	if len(ing.Annotations) > 0 {
		m["annotations"] = ing.Annotations
	}
	return m
}
