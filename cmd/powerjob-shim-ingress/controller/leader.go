package controller

import (
	"context"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Leader says how the replicas choose the one that writes.
type Leader struct {
	Namespace, Name string // of the Lease
	Identity        string // of this replica, such as its Pod's name

	// Lease is how long the others wait for a leader that has died. 0: 15 s.
	Lease time.Duration
}

// lead writes Events and status while this replica is the leader, until ctx ends. A
// leader that loses its Lease stops writing, and may become the leader again.
func (c *Controller) lead(ctx context.Context) {
	lease := c.o.Leader.Lease
	if lease == 0 {
		lease = 15 * time.Second
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: c.o.Leader.Namespace, Name: c.o.Leader.Name},
			Client:     c.o.Clients.Coordination,
			LockConfig: resourcelock.ResourceLockConfig{Identity: c.o.Leader.Identity},
		},
		LeaseDuration: lease, RenewDeadline: lease * 2 / 3, RetryPeriod: lease * 2 / 15,
		ReleaseOnCancel: true, Name: c.o.Leader.Name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				c.leading.Store(true)
				defer c.leading.Store(false)
				c.log.Info("leading: this replica writes Events and status")
				c.report.run(ctx)
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		c.log.Error("no leader election: this replica writes neither Events nor status", zap.Error(err))
		return
	}
	for ctx.Err() == nil {
		elector.Run(ctx)
	}
}
