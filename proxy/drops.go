package proxy

import (
	"strconv"

	"powerjob-shim/proxy/admin"
	"powerjob-shim/rules/openapi"
)

// noteDrop keeps a call that was not sent, or would not have been, for the
// status page.
func (p *passage) noteDrop() {
	ex := p.ex
	if ex.match.Dedup == nil {
		return
	}
	p.Recent.Dropped(admin.Drop{
		At: ex.received, Call: ex.callName(), App: p.call.App, Subject: subjectOf(p.call.Subjects), Decision: ex.decided, Reason: ex.reason,
		After: p.Recent.After(ex.received, p.call.Key), Client: ex.client,
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
