package admin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"powerjob-shim/proxy/admin/recent"
	"powerjob-shim/rules"
)

// State is what the page shows besides what Recent remembers.
type State struct {
	About
	Groups    []Group
	NotNeeded bool // all servers send the header themselves
}

// GoVersion is that of the running program.
func (State) GoVersion() string { return runtime.Version() }

//go:embed page.html
var pageText string

// Page returns the status page. It is one document without external resources,
// readable without JavaScript; with it, it is fetched again every 5 s.
//
// Its language is the query's lang, en or zh, else the one that Accept-Language
// prefers, else English.
func Page(calls *recent.Calls, state func(context.Context) State) http.Handler {
	page := template.Must(template.New("page").Funcs(template.FuncMap{"join": strings.Join}).Parse(pageText))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lang := languageOf(r)
		v := view{Lang: lang, T: words[lang], Nonce: rand.Text(), State: state(r.Context()), Now: time.Now()}
		v.fill(calls)
		var b bytes.Buffer
		if err := page.Execute(&b, &v); err != nil {
			http.Error(w, "the page cannot be written: "+err.Error(), http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Language", lang)
		h.Set("Vary", "Accept-Language")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "+
			"style-src 'nonce-"+v.Nonce+"'; script-src 'nonce-"+v.Nonce+"'")
		_, _ = w.Write(b.Bytes()) // the asker is gone if this fails
	})
}

// languages are those of the page; the first one is for everybody else.
var (
	languages = []string{"en", "zh"}
	matcher   = language.NewMatcher([]language.Tag{language.English, language.Chinese})
)

func languageOf(r *http.Request) string {
	if asked := r.URL.Query().Get("lang"); slices.Contains(languages, asked) {
		return asked
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return languages[0]
	}
	_, i, _ := matcher.Match(tags...)
	return languages[i]
}

// view is what the template gets.
type view struct {
	Lang, Nonce string
	T           map[string]string
	Now         time.Time
	State
	Charts  []chart
	Drops   []dropRow
	Clients []recent.Client
}

// chart is one decision's last hour.
type chart struct {
	Name, Label string
	Sum, Most   uint64 // of the hour; of one minute
	Path        string // bars in a field of 60 by 24
}

type dropRow struct {
	recent.Drop
	Why, Late string
}

func (v *view) fill(calls *recent.Calls) {
	hour := calls.Minutes(v.Now)
	for _, d := range recent.Shown() {
		v.Charts = append(v.Charts, draw(d, v.T, hour))
	}
	for _, d := range calls.Drops() {
		v.Drops = append(v.Drops, dropRow{Drop: d, Why: cmp.Or(v.T["reason "+d.Reason], d.Reason), Late: late(d.After)})
	}
	v.Clients = calls.Clients(v.Now)
}

// Verdict is a verdict in the reader's language.
func (v *view) Verdict(word string) string {
	return cmp.Or(v.T["verdict "+word], word)
}

// Uptime is how long the shim has run, to the minute once it is one.
func (v *view) Uptime() string {
	d := v.Now.Sub(v.Started)
	if d < time.Minute {
		return d.Truncate(time.Second).String()
	}
	return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
}

// Time is a point in time as the page shows it.
func (v *view) Time(t time.Time) string { return t.UTC().Format("15:04:05") }

const chartHeight = 24

func draw(d rules.Decision, words map[string]string, hour []recent.Minute) chart {
	c := chart{Name: string(d), Label: words["decision "+string(d)]}
	for _, m := range hour {
		c.Sum += m.Counts[d]
		c.Most = max(c.Most, m.Counts[d])
	}
	var b strings.Builder
	for i, m := range hour {
		if n := m.Counts[d]; n > 0 {
			h := max(1, float64(n)/float64(c.Most)*chartHeight)
			fmt.Fprintf(&b, "M%d %dV%sh.8V%dz", i, chartHeight, strconv.FormatFloat(chartHeight-h, 'f', 1, 64), chartHeight)
		}
	}
	c.Path = b.String()
	return c
}

// late is a duration in two or three digits.
func late(d time.Duration) string {
	switch {
	case d <= 0:
		return "–"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(10 * time.Millisecond).String()
	}
}
