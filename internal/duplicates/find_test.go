package duplicates

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// jobsFrom reads jobs written as "id name status milliseconds".
func jobsFrom(t *testing.T, lines ...string) []Job {
	t.Helper()
	var jobs []Job
	for _, line := range lines {
		var id, status, ms int64
		var name string
		if _, err := fmt.Sscan(line, &id, &name, &status, &ms); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		var j Job
		if err := json.Unmarshal(fmt.Appendf(nil, `{"id":%d,"jobName":%q,"status":%d,"gmtCreate":%d,"gmtModified":%d,"nextTriggerTime":%d}`,
			id, name, status, 1700000000000+ms, id*1000, id), &j); err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func TestFindTellsWhatEqualJobsAreToEachOther(t *testing.T) {
	for name, c := range map[string]struct {
		jobs []string
		want []string // "kind id,id open"
	}{
		"none":                        {nil, nil},
		"different jobs":              {[]string{"1 a 1 0", "2 b 1 5"}, nil},
		"what the defect leaves":      {[]string{"1 a 1 0", "2 a 1 14"}, []string{"pair 1,2 true"}},
		"in any order":                {[]string{"2 a 1 14", "1 a 1 0"}, []string{"pair 1,2 true"}},
		"in the same millisecond":     {[]string{"1 a 1 0", "2 a 1 0"}, []string{"pair 1,2 true"}},
		"one that is listed twice":    {[]string{"1 a 1 0", "1 a 1 0"}, nil},
		"at the limit":                {[]string{"1 a 1 0", "2 a 1 10000"}, []string{"pair 1,2 true"}},
		"beyond the limit":            {[]string{"1 a 1 0", "2 a 1 10001"}, nil},
		"made on purpose, an hour on": {[]string{"1 a 1 0", "2 a 1 3600000"}, nil},
		"others in between":           {[]string{"1 a 1 0", "2 b 1 1", "3 a 1 14", "4 b 1 15"}, []string{"pair 1,3 true", "pair 2,4 true"}},
		"two pairs, an hour apart":    {[]string{"1 a 1 0", "2 a 1 14", "3 a 1 3600000", "4 a 1 3600012"}, []string{"pair 1,2 true", "pair 3,4 true"}},
		"disabled leftover":           {[]string{"1 a 2 0", "2 a 1 14"}, []string{"pair 1,2 false"}},
		"both disabled":               {[]string{"1 a 2 0", "2 a 2 14"}, []string{"pair 1,2 false"}},
		"deleted leftover":            {[]string{"1 a 99 0", "2 a 1 14"}, nil},
		"both deleted":                {[]string{"1 a 99 0", "2 a 99 14"}, nil},
		"its caller deleted the twin": {[]string{"1 a 1 0", "2 a 99 14"}, []string{"alone 1,2 true"}},
		"its caller disabled it":      {[]string{"1 a 1 0", "2 a 2 14"}, []string{"alone 1,2 true"}},
		"disabled, its twin deleted":  {[]string{"1 a 2 0", "2 a 99 14"}, []string{"alone 1,2 false"}},
		"three":                       {[]string{"1 a 1 0", "2 a 1 14", "3 a 1 28"}, []string{"unclear 1,2,3 true"}},
		"two calls, each twice":       {[]string{"1 a 1 0", "2 a 1 14", "3 a 1 5000", "4 a 1 5014"}, []string{"unclear 1,2,3,4 true"}},
		"one of three is left":        {[]string{"1 a 1 0", "2 a 99 14", "3 a 99 28"}, nil},
		"three, one still runs":       {[]string{"1 a 1 0", "2 a 2 14", "3 a 2 28"}, []string{"unclear 1,2,3 false"}},
		"ids against times":           {[]string{"1 a 1 14", "2 a 1 0"}, []string{"unclear 1,2 true"}},
	} {
		var got []string
		for _, f := range Find(jobsFrom(t, c.jobs...), 10*time.Second) {
			var ids []string
			for _, j := range f.Jobs {
				ids = append(ids, fmt.Sprint(j.ID))
			}
			got = append(got, fmt.Sprintf("%s %s %t", f.Kind, strings.Join(ids, ","), f.Open()))
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestASmallerLimitPartsTwoCalls(t *testing.T) {
	jobs := jobsFrom(t, "1 a 1 0", "2 a 1 14", "3 a 1 5000", "4 a 1 5014")
	for _, f := range Find(jobs, 100*time.Millisecond) {
		if f.Kind != Pair {
			t.Errorf("%s %v", f.Kind, f.Jobs)
		}
	}
}

func TestEveryFieldButIDTimesAndStateMakesADifference(t *testing.T) {
	read := func(text string) Job {
		var j Job
		if err := json.Unmarshal([]byte(text), &j); err != nil {
			t.Fatal(err)
		}
		return j
	}
	first := read(`{"id":1,"jobName":"a","concurrency":5,"alarmConfig":{"x":1},"tag":null,"status":1,"nextTriggerTime":5,"gmtModified":null,"gmtCreate":7}`)
	for text, equal := range map[string]bool{
		`{"gmtCreate":9,"tag":null,"alarmConfig":{"x":1},"jobName":"a","concurrency":5,"id":2,"status":2,"gmtModified":3,"nextTriggerTime":6}`: true,
		`{"id":2,"jobName":"a","concurrency":5,"alarmConfig":{"x":1},"gmtCreate":7}`:                                                           false, // no tag
		`{"id":2,"jobName":"a","concurrency":5,"alarmConfig":{"x":1},"tag":"t","gmtCreate":7}`:                                                 false,
		`{"id":2,"jobName":"a","concurrency":6,"alarmConfig":{"x":1},"tag":null,"gmtCreate":7}`:                                                false,
		`{"id":2,"jobName":"a","concurrency":5,"alarmConfig":{"x":2},"tag":null,"gmtCreate":7}`:                                                false,
		`{"id":2,"jobName":"a","concurrency":5,"alarmConfig":{"x":1},"tag":null,"new":0,"gmtCreate":7}`:                                        false,
	} {
		if got := read(text).content == first.content; got != equal {
			t.Errorf("%s: equal %t", text, got)
		}
	}
}

func TestATimeIsReadAsSpringMayWriteIt(t *testing.T) {
	want := time.Date(2026, 3, 1, 7, 0, 0, 5e6, time.UTC)
	for _, text := range []string{
		`1772348400005`, `"2026-03-01T07:00:00.005+00:00"`, `"2026-03-01T08:00:00.005+01:00"`, `"2026-03-01T07:00:00.005Z"`,
		`"2026-03-01T07:00:00.005+0000"`, `"2026-03-01 07:00:00.005"`,
	} {
		var j Job
		if err := json.Unmarshal([]byte(`{"id":1,"gmtCreate":`+text+`}`), &j); err != nil || j.Created != want {
			t.Errorf("%s: %v, %v", text, j.Created, err)
		}
	}
	for _, text := range []string{`{}`, `{"id":1}`, `{"id":1,"gmtCreate":null}`, `{"id":1,"gmtCreate":"soon"}`, `{"id":"x","gmtCreate":1}`, `[]`, `1`} {
		var j Job
		if err := json.Unmarshal([]byte(text), &j); err == nil {
			t.Errorf("%s is read as %+v", text, j)
		}
	}
}

func TestAStatusHasAName(t *testing.T) {
	if got := fmt.Sprint(Enabled, Disabled, Deleted, Status(7)); got != "enabled disabled deleted status 7" {
		t.Errorf("got %s", got)
	}
}
