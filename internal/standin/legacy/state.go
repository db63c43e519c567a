package legacy

import (
	"maps"
	"slices"
)

// Job states (SwitchableStatus).
const (
	Enabled  = 1
	Disabled = 2
	Deleted  = 99
)

// Instance states (InstanceStatus).
const (
	WaitingDispatch = 1
	Running         = 3
	Failed          = 4
	Succeeded       = 5
	Canceled        = 9
	Stopped         = 10
)

// Workflow instance states (WorkflowInstanceStatus); StoppedWorkflow is Stopped.
const (
	WaitingWorkflow = 1
	RunningWorkflow = 2
)

// State is everything that calls change. After the same executions two states are
// equal by reflect.DeepEqual.
type State struct {
	Jobs              map[int64]Job
	Instances         map[int64]Instance
	Workflows         map[int64]Workflow
	WorkflowInstances map[int64]WorkflowInstance
	Nodes             map[int64]Node
}

// Job is a saved job.
type Job struct {
	ID, AppID int64
	Name      string
	Params    string // jobParams
	Spec      string // the whole saveJob body without ids, keys sorted
	Status    int
}

// Instance is one run of a job.
type Instance struct {
	ID, JobID, AppID int64
	Params           string
	Delay            int64 // milliseconds
	Status           int
	Runs             int // 1, and one more for each retry
}

// Workflow is a saved workflow.
type Workflow struct {
	ID, AppID int64
	Name      string
	Spec      string
	Status    int
}

// WorkflowInstance is one run of a workflow.
type WorkflowInstance struct {
	ID, WorkflowID, AppID int64
	Params                string
	Delay                 int64 // milliseconds
	Status                int
	Runs                  int
	Marked                []int64 // nodes marked as success, in order
}

// Node is a node of a workflow.
type Node struct {
	ID, WorkflowID, AppID, JobID int64
	Name                         string
	Spec                         string
}

func newState() State {
	return State{
		Jobs: map[int64]Job{}, Instances: map[int64]Instance{}, Workflows: map[int64]Workflow{},
		WorkflowInstances: map[int64]WorkflowInstance{}, Nodes: map[int64]Node{},
	}
}

func (s State) clone() State {
	s.Jobs, s.Instances, s.Workflows = maps.Clone(s.Jobs), maps.Clone(s.Instances), maps.Clone(s.Workflows)
	s.Nodes = maps.Clone(s.Nodes)
	s.WorkflowInstances = maps.Clone(s.WorkflowInstances)
	for id, w := range s.WorkflowInstances {
		w.Marked = slices.Clone(w.Marked)
		s.WorkflowInstances[id] = w
	}
	return s
}

// firstRun is the first instance id. Like the real snowflake numbers it is beyond
// 2^53, so that tests notice a reader that takes ids for floating point.
const firstRun = 700_000_000_000_000_001

func (s State) nextJob() int64      { return int64(len(s.Jobs)) + 1 }
func (s State) nextWorkflow() int64 { return int64(len(s.Workflows)) + 1 }
func (s State) nextNode() int64     { return int64(len(s.Nodes)) + 1 }

// nextRun numbers instances of jobs and of workflows from one sequence, as the
// real server does.
func (s State) nextRun() int64 {
	return firstRun + int64(len(s.Instances)+len(s.WorkflowInstances))
}

func values[V any](m map[int64]V) []V {
	list := make([]V, 0, len(m))
	for _, id := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[id])
	}
	return list
}
