package tlsfile

import (
	"context"
	"crypto/sha256"
	"time"

	"go.uber.org/zap"
)

// Set is a set of files that belong together. It compares their contents, not events,
// so that a rename, an editor's save and a Secret's swapped ..data link are all the
// same to it. Not safe for concurrent use.
type Set struct {
	Names []string

	last   [sha256.Size]byte // hash of the contents that were last passed to load
	broken bool              // reading fails, and that was logged
}

// Load passes the files' contents, in the order of Names, to load. Call it once,
// before Poll.
func (s *Set) Load(load func([][]byte) error) error {
	contents, err := s.changed()
	if err != nil {
		return err
	}
	return load(contents)
}

// changed returns the files' contents. Nil: they have not changed since the last call.
func (s *Set) changed() ([][]byte, error) {
	contents := make([][]byte, len(s.Names))
	h := sha256.New()
	for i, name := range s.Names {
		var err error
		if contents[i], err = read(name); err != nil {
			return nil, err
		}
		one := sha256.Sum256(contents[i])
		h.Write(one[:])
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	if sum == s.last {
		return nil, nil
	}
	s.last = sum
	return contents, nil
}

// Poll reads the files every interval until ctx ends, and passes changed contents to
// load. If load refuses them, as when a certificate was replaced before its key, it
// logs the error and waits for the next change.
func (s *Set) Poll(ctx context.Context, interval time.Duration, load func([][]byte) error, log *zap.Logger) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		contents, err := s.changed()
		switch {
		case err != nil && !s.broken:
			s.broken = true
			log.Error("reading certificates, the old ones stay", zap.Strings("files", s.Names), zap.Error(err))
			continue
		case err != nil:
			continue
		}
		s.broken = false
		if contents == nil {
			continue
		}
		if err := load(contents); err != nil {
			log.Error("loading certificates, the old ones stay", zap.Strings("files", s.Names), zap.Error(err))
			continue
		}
		log.Info("certificates loaded", zap.Strings("files", s.Names))
	}
}
