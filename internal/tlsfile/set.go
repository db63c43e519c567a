package tlsfile

import (
	"context"
	"crypto/sha256"
	"time"

	"go.uber.org/zap"
)

// Set is files that belong together. Content and not events are looked at,
// so that a rename, an editor's save and a Secret's swapped ..data link are all
// the same. Not safe for concurrent use.
type Set struct {
	Names []string

	last   [sha256.Size]byte // of the contents that were handed on last
	broken bool              // reading fails, and that was logged
}

// Load hands the files' contents to load.
func (s *Set) Load(load func([][]byte) error) error {
	contents, err := s.changed()
	if err != nil {
		return err
	}
	return load(contents)
}

// changed returns the files' contents if they differ from the last time, else
// nil.
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

// Poll hands changed contents to load, every interval until ctx ends. What load
// refuses is logged and not offered again until it changes: a certificate that
// came before its key is such a case.
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
