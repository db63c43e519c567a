package dedup

import "testing"

const (
	here  = "10.0.0.1"
	there = "10.0.0.2"
)

func TestALoginFromElsewhereIsNoEvidence(t *testing.T) {
	play(t, "a-login-from-elsewhere-is-no-evidence")
}

func TestALoginFromElsewhereDoesNotPay(t *testing.T) {
	play(t, "a-login-from-elsewhere-does-not-pay")
}

func TestWithoutAnAddressAllCouldBeOneClients(t *testing.T) {
	play(t, "without-an-address-all-could-be-one-clients")
}

func TestATokenFromTwoAddressesShowsThatAddressesTellNothing(t *testing.T) {
	play(t, "a-token-from-two-addresses-shows-that-addresses-tell-nothing")
}
