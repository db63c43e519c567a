package legacy

import "time"

// ownJob is OpenAPIController.checkJobIdValid. A deleted job is still found.
func (c *Core) ownJob(p params) (Job, error) {
	id, app, err := p.owned("jobId")
	if err != nil {
		return Job{}, err
	}
	return c.jobOf(id, app)
}

func (c *Core) jobOf(id, app int64) (Job, error) {
	j, ok := c.state.Jobs[id]
	if !ok {
		return Job{}, throw("IllegalArgumentException: can't find job by jobId: %d", id)
	}
	if j.AppID != app {
		return Job{}, throw("IllegalArgumentException: this job is not belong to the app whose appId is %d", app)
	}
	return j, nil
}

// saveJob creates a job if id is null; otherwise it replaces the job. Saving a
// deleted job brings it back.
func (c *Core) saveJob(p params) (outcome, error) {
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
	j := Job{AppID: app, Name: p.text("jobName"), Params: p.text("jobParams"), Spec: p.spec(), Status: Enabled}
	if p.text("enable") == "false" {
		j.Status = Disabled
	}
	out := outcome{app: app}
	if id == nil {
		j.ID = c.state.nextJob()
		out.made = j.ID
	} else {
		if _, err := c.jobOf(*id, app); err != nil {
			return outcome{}, err
		}
		j.ID = *id
		out.subject = j.ID
	}
	c.keep(j, id == nil)
	out.data = j.ID
	return out, nil
}

// stamps are a job's times. They are not in State, because tests compare that.
type stamps struct{ made, changed time.Time }

// keep stores a job with its times.
func (c *Core) keep(j Job, isNew bool) {
	t := c.stamps[j.ID]
	t.changed = c.now()
	if isNew {
		t.made = t.changed
	}
	c.stamps[j.ID] = t
	c.state.Jobs[j.ID] = j
}

// copyJob makes a copy with the job's status. Like the real server it does not check
// the app id.
func (c *Core) copyJob(p params) (outcome, error) {
	id, err := p.need("jobId")
	if err != nil {
		return outcome{}, err
	}
	j, ok := c.state.Jobs[id]
	if !ok {
		return outcome{}, throw("IllegalArgumentException: can't find job by jobId: %d", id)
	}
	j.ID, j.Name = c.state.nextJob(), j.Name+"_COPY"
	c.keep(j, true)
	return outcome{data: j.ID, app: j.AppID, subject: id, made: j.ID}, nil
}

func setJob(status int) func(*Core, params) (outcome, error) {
	return func(c *Core, p params) (outcome, error) {
		j, err := c.ownJob(p)
		if err != nil {
			return outcome{}, err
		}
		j.Status = status
		c.keep(j, false)
		return outcome{app: j.AppID, subject: j.ID}, nil
	}
}

func (c *Core) runJob(p params) (outcome, error) {
	j, err := c.ownJob(p)
	if err != nil {
		return outcome{}, err
	}
	delay, err := p.id("delay")
	if err != nil {
		return outcome{}, err
	}
	i := Instance{ID: c.state.nextRun(), JobID: j.ID, AppID: j.AppID, Params: p.text("instanceParams"), Status: Running, Runs: 1}
	if delay != nil && *delay > 0 {
		i.Delay, i.Status = *delay, WaitingDispatch
	}
	c.state.Instances[i.ID] = i
	return outcome{data: i.ID, app: j.AppID, subject: j.ID, made: i.ID}, nil
}

func (c *Core) ownInstance(p params) (Instance, error) {
	id, app, err := p.owned("instanceId")
	if err != nil {
		return Instance{}, err
	}
	i, ok := c.state.Instances[id]
	if !ok {
		return Instance{}, throw("IllegalArgumentException: can't find instance by instanceId: %d", id)
	}
	if i.AppID != app {
		return Instance{}, throw("IllegalArgumentException: instance is not belong to the app whose appId is %d", app)
	}
	return i, nil
}

func (c *Core) stopInstance(p params) (outcome, error) {
	i, err := c.ownInstance(p)
	if err != nil {
		return outcome{}, err
	}
	if i.Status > Running {
		return outcome{}, throw("IllegalArgumentException: can't stop finished instance!")
	}
	i.Status = Stopped
	return c.changed(i), nil
}

func (c *Core) cancelInstance(p params) (outcome, error) {
	i, err := c.ownInstance(p)
	if err != nil {
		return outcome{}, err
	}
	if i.Status != WaitingDispatch {
		return outcome{}, throw("PowerJobException: instance already up and running")
	}
	i.Status = Canceled
	return c.changed(i), nil
}

func (c *Core) retryInstance(p params) (outcome, error) {
	i, err := c.ownInstance(p)
	if err != nil {
		return outcome{}, err
	}
	if i.Status <= Running {
		return outcome{}, throw("PowerJobException: Only stopped instance can be retry!")
	}
	i.Status = Running
	i.Runs++
	return c.changed(i), nil
}

func (c *Core) changed(i Instance) outcome {
	c.state.Instances[i.ID] = i
	return outcome{app: i.AppID, subject: i.ID}
}
