package plan

import (
	networkingv1 "k8s.io/api/networking/v1"
)

// ControllerName is the spec.controller of this controller's IngressClasses.
const ControllerName = "powerjob-shim.dev/ingress"

// Classes decides which Ingresses the controller serves.
type Classes struct {
	names map[string]bool
	any   bool // an Ingress without a class is ours as well
}

// ClassesOf reads IngressClasses. only is the only class to serve; "": all classes of
// this controller.
func ClassesOf(list []*networkingv1.IngressClass, only string) Classes {
	c := Classes{names: map[string]bool{}}
	for _, class := range list {
		if class.Spec.Controller != ControllerName || only != "" && class.Name != only {
			continue
		}
		c.names[class.Name] = true
		c.any = c.any || class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
	}
	return c
}

// OnlyClass returns the Classes for one class, by its name alone, for a controller
// that cannot read IngressClasses.
func OnlyClass(name string) Classes { return Classes{names: map[string]bool{name: true}} }

// Ours reports whether the controller serves an Ingress: its class is ours, by
// spec.ingressClassName or by the older annotation, or it has no class and ours is
// the default.
func (c Classes) Ours(ing *networkingv1.Ingress) bool {
	if name := ing.Spec.IngressClassName; name != nil {
		return c.names[*name]
	}
	if name, ok := ing.Annotations["kubernetes.io/ingress.class"]; ok {
		return c.names[name]
	}
	return c.any
}
