package main

import (
	"bufio"
	"bytes"
	"fmt"
	"html"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// frame is a function in a flame graph, with the time sampled in it and in the
// functions that it called.
type frame struct {
	name  string
	took  time.Duration
	calls []*frame
}

func (f *frame) called(name string) *frame {
	for _, c := range f.calls {
		if c.name == name {
			return c
		}
	}
	c := &frame{name: name}
	f.calls = append(f.calls, c)
	return c
}

// flame draws a CPU profile of a binary as a flame graph.
func flame(binary, profile, svg string) error {
	traces, err := exec.Command("go", "tool", "pprof", "-traces", binary, profile).Output() //nolint:gosec // named on the command line
	if err != nil {
		return fmt.Errorf("reading the profile: %w", err)
	}
	root, err := readTraces(traces)
	if err != nil {
		return err
	}
	return os.WriteFile(svg, root.draw(), 0o600)
}

// readTraces reads the output of pprof -traces: for each stack a line with the time and
// the innermost function, then a line for each of its callers.
func readTraces(text []byte) (*frame, error) {
	root := &frame{name: "all"}
	var took time.Duration
	var stack []string
	end := func() {
		root.took += took
		at := root
		for _, name := range slices.Backward(stack) {
			at = at.called(name)
			at.took += took
		}
		took, stack = 0, nil
	}
	begun := false
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := strings.TrimSuffix(lines.Text(), " (inline)")
		if strings.HasPrefix(line, "---") {
			end()
			begun = true
			continue
		}
		fields := strings.Fields(line)
		if !begun || len(fields) == 0 {
			continue
		}
		if len(stack) == 0 {
			var err error
			if took, err = time.ParseDuration(fields[0]); err != nil {
				return nil, fmt.Errorf("reading the profile: %w", err)
			}
		}
		stack = append(stack, fields[len(fields)-1])
	}
	end()
	return root, nil
}

const (
	flameWidth, flameRow = 1200.0, 15
	flameLeast           = 0.002 // the least share of the whole time that is drawn
)

func (f *frame) draw() []byte {
	rows := f.depth(f.took)
	height := (rows + 2) * flameRow
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" font-family="monospace" font-size="10"><rect width="100%%" height="100%%" fill="white"/>`+
		`<text x="4" y="14" font-size="12" font-family="sans-serif">CPU of the shim: works (a), (b) and (c) in turns</text>`+"\n", flameWidth+2, height)
	f.drawCalls(&b, f.took, 1, height-2*flameRow)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// depth returns how many rows of f's calls are drawn.
func (f *frame) depth(all time.Duration) (rows int) {
	for _, c := range f.calls {
		if float64(c.took) >= flameLeast*float64(all) {
			rows = max(rows, 1+c.depth(all))
		}
	}
	return rows
}

func (f *frame) drawCalls(b *bytes.Buffer, all time.Duration, x float64, y int) {
	slices.SortFunc(f.calls, func(a, c *frame) int { return int(c.took - a.took) })
	for _, c := range f.calls {
		part := float64(c.took) / float64(all)
		if part < flameLeast {
			return
		}
		name := strings.TrimPrefix(c.name, "powerjob-shim/")
		color := "#b0b7c3"
		switch {
		case name != c.name:
			color = "#7fb0f5"
		case strings.Contains(name, "yscall"):
			color = "#f0b27a"
		}
		width := part * flameWidth
		short := name[strings.LastIndexByte(name, '/')+1:]
		if room := int(width/6) - 1; room < len(short) {
			short = short[:max(room, 0)]
		}
		fmt.Fprintf(b, `<g><title>%s: %.1f %%</title><rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" stroke="white" stroke-width=".5"/><text x="%.1f" y="%d">%s</text></g>`+"\n",
			html.EscapeString(name), 100*part, x, y, width, flameRow-1, color, x+2, y+flameRow-5, html.EscapeString(short))
		c.drawCalls(b, all, x, y-flameRow)
		x += width
	}
}
