package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
)

const (
	// lookAgain is how often the addresses are compared while no plan changes.
	lookAgain = 30 * time.Second
	// tellAgain is how often a lasting problem gets an Event: Events are deleted after
	// an hour.
	tellAgain = 30 * time.Minute
	// maxMessage is the longest message of an Event, in bytes.
	maxMessage = 1024
)

// Status says which addresses the Ingresses' status gets. The zero value: it is not
// written.
type Status struct {
	Service   string   // namespace/name of the controller's own Service
	Addresses []string // addresses and host names, used instead of the Service's
}

// reporter writes Events and status while run is running.
type reporter struct {
	clients Clients
	status  Status
	state   func() *state
	log     *zap.Logger
	woken   chan struct{} // of capacity one
}

func newReporter(c Clients, s Status, state func() *state, log *zap.Logger) *reporter {
	return &reporter{clients: c, status: s, state: state, log: log, woken: make(chan struct{}, 1)}
}

// wake makes run look at the state at once.
func (r *reporter) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// run writes Events and status until ctx ends.
func (r *reporter) run(ctx context.Context) {
	scheme := runtime.NewScheme()
	if err := networkingv1.AddToScheme(scheme); err != nil {
		r.log.Error("no Events", zap.Error(err))
	}
	events := record.NewBroadcaster(record.WithContext(ctx))
	defer events.Shutdown()
	events.StartRecordingToSink(&coreclient.EventSinkImpl{Interface: r.clients.Core.Events("")})
	recorder := events.NewRecorder(scheme, corev1.EventSource{Component: "powerjob-shim-ingress"})
	told := map[string]time.Time{}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		now := r.state()
		told = tell(recorder, now.problems, told)
		r.writeStatus(ctx, now.ingresses)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.woken:
		}
	}
}

// problemKey identifies a problem across plans.
func problemKey(p plan.Problem) string { return string(p.Ingress.UID) + p.Reason + p.Message }

// tell makes Events of the problems that had none within tellAgain. told has when
// each problem had its last Event, by problemKey; tell returns the next told.
func tell(recorder record.EventRecorder, problems []plan.Problem, told map[string]time.Time) map[string]time.Time {
	next := make(map[string]time.Time, len(problems))
	for _, p := range problems {
		id := problemKey(p)
		at, known := told[id]
		if !known || time.Since(at) > tellAgain {
			at = time.Now()
			message := p.Message
			if len(message) > maxMessage {
				message = strings.ToValidUTF8(message[:maxMessage-3], "") + "..."
			}
			recorder.Event(p.Ingress, corev1.EventTypeWarning, p.Reason, message)
		}
		next[id] = at
	}
	return next
}

// writeStatus gives every Ingress the controller's addresses.
func (r *reporter) writeStatus(ctx context.Context, ingresses []*networkingv1.Ingress) {
	if r.status.Service == "" && len(r.status.Addresses) == 0 || len(ingresses) == 0 {
		return
	}
	addresses, err := r.addresses(ctx)
	if err != nil {
		r.log.Warn("the addresses for the Ingresses' status are not known", zap.Error(err))
		return
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"loadBalancer": map[string]any{"ingress": addresses}}})
	if err != nil {
		r.log.Error("the addresses for the Ingresses' status", zap.Error(err))
		return
	}
	for _, ing := range ingresses {
		if sameAddresses(ing.Status.LoadBalancer.Ingress, addresses) || ctx.Err() != nil {
			continue
		}
		if _, err := r.clients.Networking.Ingresses(ing.Namespace).Patch(ctx, ing.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			r.log.Warn("writing an Ingress's status", zap.String("ingress", ing.Namespace+"/"+ing.Name), zap.Error(err))
		}
	}
}

// addresses returns the controller's addresses, sorted.
func (r *reporter) addresses(ctx context.Context) ([]networkingv1.IngressLoadBalancerIngress, error) {
	list := r.status.Addresses
	if len(list) == 0 {
		namespace, name, _ := strings.Cut(r.status.Service, "/")
		svc, err := r.clients.Core.Services(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("reading Service %s: %w", r.status.Service, err)
		}
		list = serviceAddresses(svc)
	}
	list = slices.Compact(slices.Sorted(slices.Values(list)))
	all := make([]networkingv1.IngressLoadBalancerIngress, len(list))
	for i, address := range list {
		if _, err := netip.ParseAddr(address); err == nil {
			all[i].IP = address
		} else {
			all[i].Hostname = address
		}
	}
	return all, nil
}

// serviceAddresses returns a Service's addresses: those for callers from outside or,
// if there are none, its cluster IP.
func serviceAddresses(svc *corev1.Service) (list []string) {
	for _, at := range svc.Status.LoadBalancer.Ingress {
		if at.IP != "" {
			list = append(list, at.IP)
		} else if at.Hostname != "" {
			list = append(list, at.Hostname)
		}
	}
	list = append(list, svc.Spec.ExternalIPs...)
	if len(list) > 0 {
		return list
	}
	switch svc.Spec.Type {
	case corev1.ServiceTypeExternalName:
		return []string{svc.Spec.ExternalName}
	case corev1.ServiceTypeLoadBalancer:
		return nil // it will get one
	}
	if ip := svc.Spec.ClusterIP; ip != "" && ip != corev1.ClusterIPNone {
		return []string{ip}
	}
	return nil
}

func sameAddresses(a, b []networkingv1.IngressLoadBalancerIngress) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].IP != b[i].IP || a[i].Hostname != b[i].Hostname {
			return false
		}
	}
	return true
}
