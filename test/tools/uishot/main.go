// Uishot logs in to PowerJob's web UI (4.x) in headless Chromium, goes to the
// list of jobs, and keeps a picture of it:
//
//	go run -C test/tools ./uishot -browser chromium -url http://127.0.0.1:7700 -app app1 -password pw -expect nightly -o jobs.png
//
// It prints the rows of the job list, one a line, and fails when the expected
// text is not among them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/chromedp/chromedp"

	"powerjob-shim/test/tools/browser"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "uishot:", err)
		os.Exit(1)
	}
}

func run() error {
	var (
		program  = flag.String("browser", "chromium", "the browser's program")
		url      = flag.String("url", "", "where the web UI is")
		app      = flag.String("app", "", "the app's name")
		password = flag.String("password", "", "its password")
		expect   = flag.String("expect", "", "text that must stand in the list of jobs")
		out      = flag.String("o", "jobs.png", "the picture")
		timeout  = flag.Duration("timeout", 30*time.Second, "of what is done in the browser")
	)
	flag.Parse()
	ctx, closeAll, err := browser.Open(context.Background(), *program, 1280, 800)
	if err != nil {
		return err
	}
	defer closeAll()
	patient, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	list, err := jobList(patient, *url, *app, *password, *expect)
	// What is on the screen tells most when something went wrong.
	picture, shotErr := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if shotErr == nil {
		shotErr = os.WriteFile(*out, picture, 0o600)
	}
	if err := errors.Join(err, shotErr); err != nil {
		return err
	}
	fmt.Println(list)
	return nil
}

// jobList logs in as a person does, goes to the list of jobs, and returns its
// text once the expected one is in it.
func jobList(ctx context.Context, url, app, password, expect string) (string, error) {
	const (
		name   = chromedp.CSS(`input[type=text]`)
		secret = chromedp.CSS(`input[type=password]`)
		login  = `//button[normalize-space()="Login"]`
		table  = chromedp.CSS(`.el-table__body`)
	)
	if err := chromedp.Do(ctx,
		chromedp.Navigate(url+"/#/welcome"),
		chromedp.WaitVisible(secret),
		chromedp.SendKeys(name, app),
		chromedp.SendKeys(secret, password),
		chromedp.Click(login),
		chromedp.WaitNotPresent(secret),
	); err != nil {
		return "", fmt.Errorf("logging in: %w", err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(url+"/#/oms/job"), chromedp.WaitVisible(table)); err != nil {
		return "", fmt.Errorf("opening the list of jobs: %w", err)
	}
	there := fmt.Sprintf("document.querySelector(%q).innerText.includes(%q)", table, expect)
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](there)); err != nil {
		return "", fmt.Errorf("waiting for %q in the list of jobs: %w", expect, err)
	}
	return chromedp.Run(ctx, chromedp.Evaluate[string](
		fmt.Sprintf(`[...document.querySelectorAll("%s tr")].map(row => row.innerText.replace(/\s+/g, " ").trim()).join("\n")`, table)))
}
