// Package recorder collects a whole answer before its caller gets it, for the links
// that look at answers.
//
//	rec := recorder.New(w, ex, 64<<10, nil)
//	if whole := rec.Collect(next, r); whole && !rec.Streaming() {
//		look at rec.Status() and rec.Body()
//		err := rec.Pass()
//	}
package recorder
