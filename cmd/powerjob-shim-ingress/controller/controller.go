// Package controller keeps a data plane at what a cluster's Ingresses say: it
// watches them, has package plan translate them, and hands over each new plan.
//
//	c := controller.New(controller.Options{Clients: clients, Apply: apply, Base: base})
//	err := c.Run(ctx)
//
// Every replica does that for itself. One of them, the leader, also writes
// Events about what is wrong and the Ingresses' status. While the API server is
// away everything stays as it is.
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

// pause is how long after a change the next ones are waited for: Ingresses and
// endpoints often come by the dozen.
const pause = 50 * time.Millisecond

// firstSecrets is how long the first plan waits for Secrets: a controller without
// some certificates serves better than none.
const firstSecrets = 10 * time.Second

// Clients are the parts of the API that are used.
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

	// Apply carries out a plan. An error leaves the plan before in force. It is
	// called from one goroutine.
	Apply func(plan.Plan) error
	// Base returns what holds for all Ingresses. After a change Changed must be called.
	Base func() plan.Base

	// Class is the only IngressClass to serve. Empty: each whose controller is
	// plan.ControllerName; with Namespace it must be set.
	Class string
	// Namespace is the only one to read. Empty: all. With it, IngressClasses are
	// not read: Class decides.
	Namespace string
	// DefaultSecret is the namespace/name of the certificate for hosts that have
	// none. Empty: the listener's own.
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
	changed chan struct{} // has room for one
	report  *reporter

	synced  atomic.Bool
	leading atomic.Bool
	state   atomic.Pointer[state]
}

// state is what the last plan came to.
type state struct {
	ingresses []*networkingv1.Ingress // those that are served
	problems  []plan.Problem
}

// New makes a Controller. Nothing is read before Run.
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

// Ready returns nil once everything has been read for the first time.
func (c *Controller) Ready() error {
	if !c.synced.Load() {
		return errors.New("the Ingresses have not all been read yet; if this stays so, look into the log for what the API server says")
	}
	return nil
}

// Leading reports whether this replica writes Events and status.
func (c *Controller) Leading() bool { return c.leading.Load() }

// Counts are for metrics: how many Ingresses are served, and how many problems
// there are of each reason.
func (c *Controller) Counts() (ingresses int, problems map[string]int) {
	s := c.state.Load()
	problems = map[string]int{}
	for _, p := range s.problems {
		problems[p.Reason]++
	}
	return len(s.ingresses), problems
}

// Run works until ctx ends.
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

// waitForChange returns some time after a change; before the first sync also
// when its patience ends.
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
	select { // what came meanwhile is seen by the next plan
	case <-c.changed:
	default:
	}
}

// apply makes a plan and carries it out. unread is how many Secrets are not
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

// classes knows which Ingresses are to be served.
func (c *Controller) classes() plan.Classes {
	if c.o.Namespace != "" {
		return plan.OnlyClass(c.o.Class)
	}
	return plan.ClassesOf(c.watched.ingressClasses(), c.o.Class)
}

// noteProblems logs those that are new.
func (c *Controller) noteProblems(problems []plan.Problem) {
	before := c.state.Load().problems
	for _, p := range problems {
		same := func(old plan.Problem) bool { return problemKey(old) == problemKey(p) }
		if !slices.ContainsFunc(before, same) {
			c.log.Warn("an Ingress has a problem", zap.String("ingress", p.Ingress.Namespace+"/"+p.Ingress.Name), zap.String("reason", p.Reason), zap.String("problem", p.Message))
		}
	}
}
