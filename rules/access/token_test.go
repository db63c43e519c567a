package access

import (
	"encoding/hex"
	"testing"
)

func TestAFingerprintTellsTokensApartAndHidesThem(t *testing.T) {
	if Fingerprint("") != (Token{}) {
		t.Error("no token has a fingerprint")
	}
	if Fingerprint("a") == Fingerprint("b") || Fingerprint("a") == (Token{}) {
		t.Error("two tokens have one fingerprint")
	}
	const sha256OfA = "ca978112ca1bbdcafac231b39a23dc4d"
	if got := Fingerprint("a"); hex.EncodeToString(got[:]) != sha256OfA {
		t.Errorf("got %x, want %s", got, sha256OfA)
	}
}
