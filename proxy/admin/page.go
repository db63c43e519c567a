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

// State is what the page shows besides the content of recent.Calls.
type State struct {
	About
	Groups    []Group
	NotNeeded bool // all servers send the auth header themselves
}

// GoVersion returns the Go version of the running program.
func (State) GoVersion() string { return runtime.Version() }

//go:embed page.html
var pageText string

// Page returns the handler of the status page. The page is one document without external
// resources. It is readable without JavaScript; with JavaScript, it is fetched again
// every 5 s.
//
// Its language is lang in the query, en or zh, else the one that Accept-Language
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
		_, _ = w.Write(b.Bytes()) // if this fails, the client is gone
	})
}

// languages are the page's languages; the first one is the default. matcher has the same
// ones in the same order.
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

// view is the data of the template.
type view struct {
	Lang, Nonce string
	T           map[string]string // the texts in the page's language
	Now         time.Time
	State
	Charts  []chart
	Drops   []dropRow
	Clients []recent.Client
}

// chart shows how often one decision was made in each minute of the last hour.
type chart struct {
	Name, Label string
	Sum, Most   uint64 // calls in the hour; in its busiest minute
	Path        string // the bars as an SVG path, 60 wide and 24 high
}

type dropRow struct {
	recent.Drop
	Why, Late string // the reason in words; Drop.After as text
}

// fill adds the content of calls.
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

// Verdict returns a verdict of doctor in the page's language.
func (v *view) Verdict(word string) string {
	return cmp.Or(v.T["verdict "+word], word)
}

// Uptime returns how long the shim has run, in whole seconds during the first minute and
// in whole minutes after it.
func (v *view) Uptime() string {
	d := v.Now.Sub(v.Started)
	if d < time.Minute {
		return d.Truncate(time.Second).String()
	}
	return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
}

// Time returns a point in time as the page shows it.
func (v *view) Time(t time.Time) string { return t.UTC().Format("15:04:05") }

const chartHeight = 24

// draw makes the chart of d.
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

// late returns a duration as text, rounded to milliseconds below a second, else to 10 ms;
// "–" if it is not known.
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
