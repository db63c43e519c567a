package duplicates

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Status is PowerJob's SwitchableStatus. A greater one is less in service.
type Status int

// The states of a job.
const (
	Enabled  Status = 1
	Disabled Status = 2
	Deleted  Status = 99 // the job stays in the database, and enableJob brings it back
)

// String returns "enabled", "disabled", "deleted", or the number.
func (s Status) String() string {
	switch s {
	case Enabled:
		return "enabled"
	case Disabled:
		return "disabled"
	case Deleted:
		return "deleted"
	}
	return "status " + strconv.Itoa(int(s))
}

// Job is a job as a server describes it (PowerJob's JobInfoDTO).
type Job struct {
	ID      int64
	Name    string
	Status  Status
	Created time.Time
	content content
}

// content is a hash of all fields of a job except its id, its times and its state:
// equal jobs have the same, whatever fields the server's version has.
type content [sha256.Size]byte

// notContent are the fields that differ between equal jobs, or change while a job is
// in service (the scheduler changes gmtModified, too).
var notContent = []string{"id", "status", "gmtCreate", "gmtModified", "nextTriggerTime"}

// UnmarshalJSON reads a job as servers of all versions write it.
func (j *Job) UnmarshalJSON(text []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	read := Job{}
	for name, value := range map[string]any{"id": &read.ID, "jobName": &read.Name, "status": &read.Status} {
		if raw, ok := fields[name]; ok {
			if err := json.Unmarshal(raw, value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if read.ID == 0 {
		return errors.New("a job has no id")
	}
	var err error
	if read.Created, err = readTime(fields["gmtCreate"]); err != nil {
		return fmt.Errorf("job %d: gmtCreate: %w", read.ID, err)
	}
	for _, name := range notContent {
		delete(fields, name)
	}
	read.content = contentOf(fields)
	*j = read
	return nil
}

// contentOf hashes the values as they are written: one server writes equal values
// alike, and if it did not, jobs would be taken for different, never for equal.
func contentOf(fields map[string]json.RawMessage) (c content) {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(h, "%q:%d:%s", name, len(fields[name]), fields[name])
	}
	h.Sum(c[:0])
	return c
}

// layouts are ways in which Spring can be configured to write a Date; servers use
// the first one (tried on 4.3.9). A time without a zone is in the server's own, which
// is the same for all its jobs.
var layouts = []string{"2006-01-02T15:04:05.999Z07:00", "2006-01-02T15:04:05.999Z0700", "2006-01-02 15:04:05.999"}

func readTime(raw json.RawMessage) (time.Time, error) {
	var ms int64
	if json.Unmarshal(raw, &ms) == nil && ms != 0 {
		return time.UnixMilli(ms).UTC(), nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		for _, layout := range layouts {
			if t, err := time.Parse(layout, text); err == nil {
				return t.UTC(), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no time; without it nobody can tell which jobs were made together", raw)
}
