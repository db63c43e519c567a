package replay

import (
	"strconv"

	"powerjob-shim/proxy/admin/recent"
	"powerjob-shim/rules/openapi"
)

// noteDrop keeps a call that was not sent, or would not have been, for the
// status page.
func (p *passage) noteDrop() {
	ex := p.ex
	if ex.Match.Dedup == nil {
		return
	}
	p.Recent.Dropped(recent.Drop{
		At: ex.Received, Call: ex.CallName(), App: p.call.App, Subject: subjectOf(p.call.Subjects), Decision: ex.Decided, Reason: ex.Reason,
		After: p.Recent.After(ex.Received, p.call.Key), Client: ex.Client,
	})
}

var subjectWords = [...]string{openapi.Job: "job", openapi.Instance: "instance", openapi.Workflow: "workflow",
	openapi.WorkflowInstance: "workflow instance", openapi.WorkflowNode: "workflow node"}

// subjectOf says what a call changes: "job 3".
func subjectOf(s openapi.Subjects) string {
	if len(s.Known) == 0 {
		return ""
	}
	text := subjectWords[s.Known[0].Kind] + " " + strconv.FormatInt(s.Known[0].ID, 10)
	if more := len(s.Known) - 1; more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}
