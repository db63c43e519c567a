package legacy

// outcome is what a successful call did.
type outcome struct {
	data    any   // the envelope's data
	app     int64 // the owner of what was changed
	subject int64 // the id that the call named; 0 for a create
	made    int64 // the id that the call made
	login   int   // number of the login, for authApp
}

type handler struct {
	json    bool // the parameters are a JSON body
	changes bool
	newer   bool // since 5.1.2
	run     func(*Core, params) (outcome, error)
}

// handlers are all calls of OpenAPIConstant.
var handlers = map[string]handler{
	"authApp": {json: true, run: (*Core).authApp},
	"assert":  {run: (*Core).assert},

	"saveJob":    {json: true, changes: true, run: (*Core).saveJob},
	"copyJob":    {changes: true, run: (*Core).copyJob},
	"disableJob": {changes: true, run: setJob(Disabled)},
	"enableJob":  {changes: true, run: setJob(Enabled)},
	"deleteJob":  {changes: true, run: setJob(Deleted)},
	"runJob":     {changes: true, run: (*Core).runJob},
	"runJob2":    {json: true, changes: true, newer: true, run: (*Core).runJob},

	"stopInstance":   {changes: true, run: (*Core).stopInstance},
	"cancelInstance": {changes: true, run: (*Core).cancelInstance},
	"retryInstance":  {changes: true, run: (*Core).retryInstance},

	"saveWorkflow":    {json: true, changes: true, run: (*Core).saveWorkflow},
	"copyWorkflow":    {changes: true, run: (*Core).copyWorkflow},
	"disableWorkflow": {changes: true, run: setWorkflow(Disabled)},
	"enableWorkflow":  {changes: true, run: setWorkflow(Enabled)},
	"deleteWorkflow":  {changes: true, run: setWorkflow(Deleted)},
	"runWorkflow":     {changes: true, run: (*Core).runWorkflow},
	"addWorkflowNode": {json: true, changes: true, run: (*Core).addWorkflowNode},

	"stopWfInstance":            {changes: true, run: (*Core).stopWorkflowInstance},
	"retryWfInstance":           {changes: true, run: (*Core).retryWorkflowInstance},
	"markWorkflowNodeAsSuccess": {changes: true, run: (*Core).markNode},

	"exportJob":           {run: (*Core).exportJob},
	"fetchJob":            {run: (*Core).fetchJob},
	"fetchAllJob":         {run: (*Core).fetchAllJob},
	"queryJob":            {json: true, run: (*Core).queryJob},
	"fetchInstanceStatus": {run: (*Core).fetchInstanceStatus},
	"fetchInstanceInfo":   {run: (*Core).fetchInstanceInfo},
	"queryInstance":       {json: true, run: (*Core).queryInstance},
	"fetchWorkflow":       {run: (*Core).fetchWorkflow},
	"fetchWfInstanceInfo": {run: (*Core).fetchWorkflowInstance},
}
