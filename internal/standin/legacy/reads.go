package legacy

import "encoding/json"

// The views have a few fields of PowerJob's DTOs, under the same names.
type (
	jobView struct {
		ID             int64           `json:"id"`
		AppID          int64           `json:"appId"`
		JobName        string          `json:"jobName"`
		JobDescription json.RawMessage `json:"jobDescription"` // null if saveJob had none; so are all RawMessages here
		JobParams      string          `json:"jobParams"`
		TimeExpression json.RawMessage `json:"timeExpression"`
		ProcessorInfo  json.RawMessage `json:"processorInfo"`
		Status         int             `json:"status"`
		GmtCreate      string          `json:"gmtCreate"`
		GmtModified    string          `json:"gmtModified"`
	}
	instanceView struct {
		InstanceID     int64  `json:"instanceId"`
		JobID          int64  `json:"jobId"`
		AppID          int64  `json:"appId"`
		InstanceParams string `json:"instanceParams"`
		Status         int    `json:"status"`
		RunningTimes   int    `json:"runningTimes"`
	}
	workflowView struct {
		ID     int64  `json:"id"`
		AppID  int64  `json:"appId"`
		WfName string `json:"wfName"`
		Status int    `json:"status"`
	}
	runView struct {
		WfInstanceID int64  `json:"wfInstanceId"`
		WorkflowID   int64  `json:"workflowId"`
		AppID        int64  `json:"appId"`
		WfInitParams string `json:"wfInitParams"`
		Status       int    `json:"status"`
	}
	nodeView struct {
		ID         int64  `json:"id"`
		AppID      int64  `json:"appId"`
		WorkflowID int64  `json:"workflowId"`
		JobID      int64  `json:"jobId"`
		NodeName   string `json:"nodeName"`
	}
)

// javaTime is the layout of a Date in the servers' JSON (tried on 4.3.9).
const javaTime = "2006-01-02T15:04:05.000-07:00"

func (c *Core) view(j Job) jobView {
	var v jobView
	_ = json.Unmarshal([]byte(j.Spec), &v) // fields of a wrong type in Spec are set below
	t := c.stamps[j.ID]
	v.ID, v.AppID, v.JobName, v.JobParams, v.Status = j.ID, j.AppID, j.Name, j.Params, j.Status
	v.GmtCreate, v.GmtModified = t.made.UTC().Format(javaTime), t.changed.UTC().Format(javaTime)
	return v
}

func (i Instance) view() instanceView {
	return instanceView{i.ID, i.JobID, i.AppID, i.Params, i.Status, i.Runs}
}

// exportJob answers with what saveJob was given, without the id.
func (c *Core) exportJob(p params) (outcome, error) {
	j, err := c.ownJob(p)
	if err != nil {
		return outcome{}, err
	}
	return outcome{data: json.RawMessage(j.Spec)}, nil
}

func (c *Core) fetchJob(p params) (outcome, error) {
	j, err := c.ownJob(p)
	if err != nil {
		return outcome{}, err
	}
	return outcome{data: c.view(j)}, nil
}

// jobsOf lists an app's jobs, deleted ones too; if name is not empty, only those with
// this name (the real server compares with LIKE).
func (c *Core) jobsOf(app *int64, name string) outcome {
	list := []jobView{}
	for _, j := range values(c.state.Jobs) {
		if app != nil && j.AppID == *app && (name == "" || j.Name == name) {
			list = append(list, c.view(j))
		}
	}
	return outcome{data: list}
}

func (c *Core) fetchAllJob(p params) (outcome, error) {
	app, err := p.id("appId")
	return c.jobsOf(app, ""), err
}

func (c *Core) queryJob(p params) (outcome, error) {
	app, err := p.id("appIdEq")
	return c.jobsOf(app, p.text("jobNameEq")), err
}

// instance finds an instance by its id alone: the reads do not check the app id.
func (c *Core) instance(p params) (Instance, error) {
	id, err := p.need("instanceId")
	if err != nil {
		return Instance{}, err
	}
	i, ok := c.state.Instances[id]
	if !ok {
		return Instance{}, throw("IllegalArgumentException: invalid instanceId: %d", id)
	}
	return i, nil
}

func (c *Core) fetchInstanceStatus(p params) (outcome, error) {
	i, err := c.instance(p)
	return outcome{data: i.Status}, err
}

func (c *Core) fetchInstanceInfo(p params) (outcome, error) {
	i, err := c.instance(p)
	return outcome{data: i.view()}, err
}

func (c *Core) queryInstance(p params) (outcome, error) {
	app, err := p.id("appIdEq")
	if err != nil {
		return outcome{}, err
	}
	job, err := p.id("jobIdEq")
	list := []instanceView{}
	for _, i := range values(c.state.Instances) {
		if (app == nil || i.AppID == *app) && (job == nil || i.JobID == *job) {
			list = append(list, i.view())
		}
	}
	return outcome{data: list}, err
}

func (c *Core) fetchWorkflow(p params) (outcome, error) {
	w, err := c.namedWorkflow(p)
	return outcome{data: workflowView{w.ID, w.AppID, w.Name, w.Status}}, err
}

func (c *Core) fetchWorkflowInstance(p params) (outcome, error) {
	i, err := c.ownRun(p)
	return outcome{data: runView{i.ID, i.WorkflowID, i.AppID, i.Params, i.Status}}, err
}
