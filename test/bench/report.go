package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// cell has the measurements of one work on one candidate, by round.
type cell struct{ rounds []measurement }

type results struct {
	works []work
	cells map[string]map[string]*cell // by the work's letter and the candidate's name
}

func (r *results) add(w work, c *candidate, m measurement) {
	if r.cells == nil {
		r.cells = map[string]map[string]*cell{}
	}
	if r.cells[w.letter] == nil {
		r.works = append(r.works, w)
		r.cells[w.letter] = map[string]*cell{}
	}
	if r.cells[w.letter][c.name] == nil {
		r.cells[w.letter][c.name] = &cell{}
	}
	r.cells[w.letter][c.name].rounds = append(r.cells[w.letter][c.name].rounds, m)
}

// of returns the median, the least and the greatest of a figure.
func (c *cell) of(figure func(measurement) float64) (median, low, high float64) {
	var all []float64
	for _, m := range c.rounds {
		all = append(all, figure(m))
	}
	slices.Sort(all)
	return all[len(all)/2], all[0], all[len(all)-1]
}

func cpuOf(m measurement) float64 { return m.cpu }

// plainName is the candidate that the others are compared with.
const plainName = "plain ReverseProxy"

// timesPlain returns the median over the rounds of c's figure divided by the plain
// proxy's of the same round; "-" without figures. So changes in the machine's speed
// that last longer than a round have no influence.
func (r *results) timesPlain(w work, c *cell) string {
	var ratios []float64
	for _, m := range c.rounds {
		for _, p := range r.cells[w.letter][plainName].all() {
			if p.round == m.round && p.cpu > 0 && m.cpu > 0 {
				ratios = append(ratios, m.cpu/p.cpu)
			}
		}
	}
	if len(ratios) == 0 {
		return "-"
	}
	slices.Sort(ratios)
	return fmt.Sprintf("%.2f", ratios[len(ratios)/2])
}

// all returns the rounds of c, which may be nil.
func (c *cell) all() []measurement {
	if c == nil {
		return nil
	}
	return c.rounds
}

func (r *results) print(out io.Writer, w work, running []*candidate) {
	fmt.Fprintf(out, "(%s) %s\n", w.letter, w.title)
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "candidate\t%s\tx plain\trequests/s\tp50\tp99\texecuted\n", w.unit)
	for _, c := range running {
		cell := r.cells[w.letter][c.name]
		if cell == nil {
			continue
		}
		cpu, low, high := cell.of(cpuOf)
		rate, _, _ := cell.of(func(m measurement) float64 { return m.rate })
		p50, _, _ := cell.of(func(m measurement) float64 { return float64(m.p50) })
		p99, _, _ := cell.of(func(m measurement) float64 { return float64(m.p99) })
		executed := "-"
		if w.executions != nil {
			executed = fmt.Sprintf("%d x", w.executions(c))
		}
		if w.run == nil {
			fmt.Fprintf(t, "%s\t%.0f (%.0f to %.0f)\t%s\t\t\t\t\n", c.name, cpu, low, high, r.timesPlain(w, cell))
			continue
		}
		fmt.Fprintf(t, "%s\t%.3f (%.3f to %.3f)\t%s\t%.0f\t%v\t%v\t%s\n", c.name, cpu, low, high, r.timesPlain(w, cell), rate,
			time.Duration(p50).Round(time.Microsecond), time.Duration(p99).Round(time.Microsecond), executed)
	}
	_ = t.Flush()
	fmt.Fprintln(out)
}

// svg draws the CPU figures as bars, in a block for each work.
func (r *results) svg(running []*candidate) []byte {
	var b strings.Builder
	const left, width, bar, gap = 170, 560, 16, 34
	y := 20
	body := &strings.Builder{}
	for _, w := range r.works {
		fmt.Fprintf(body, `<text x="10" y="%d" font-weight="bold">(%s) %s</text>`+"\n", y, w.letter, w.title)
		fmt.Fprintf(body, `<text x="10" y="%d" fill="#666">%s, less is better</text>`+"\n", y+15, w.unit)
		y += 24
		top := 0.0
		for _, c := range r.cells[w.letter] {
			m, _, _ := c.of(cpuOf)
			top = max(top, m)
		}
		for _, c := range running {
			cell := r.cells[w.letter][c.name]
			if cell == nil || c.name == "direct" {
				continue
			}
			m, low, high := cell.of(cpuOf)
			scale := float64(width) / max(top*1.25, 1e-9)
			fill := "#b0b7c3"
			if strings.HasPrefix(c.name, "shim") {
				fill = "#2f6fde"
			}
			fmt.Fprintf(body, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, left-6, y+12, c.name, left, y, m*scale, bar-3, fill)
			fmt.Fprintf(body, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#333"/><text x="%.1f" y="%d">%.3g</text>`+"\n", left+low*scale, left+high*scale, y+6, y+6, left+max(m, high)*scale+6, y+11, m)
			y += bar
		}
		y += gap
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11"><rect width="100%%" height="100%%" fill="white"/>`+"\n%s</svg>\n", left+width+60, y, body)
	return []byte(b.String())
}
