// Pageshot looks at the shim's status page in headless Chromium, 1280 and 390
// pixels wide, in light and dark, in English and Chinese:
//
//	go run -C test/tools ./pageshot -browser chromium -url http://127.0.0.1:9700/ -o DIR
//
// It keeps a picture of each, such as status-1280-light.png, and prints one JSON
// object a picture: what it saw. The last object says whether the page changed
// by itself while calls went on.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"powerjob-shim/test/tools/browser"
)

// seen is what one look showed.
type seen struct {
	Picture string `json:"picture"`
	Title   string `json:"title"`
	Lang    string `json:"lang"`
	Body    string `json:"body"` // the text that a reader sees
	// Wider is by how many pixels the page is wider than the window.
	Wider      int    `json:"wider"`
	Background string `json:"background"`
	Scripts    int    `json:"scripts"`
	Refreshed  bool   `json:"refreshed,omitempty"`
}

const look = `({title: document.title, lang: document.documentElement.lang, body: document.body.innerText,
	wider: document.documentElement.scrollWidth - window.innerWidth,
	background: getComputedStyle(document.body).backgroundColor, scripts: document.scripts.length})`

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pageshot:", err)
		os.Exit(1)
	}
}

func run() error {
	var (
		program = flag.String("browser", "chromium", "the browser's program")
		url     = flag.String("url", "", "where the page is")
		out     = flag.String("o", ".", "the pictures' directory")
		timeout = flag.Duration("timeout", time.Minute, "of everything together")
	)
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	ctx, closeAll, err := browser.Open(ctx, *program, 1280, 1000)
	if err != nil {
		return err
	}
	defer closeAll()

	print := json.NewEncoder(os.Stdout)
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			lang := map[string]string{"light": "en", "dark": "zh"}[scheme]
			view, err := shoot(ctx, *url+"?lang="+lang, width, scheme, *out)
			if err != nil {
				return fmt.Errorf("%d %s: %w", width, scheme, err)
			}
			if err := print.Encode(view); err != nil {
				return err
			}
		}
	}
	view, err := refreshed(ctx)
	return errors.Join(err, print.Encode(view))
}

func shoot(ctx context.Context, url string, width int64, scheme, dir string) (seen, error) {
	prefers := func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return chromedp.Void{}, err
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 1000), prefers, chromedp.Navigate(url)); err != nil {
		return seen{}, err
	}
	view, err := chromedp.Run(ctx, chromedp.Evaluate[seen](look))
	if err != nil {
		return seen{}, err
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return seen{}, err
	}
	view.Picture = filepath.Join(dir, fmt.Sprintf("status-%d-%s.png", width, scheme))
	return view, os.WriteFile(view.Picture, picture, 0o600)
}

// refreshed waits until the page, which is not loaded anew, says something else.
func refreshed(ctx context.Context) (seen, error) {
	first, err := chromedp.Run(ctx, chromedp.Evaluate[seen](look))
	for err == nil {
		select {
		case <-ctx.Done():
			return first, nil
		case <-time.After(200 * time.Millisecond):
		}
		var now seen
		if now, err = chromedp.Run(ctx, chromedp.Evaluate[seen](look)); err == nil && now.Body != first.Body {
			now.Refreshed = true
			return now, nil
		}
	}
	return first, err
}
