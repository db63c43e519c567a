package certs

import (
	"context"
	"crypto/sha256"
	"os"
	"time"

	"go.uber.org/zap"
)

// fileSet is files that belong together. Content and not events are looked at,
// so that a rename, an editor's save and a Secret's swapped ..data link are all
// the same. Not safe for concurrent use.
type fileSet struct {
	names  []string
	last   [sha256.Size]byte // of what changed has returned
	broken bool              // reading fails, and it was said
}

// changed returns the files' contents if they are others than the last time,
// else nil.
func (f *fileSet) changed() ([][]byte, error) {
	contents := make([][]byte, len(f.names))
	h := sha256.New()
	for i, name := range f.names {
		var err error
		if contents[i], err = os.ReadFile(name); err != nil { //nolint:gosec // the operator names the file
			return nil, err
		}
		one := sha256.Sum256(contents[i])
		h.Write(one[:])
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	if sum == f.last {
		return nil, nil
	}
	f.last = sum
	return contents, nil
}

// poll hands changed contents to load, every interval until ctx ends. What load
// refuses is logged and not offered again until it changes: a certificate that
// came before its key is such a case.
func (f *fileSet) poll(ctx context.Context, interval time.Duration, load func([][]byte) error, log *zap.Logger) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		contents, err := f.changed()
		switch {
		case err != nil && !f.broken:
			f.broken = true
			log.Error("reading certificates, the old ones stay", zap.Strings("files", f.names), zap.Error(err))
			continue
		case err != nil:
			continue
		}
		f.broken = false
		if contents == nil {
			continue
		}
		if err := load(contents); err != nil {
			log.Error("loading certificates, the old ones stay", zap.Strings("files", f.names), zap.Error(err))
			continue
		}
		log.Info("certificates loaded", zap.Strings("files", f.names))
	}
}
