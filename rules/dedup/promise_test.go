package dedup_test

import (
	"testing"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// The limits of docs/promise.md that need no simulation to show.

const promiseWindow = 5 * time.Second

var promiseStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// savedCall is a saveJob without an id.
func savedCall(id dedup.ID, token string, body bool) dedup.Call {
	return dedup.Call{
		ID: id, Group: "default", Key: dedup.KeyParts{Body: []byte("new job")}.Key(), App: "1",
		Token: access.Fingerprint(token), Subjects: openapi.Subjects{Creates: true},
		Window: promiseWindow, Dedup: true, Body: body,
	}
}

func keptAnswer(id int64) dedup.Outcome {
	return dedup.Outcome{
		Kind: dedup.Kept, Status: 200, Answer: &dedup.Answer{Status: 200, Body: []byte("7")},
		Created: []openapi.Subject{{Kind: openapi.Job, ID: id}},
	}
}

func wantVerdict(t *testing.T, what string, got dedup.Ruling, want dedup.Verdict) {
	t.Helper()
	if got.Verdict != want {
		t.Errorf("%s: verdict %d (%s), want %d", what, got.Verdict, got.Reason, want)
	}
}

func TestAnEqualCallAfterAHangUpIsItsRetry(t *testing.T) {
	m, now := dedup.New(dedup.Limits{}), promiseStart
	wantVerdict(t, "the first call", m.Arrive(now, savedCall(1, "T", false)), dedup.Lead)
	m.Leave(now.Add(2*time.Second), 1)
	m.Finish(now.Add(3*time.Second), 1, keptAnswer(7))
	m.Delivered(now.Add(3*time.Second), 1)
	wantVerdict(t, "an equal call, meant as a new one", m.Arrive(now.Add(4*time.Second), savedCall(2, "T", false)), dedup.Replay)
	m.Delivered(now.Add(4*time.Second), 2)
	wantVerdict(t, "one more", m.Arrive(now.Add(4*time.Second), savedCall(3, "T", false)), dedup.Lead)
}

func TestAReSendAfterTheWindowIsExecuted(t *testing.T) {
	for _, late := range []bool{false, true} {
		m, now := dedup.New(dedup.Limits{}), promiseStart
		wantVerdict(t, "the first call", m.Arrive(now, savedCall(1, "T", false)), dedup.Lead)
		m.Finish(now, 1, keptAnswer(7))
		m.Delivered(now, 1)
		at, want := now.Add(promiseWindow-time.Millisecond), dedup.Replay
		if late {
			at, want = now.Add(promiseWindow), dedup.Lead
		}
		m.Issued(at, dedup.Issue{Group: "default", App: "1", Token: access.Fingerprint("R"), Requested: now.Add(time.Millisecond), Bare: true, Window: promiseWindow})
		wantVerdict(t, "the re-send", m.Arrive(at, savedCall(2, "R", false)), want)
	}
}

func TestEqualCreatesInsideTheWindowAreOneJob(t *testing.T) {
	m, now := dedup.New(dedup.Limits{}), promiseStart
	wantVerdict(t, "the first", m.Arrive(now, savedCall(1, "T", true)), dedup.Lead)
	m.Finish(now, 1, keptAnswer(7))
	m.Delivered(now, 1)
	wantVerdict(t, "an equal one", m.Arrive(now.Add(time.Second), savedCall(2, "U", true)), dedup.Replay)
}

func TestAChangePastTheShimIsNotSeen(t *testing.T) {
	m, now := dedup.New(dedup.Limits{}), promiseStart
	save := savedCall(1, "T", true)
	save.Subjects = openapi.Subjects{Known: []openapi.Subject{{Kind: openapi.Job, ID: 7}}}
	wantVerdict(t, "save A", m.Arrive(now, save), dedup.Lead)
	m.Finish(now, 1, keptAnswer(7))
	m.Delivered(now, 1)
	// The job is edited in the web UI here: no event.
	save.ID = 2
	wantVerdict(t, "save A again", m.Arrive(now.Add(time.Second), save), dedup.Replay)
}
