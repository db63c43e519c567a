package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// profileSeconds is how long the profile is taken, with 100 samples a second.
const profileSeconds = 60

// profile writes a CPU profile of c while it does works (a), (b) and (c) in turns.
// default.pgo and the flame graph are made from it.
func profile(c *candidate, scale float64, up *upstream, file string) error {
	sampled := make(chan error, 1)
	go func() { sampled <- sample(c.admin, file) }()
	for {
		for _, w := range works(scale)[:3] {
			select {
			case err := <-sampled:
				return err
			default:
			}
			if _, err := measure(c, w, up); err != nil {
				return err
			}
		}
	}
}

// sample gets a profile from the admin listener and writes it to file.
func sample(admin, file string) (err error) {
	res, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, profileSeconds))
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("profiling: %s", res.Status)
	}
	f, err := os.Create(file) //nolint:gosec // named on the command line
	if err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}
