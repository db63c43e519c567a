package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// profileSeconds is how long the processor is sampled: 100 times a second.
const profileSeconds = 60

// profile writes a CPU profile of c at works (a), (b) and (c), taken in turns:
// what default.pgo and the flame graph are made from.
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

// sample takes a profile from the admin listener.
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
