// Package browser starts headless Chromium for the programs that take pictures.
package browser

import (
	"context"
	"fmt"
	"os"

	"github.com/chromedp/chromedp"
)

// Open starts program with a profile of its own and a window of this size, and
// returns a tab's context. The browser lives until it is closed.
func Open(ctx context.Context, program string, width, height int) (tab context.Context, closeAll func(), err error) {
	profile, err := os.MkdirTemp("", "browser")
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := chromedp.NewExecAllocator(ctx,
		chromedp.ExecPath(program), chromedp.UserDataDir(profile), chromedp.WindowSize(width, height),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("lang", "en"), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	tab, closeTab := chromedp.NewContext(ctx)
	closeAll = func() {
		closeTab()
		stop()
		_ = os.RemoveAll(profile) // a leftover in the temporary directory hurts nobody
	}
	if err := chromedp.Do(tab); err != nil { // starts it
		closeAll()
		return nil, nil, fmt.Errorf("starting %s: %w", program, err)
	}
	return tab, closeAll, nil
}
