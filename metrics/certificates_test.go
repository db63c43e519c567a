package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestTheCertificateThatEndsFirstCounts(t *testing.T) {
	m, reg := newMetrics(t)
	m.ObserveCertificates(func() []Expiry {
		return []Expiry{{"a.test", time.Unix(200, 0)}, {"a.test", time.Unix(100, 0)}, {"b.test", time.Time{}}}
	})
	want := `# HELP powerjob_shim_certificate_expiry_timestamp_seconds Unix time until which the certificate of a listener's name is valid; 0: there is none yet.
# TYPE powerjob_shim_certificate_expiry_timestamp_seconds gauge
powerjob_shim_certificate_expiry_timestamp_seconds{name="a.test"} 100
powerjob_shim_certificate_expiry_timestamp_seconds{name="b.test"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "powerjob_shim_certificate_expiry_timestamp_seconds"); err != nil {
		t.Error(err)
	}
}
