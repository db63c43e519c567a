package access

// Reason is why a call may not pass, as the log line and the metric's label have it.
type Reason string

// The reasons.
const (
	Passed        Reason = ""
	NoAppID       Reason = "no_app_id"         // a token, but no app id header
	NoToken       Reason = "no_token"          // an app id header, but no token
	UnknownToken  Reason = "unknown_token"     // not seen being issued, or forgotten
	ExpiredToken  Reason = "expired_token"     // older than auth.token_ttl
	OtherApp      Reason = "other_app"         // header, query or body name an app that the token is not for
	LegacyClient  Reason = "legacy_client"     // neither header, and not among auth.legacy_clients
	Address       Reason = "address"           // not in auth.allow.cidrs
	AppNotAllowed Reason = "app"               // not in auth.allow.apps
	Unreadable    Reason = "unreadable"        // the app that it names cannot be read for certain
	TooLarge      Reason = "body_too_large"    // the body is larger than dedup.max_body, so it cannot be read here
	NotHeld       Reason = "body_not_held"     // the body came too slowly, or too many bodies were being read
	UnknownPath   Reason = "unrecognised_path" // looks like the OpenAPI, and is not under openapi_prefix
	Blocked       Reason = "blocked"           // in auth.block
)

// Reasons returns every reason but Passed.
func Reasons() []string {
	var all []string
	for _, r := range []Reason{
		NoAppID, NoToken, UnknownToken, ExpiredToken, OtherApp, LegacyClient, Address, AppNotAllowed,
		Unreadable, TooLarge, NotHeld, UnknownPath, Blocked,
	} {
		all = append(all, string(r))
	}
	return all
}

// Denial is the answer of a 5.1.1 server that checks calls, to a call that it
// refuses for its token: HTTP 200 with X-POWERJOB-AUTH-PASSED: false. The real
// client then logs in and sends the call again.
type Denial struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	Code    string `json:"code"` // tech.powerjob.common.enums.ErrorCodes
}

// Denial returns the server's own answer for a reason; ok is false if a server has
// none, because it does not check for it.
func (r Reason) Denial() (d Denial, ok bool) {
	switch r {
	case NoAppID:
		return Denial{Message: "INVALID_REQUEST:lack_of_appId_in_header", Code: "-300"}, true
	case NoToken:
		return Denial{Message: "OPEN_API_AUTH_FAILED:token_is_empty", Code: "-1002"}, true
	case UnknownToken:
		return Denial{Message: "INVALID_TOKEN:not_issued_here_or_forgotten", Code: "-401"}, true
	case ExpiredToken:
		return Denial{Message: "TOKEN_EXPIRED:JWT expired", Code: "-403"}, true
	case OtherApp:
		return Denial{Message: "INVALID_REQUEST:Inconsistent_appId_from_token_and_header", Code: "-300"}, true
	case LegacyClient:
		// A server says only the first half. 4.x clients show the
		// message to their users, who should learn what to do.
		return Denial{Message: "INVALID_REQUEST:lack_of_appId_in_header (powerjob-shim: calls without a token, as 4.x clients make them, " +
			"do not pass from this address or for this app; list both under auth.legacy_clients, or use a 5.x client)", Code: "-300"}, true
	}
	return Denial{}, false
}
