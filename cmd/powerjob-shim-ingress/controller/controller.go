// Package controller watches a cluster's Ingresses, has package plan translate them,
// and passes each new plan on to be applied.
//
//	c := controller.New(controller.Options{Clients: clients, Apply: apply, Base: base})
//	c.Run(ctx)
//
// Every replica does that for itself. One of them, the leader, also writes the
// Ingresses' status, and Events about their problems. While the API server does not
// answer, the last plan stays in force.
package controller

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	networkingv1 "k8s.io/api/networking/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	discoveryclient "k8s.io/client-go/kubernetes/typed/discovery/v1"
	networkingclient "k8s.io/client-go/kubernetes/typed/networking/v1"

	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
)

// pause is how long the controller waits for more changes after a change: Ingresses
// and endpoints often change by the dozen.
const pause = 50 * time.Millisecond

// firstSecrets is how long the controller waits for Secrets before it says that it
// is ready: without some certificates it still serves the other hosts.
const firstSecrets = 10 * time.Second

// Clients are clients of the parts of the API that the controller uses.
type Clients struct {
	Networking   networkingclient.NetworkingV1Interface
	Core         coreclient.CoreV1Interface
	Discovery    discoveryclient.DiscoveryV1Interface
	Coordination coordinationclient.CoordinationV1Interface
}

// Options are what a Controller is made from.
type Options struct {
	Clients Clients
	Logger  *zap.Logger

	// Apply puts a plan into force. After an error the plan before stays in force.
	// It is called from one goroutine.
	Apply func(plan.Plan) error
	// Base returns the settings that apply to all Ingresses. When they have changed,
	// call Changed.
	Base func() plan.Base

	// Class is the only IngressClass to serve. Empty: each one whose controller is
	// plan.ControllerName. It must be set with Namespace.
	Class string
	// Namespace is the only namespace to read. Empty: all. With it, IngressClasses
	// are not read: only Class decides.
	Namespace string
	// DefaultSecret is the namespace/name of the certificate for hosts without one.
	// Empty: they get the listener's own.
	DefaultSecret string

	Leader Leader
	Status Status
}

// Controller is safe for concurrent use. Make one with New.
type Controller struct {
	o       Options
	log     *zap.Logger
	watched *watcher
	secrets *secrets
	changed chan struct{} // of capacity one
	report  *reporter

	synced  atomic.Bool
	leading atomic.Bool
	state   atomic.Pointer[state]
}

// state is the outcome of the last plan that was applied.
type state struct {
	ingresses []*networkingv1.Ingress // those of the controller's classes
	problems  []plan.Problem
}

// New makes a Controller. It reads nothing before Run.
func New(o Options) *Controller {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	c := &Controller{o: o, log: o.Logger, changed: make(chan struct{}, 1)}
	c.state.Store(&state{})
	c.watched = newWatcher(o.Clients, o.Namespace, c.Changed, o.Logger)
	c.secrets = newSecrets(o.Clients.Core, c.Changed, o.Logger)
	c.report = newReporter(o.Clients, o.Status, c.state.Load, o.Logger)
	return c
}

// Changed makes the controller look at everything again.
func (c *Controller) Changed() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// Ready returns nil once everything has been read for the first time. It waits for
// Secrets no longer than firstSecrets.
func (c *Controller) Ready() error {
	if !c.synced.Load() {
		return errors.New("the Ingresses have not all been read yet; if this stays so, look into the log for what the API server says")
	}
	return nil
}

// Leading reports whether this replica writes Events and status.
func (c *Controller) Leading() bool { return c.leading.Load() }

// Counts returns, for metrics, how many Ingresses are served, and how many problems
// there are by reason.
func (c *Controller) Counts() (ingresses int, problems map[string]int) {
	s := c.state.Load()
	problems = map[string]int{}
	for _, p := range s.problems {
		problems[p.Reason]++
	}
	return len(s.ingresses), problems
}

// Run watches and applies until ctx ends.
func (c *Controller) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { c.watched.run(ctx) })
	running.Go(func() { c.secrets.run(ctx) })
	running.Go(func() { c.lead(ctx) })
	if !c.watched.wait(ctx) {
		return
	}
	var good plan.Good
	patience := time.Now().Add(firstSecrets)
	for ctx.Err() == nil {
		var unread int
		good, unread = c.apply(good)
		if !c.synced.Load() && (unread == 0 || time.Now().After(patience)) {
			c.synced.Store(true)
			ingresses, problems := c.Counts()
			c.log.Info("the Ingresses have been read", zap.Int("ingresses", ingresses), zap.Any("problems", problems))
		}
		c.waitForChange(ctx, time.Until(patience))
	}
}

// waitForChange returns when pause has passed after a change; before the first sync
// also when patience has passed.
func (c *Controller) waitForChange(ctx context.Context, patience time.Duration) {
	var end <-chan time.Time
	if !c.synced.Load() {
		end = time.After(max(patience, 0))
	}
	select {
	case <-c.changed:
	case <-end:
	case <-ctx.Done():
		return
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	select { // the next plan will contain the changes that came meanwhile
	case <-c.changed:
	default:
	}
}

// apply makes a plan and puts it into force. unread is how many Secrets are not
// known yet.
func (c *Controller) apply(good plan.Good) (next plan.Good, unread int) {
	objects := c.watched.objects(c.classes())
	objects.Secrets = c.secrets.known()
	made, next := plan.Make(objects, c.o.Base(), good)
	wanted := made.Secrets
	if c.o.DefaultSecret != "" {
		wanted = append(slices.Clone(wanted), c.o.DefaultSecret)
		if own := objects.Secrets[c.o.DefaultSecret].Certificate; own != nil && made.Certificates[""] == nil {
			made.Certificates = maps.Clone(made.Certificates)
			made.Certificates[""] = own
		}
	}
	unread = c.secrets.want(wanted)
	if err := c.o.Apply(made); err != nil {
		c.log.Error("the Ingresses cannot be applied, everything stays as it is", zap.Error(err))
		return good, unread
	}
	c.noteProblems(made.Problems)
	c.state.Store(&state{ingresses: objects.Ingresses, problems: made.Problems})
	c.report.wake()
	return next, unread
}

// classes returns the Classes that decide which Ingresses are served.
func (c *Controller) classes() plan.Classes {
	if c.o.Namespace != "" {
		return plan.OnlyClass(c.o.Class)
	}
	return plan.ClassesOf(c.watched.ingressClasses(), c.o.Class)
}

// noteProblems logs the problems that the last plan did not have.
func (c *Controller) noteProblems(problems []plan.Problem) {
	before := c.state.Load().problems
	for _, p := range problems {
		same := func(old plan.Problem) bool { return problemKey(old) == problemKey(p) }
		if !slices.ContainsFunc(before, same) {
			c.log.Warn("an Ingress has a problem", zap.String("ingress", p.Ingress.Namespace+"/"+p.Ingress.Name), zap.String("reason", p.Reason), zap.String("problem", p.Message))
		}
	}
}
