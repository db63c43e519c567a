package legacy

import (
	"encoding/json"
	"slices"
)

// ownWorkflow is WorkflowService.permissionCheck.
func (c *Core) ownWorkflow(id, app int64) (Workflow, error) {
	w, ok := c.state.Workflows[id]
	if !ok {
		return Workflow{}, throw("IllegalArgumentException: can't find workflow by id: %d", id)
	}
	if w.AppID != app {
		return Workflow{}, throw("PowerJobException: Permission Denied! can't operate other app's workflow!")
	}
	return w, nil
}

func (c *Core) namedWorkflow(p params) (Workflow, error) {
	id, app, err := p.owned("workflowId")
	if err != nil {
		return Workflow{}, err
	}
	return c.ownWorkflow(id, app)
}

func (c *Core) saveWorkflow(p params) (outcome, error) {
	if p.list != nil {
		return outcome{}, errUnreadable
	}
	id, err := p.id("id")
	if err != nil {
		return outcome{}, err
	}
	app, err := p.need("appId")
	if err != nil {
		return outcome{}, err
	}
	w := Workflow{AppID: app, Name: p.text("wfName"), Spec: p.spec(), Status: Enabled}
	if p.text("enable") == "false" {
		w.Status = Disabled
	}
	out := outcome{app: app}
	if id == nil {
		w.ID = c.state.nextWorkflow()
		out.made = w.ID
	} else {
		if _, err := c.ownWorkflow(*id, app); err != nil {
			return outcome{}, err
		}
		w.ID = *id
		out.subject = w.ID
	}
	c.state.Workflows[w.ID] = w
	c.bindNodes(w, p)
	out.data = w.ID
	return out, nil
}

// bindNodes assigns the DAG's nodes without a workflow to w
// (WorkflowService.validateAndConvert2String): the real client saves nodes without
// naming a workflow.
func (c *Core) bindNodes(w Workflow, p params) {
	var dag struct {
		Nodes []struct {
			NodeID int64 `json:"nodeId"`
		} `json:"nodes"`
	}
	if json.Unmarshal(p.object["dag"], &dag) != nil {
		return
	}
	for _, in := range dag.Nodes {
		if n, ok := c.state.Nodes[in.NodeID]; ok && n.AppID == w.AppID && n.WorkflowID == 0 {
			n.WorkflowID = w.ID
			c.state.Nodes[n.ID] = n
		}
	}
}

func (c *Core) copyWorkflow(p params) (outcome, error) {
	w, err := c.namedWorkflow(p)
	if err != nil {
		return outcome{}, err
	}
	if w.Status == Deleted {
		return outcome{}, throw("IllegalStateException: can't copy the workflow which has been deleted!")
	}
	from := w.ID
	w.ID, w.Name = c.state.nextWorkflow(), w.Name+"_COPY"
	c.state.Workflows[w.ID] = w
	return outcome{data: w.ID, app: w.AppID, subject: from, made: w.ID}, nil
}

func setWorkflow(status int) func(*Core, params) (outcome, error) {
	return func(c *Core, p params) (outcome, error) {
		w, err := c.namedWorkflow(p)
		if err != nil {
			return outcome{}, err
		}
		w.Status = status
		c.state.Workflows[w.ID] = w
		return outcome{app: w.AppID, subject: w.ID}, nil
	}
}

func (c *Core) runWorkflow(p params) (outcome, error) {
	w, err := c.namedWorkflow(p)
	if err != nil {
		return outcome{}, err
	}
	delay, err := p.id("delay")
	if err != nil {
		return outcome{}, err
	}
	i := WorkflowInstance{ID: c.state.nextRun(), WorkflowID: w.ID, AppID: w.AppID, Params: p.text("initParams"), Status: RunningWorkflow, Runs: 1}
	if delay != nil && *delay > 0 {
		i.Delay, i.Status = *delay, WaitingWorkflow
	}
	c.state.WorkflowInstances[i.ID] = i
	return outcome{data: i.ID, app: w.AppID, subject: w.ID, made: i.ID}, nil
}

// addWorkflowNode saves nodes and answers with them. After an error none is saved.
func (c *Core) addWorkflowNode(p params) (outcome, error) { //nolint:gocognit // the real server checks in this order
	if p.list == nil {
		return outcome{}, errUnreadable
	}
	if len(p.list) == 0 {
		return outcome{}, throw("IllegalArgumentException: requestList must be not empty!")
	}
	next := c.state.nextNode()
	var out outcome
	var nodes []Node
	for _, e := range p.list {
		n, err := c.readNode(e)
		if err != nil {
			return outcome{}, err
		}
		if out.app != 0 && n.AppID != out.app {
			return outcome{}, throw("IllegalArgumentException: node list must are in the same app")
		}
		if old, ok := c.state.Nodes[n.ID]; n.ID != 0 && (!ok || old.AppID != n.AppID) {
			return outcome{}, throw("IllegalArgumentException: can't find workflow node by id: %d", n.ID)
		}
		if n.ID == 0 {
			n.ID = next
			next++
			out.made = n.ID
		} else {
			out.subject = n.ID
		}
		out.app = n.AppID
		nodes = append(nodes, n)
	}
	list := []nodeView{}
	for _, n := range nodes {
		c.state.Nodes[n.ID] = n
		list = append(list, nodeView{n.ID, n.AppID, n.WorkflowID, n.JobID, n.Name})
	}
	out.data = list
	return out, nil
}

// readNode reads one node of a request. Its ID is 0 if it is new.
func (c *Core) readNode(e params) (Node, error) {
	id, err := e.id("id")
	if err != nil {
		return Node{}, err
	}
	app, err := e.need("appId")
	if err != nil {
		return Node{}, err
	}
	n := Node{AppID: app, Name: e.text("nodeName"), Spec: e.spec()}
	if id != nil {
		n.ID = *id
	}
	for name, to := range map[string]*int64{"jobId": &n.JobID, "workflowId": &n.WorkflowID} {
		v, err := e.id(name)
		if err != nil {
			return Node{}, err
		}
		if v != nil {
			*to = *v
		}
	}
	return n, nil
}

func (c *Core) ownRun(p params) (WorkflowInstance, error) {
	id, app, err := p.owned("wfInstanceId")
	if err != nil {
		return WorkflowInstance{}, err
	}
	i, ok := c.state.WorkflowInstances[id]
	if !ok {
		return WorkflowInstance{}, throw("IllegalArgumentException: can't find workflow instance by wfInstanceId: %d", id)
	}
	if i.AppID != app {
		return WorkflowInstance{}, throw("PowerJobException: Permission Denied!")
	}
	return i, nil
}

func (c *Core) stopWorkflowInstance(p params) (outcome, error) {
	i, err := c.ownRun(p)
	if err != nil {
		return outcome{}, err
	}
	if i.Status > RunningWorkflow {
		return outcome{}, throw("PowerJobException: workflow instance already stopped")
	}
	i.Status = Stopped
	return c.ran(i), nil
}

func (c *Core) retryWorkflowInstance(p params) (outcome, error) {
	i, err := c.ownRun(p)
	if err != nil {
		return outcome{}, err
	}
	if i.Status <= RunningWorkflow {
		return outcome{}, throw("PowerJobException: workflow instance is running")
	}
	i.Status = RunningWorkflow
	i.Runs++
	return c.ran(i), nil
}

// markNode marks a known node of a workflow that does not run. Each can be marked
// once: the stand-in runs no nodes, so all count as failed until they are marked.
func (c *Core) markNode(p params) (outcome, error) {
	i, err := c.ownRun(p)
	if err != nil {
		return outcome{}, err
	}
	if i.Status <= RunningWorkflow {
		return outcome{}, throw("PowerJobException: you can't mark the node in a running workflow!")
	}
	node, err := p.need("nodeId")
	if err != nil {
		return outcome{}, err
	}
	if n, ok := c.state.Nodes[node]; !ok || n.WorkflowID != i.WorkflowID {
		return outcome{}, throw("PowerJobException: can't find the node in current DAG!")
	}
	if slices.Contains(i.Marked, node) {
		return outcome{}, throw("PowerJobException: you can only mark the node which is failed and not allow to skip!")
	}
	i.Marked = append(slices.Clone(i.Marked), node)
	return c.ran(i), nil
}

func (c *Core) ran(i WorkflowInstance) outcome {
	c.state.WorkflowInstances[i.ID] = i
	return outcome{app: i.AppID, subject: i.ID}
}
