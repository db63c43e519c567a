package dedup

import "testing"

var denied = Outcome{Kind: Denied}

func TestTheResendOfARefusedCallIsItsFirstExecution(t *testing.T) {
	play(t, "the-resend-of-a-refused-call-is-its-first-execution")
}

func TestARefusedCallComesBeforeAnAnswerThatIsNewer(t *testing.T) {
	play(t, "a-refused-call-comes-before-an-answer-that-is-newer")
}

func TestALoginThatARefusalExplainsIsNoEvidenceForAnotherCall(t *testing.T) {
	play(t, "a-login-that-a-refusal-explains-is-no-evidence-for-another-call")
}

func TestMoreLoginsThanRefusalsAreEvidenceAgain(t *testing.T) {
	play(t, "more-logins-than-refusals-are-evidence-again")
}

func TestARefusalThatWasRepeatedExplainsNoMoreLogins(t *testing.T) {
	play(t, "a-refusal-that-was-repeated-explains-no-more-logins")
}

func TestARefusalFromElsewhereExplainsNothing(t *testing.T) {
	play(t, "a-refusal-from-elsewhere-explains-nothing")
}

func TestALaterRefusalDoesNotExplainALogin(t *testing.T) {
	play(t, "a-later-refusal-does-not-explain-a-login")
}

func TestARefusedReadExplainsItsLogin(t *testing.T) {
	play(t, "a-refused-read-explains-its-login")
}

func TestARefusalWhoseResendGaveUpExplainsItsLoginAgain(t *testing.T) {
	play(t, "a-refusal-whose-resend-gave-up-explains-its-login-again")
}
