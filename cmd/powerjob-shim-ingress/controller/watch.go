package controller

import (
	"context"
	"sync"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
)

// watcher keeps copies of all objects that a plan is made from, except Secrets.
type watcher struct {
	ingresses, services, slices cache.SharedIndexInformer
	classes                     cache.SharedIndexInformer // nil: IngressClasses are not read
}

// newWatcher makes a watcher that calls changed after each change.
func newWatcher(c Clients, namespace string, changed func(), log *zap.Logger) *watcher {
	w := &watcher{
		ingresses: inform(c.Networking.Ingresses(namespace), &networkingv1.Ingress{}, changed, log),
		services:  inform(c.Core.Services(namespace), &corev1.Service{}, changed, log),
		slices:    inform(c.Discovery.EndpointSlices(namespace), &discoveryv1.EndpointSlice{}, changed, log),
	}
	if namespace == "" {
		w.classes = inform(c.Networking.IngressClasses(), &networkingv1.IngressClass{}, changed, log)
	}
	return w
}

// lister is a typed client.
type lister[L runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

func inform[L runtime.Object](client lister[L], object runtime.Object, changed func(), log *zap.Logger) cache.SharedIndexInformer {
	informer := cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, o)
		},
	}, client), object, 0, cache.Indexers{})
	// None of these can fail: the informer has not started.
	_ = informer.SetTransform(slim)
	_ = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		log.Warn("watching the API server: what is known stays in force", zap.Error(err))
	})
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed() },
		UpdateFunc: func(any, any) { changed() },
		DeleteFunc: func(any) { changed() },
	})
	return informer
}

// slim drops the fields that nobody here reads: they are most of such objects.
func slim(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	switch o := object.(type) {
	case *corev1.Service:
		o.Annotations, o.Labels, o.Spec.Selector = nil, nil, nil
	case *discoveryv1.EndpointSlice:
		o.Annotations, o.OwnerReferences = nil, nil
		for i := range o.Endpoints {
			e := &o.Endpoints[i]
			*e = discoveryv1.Endpoint{Addresses: e.Addresses, Conditions: e.Conditions}
		}
	case *networkingv1.Ingress:
		delete(o.Annotations, corev1.LastAppliedConfigAnnotation)
	}
	return object, nil
}

func (w *watcher) all() []cache.SharedIndexInformer {
	list := []cache.SharedIndexInformer{w.ingresses, w.services, w.slices}
	if w.classes != nil {
		list = append(list, w.classes)
	}
	return list
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context) {
	var running sync.WaitGroup
	for _, informer := range w.all() {
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	running.Wait()
}

// wait waits until everything has been read once. False: ctx has ended before.
func (w *watcher) wait(ctx context.Context) bool {
	for _, informer := range w.all() {
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return false
		}
	}
	return true
}

// objects returns the objects that a plan is made from, without the Secrets.
func (w *watcher) objects(classes plan.Classes) plan.Objects {
	o := plan.Objects{Services: map[string]*corev1.Service{}, Slices: map[string][]*discoveryv1.EndpointSlice{}}
	each(w.ingresses, func(ing *networkingv1.Ingress) {
		if ing.DeletionTimestamp == nil && classes.Ours(ing) {
			o.Ingresses = append(o.Ingresses, ing)
		}
	})
	each(w.services, func(svc *corev1.Service) { o.Services[svc.Namespace+"/"+svc.Name] = svc })
	each(w.slices, func(s *discoveryv1.EndpointSlice) {
		if service := s.Labels[discoveryv1.LabelServiceName]; service != "" {
			name := s.Namespace + "/" + service
			o.Slices[name] = append(o.Slices[name], s)
		}
	})
	return o
}

func (w *watcher) ingressClasses() (list []*networkingv1.IngressClass) {
	each(w.classes, func(class *networkingv1.IngressClass) { list = append(list, class) })
	return list
}

// each calls f with every object that an informer has.
func each[T any](informer cache.SharedIndexInformer, f func(*T)) {
	for _, object := range informer.GetStore().List() {
		if o, ok := object.(*T); ok {
			f(o)
		}
	}
}
