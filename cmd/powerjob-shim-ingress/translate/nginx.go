package translate

import (
	"regexp"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
)

// known says what becomes of each annotation of ingress-nginx. Those that nobody
// needs any more are dropped silently; everything else is noted.
var known = map[string]func(t *translation, value string){
	"rewrite-target": silent, // see path
	"use-regex": func(t *translation, value string) {
		if value == "true" && t.annotations["rewrite-target"] == "" {
			t.note("%suse-regex: paths match whole segments now, and their case counts", nginx)
		}
	},
	"proxy-body-size": func(t *translation, value string) {
		if value != "0" {
			t.note("%sproxy-body-size %s is not kept: powerjob-shim bounds no bodies, so uploads of that size pass; max_body in the chart's config bounds those of all Ingresses", nginx, value)
		}
	},
	"proxy-read-timeout":       readTimeout,
	"proxy-send-timeout":       unneeded("proxy-send-timeout", "a request's body may stand still for 30 s"),
	"proxy-connect-timeout":    unneeded("proxy-connect-timeout", "a server that cannot be reached is found out sooner"),
	"proxy-next-upstream":      unneeded("proxy-next-upstream", "a call is given to another server only where nothing of it was sent"),
	"ssl-redirect":             redirect("ssl-redirect"),
	"force-ssl-redirect":       redirect("force-ssl-redirect"),
	"proxy-buffering":          silent,
	"proxy-request-buffering":  silent,
	"proxy-http-version":       silent,
	"proxy-buffer-size":        silent,
	"proxy-buffers-number":     silent,
	"proxy-max-temp-file-size": silent,
	"websocket-services":       silent,
	"backend-protocol":         backendProtocol,
	"upstream-vhost":           func(t *translation, value string) { t.out[plan.Prefix+plan.Host] = value },
	"service-upstream":         unneeded("service-upstream", "requests go to the Service's ready endpoints"),
	"whitelist-source-range":   allow,
	"allowlist-source-range":   allow,
	"enable-cors":              unneeded("enable-cors", "PowerJob's server answers CORS itself"),
	"configuration-snippet":    snippet("configuration-snippet"),
	"server-snippet":           snippet("server-snippet"),
	"affinity":                 unneeded("affinity", "a client's repetition is known to the replica that had the first call; with several replicas set the chart's store.type: redis, or sessionAffinity"),
	"session-cookie-name":      silent, // the note on affinity says it
}

// unneeded drops an annotation and says why.
func unneeded(name, why string) func(*translation, string) {
	return func(t *translation, _ string) { t.note("%s%s is not kept: %s", nginx, name, why) }
}

// silent drops an annotation without a note, because nobody sees a difference.
func silent(*translation, string) {}

// readTimeout becomes the group's timeout, where it is longer than the default.
func readTimeout(t *translation, value string) {
	seconds, err := strconv.Atoi(strings.TrimSuffix(value, "s"))
	if err != nil || seconds <= 0 {
		t.note("%sproxy-read-timeout %q is no number of seconds and is not kept", nginx, value)
		return
	}
	t.out[plan.Prefix+plan.Timeout] = strconv.Itoa(seconds) + "s"
}

func redirect(name string) func(*translation, string) {
	return func(t *translation, value string) {
		t.note("%s%s: %s holds for no single Ingress: the chart's tls.redirect: true sends browsers of every host from http to https (PowerJob's calls are served, since the client does not follow)", nginx, name, value)
	}
}

func backendProtocol(t *translation, value string) {
	switch strings.ToUpper(value) {
	case "HTTP", "AUTO_HTTP":
	case "HTTPS":
		t.out[plan.Prefix+plan.UpstreamProtocol] = "https"
	default:
		t.note("%sbackend-protocol: %s cannot be kept; powerjob-shim speaks http and https", nginx, value)
	}
}

func allow(t *translation, value string) {
	t.note("the list of addresses that may call, %s, cannot be kept for one Ingress: write auth.allow.cidrs in the chart's config, or a NetworkPolicy", value)
}

func snippet(name string) func(*translation, string) {
	return func(t *translation, value string) {
		if strings.Contains(strings.ToUpper(value), "X-POWERJOB-AUTH-PASSED") {
			t.note("%s%s is not kept: powerjob-shim writes X-POWERJOB-AUTH-PASSED itself; whatever else it does is lost", nginx, name)
			return
		}
		t.note("%s%s cannot be kept", nginx, name)
	}
}

// Patterns of the usual guides: a prefix, then everything below it.
var (
	prefixPattern = regexp.MustCompile(`^\^?(/[A-Za-z0-9._~/-]*?)(?:\(/\|\$\)|/\?|/)?\(\.\*\)\$?$`)
	wholeRest     = regexp.MustCompile(`^/?\$[12]$`)
	plainPath     = regexp.MustCompile(`^/[A-Za-z0-9._~/@:-]*$`)
)

// path rewrites a path as a prefix of whole segments. strip is the prefix to cut
// off; "": none. ok is false if the path cannot be kept.
func (t *translation) path(p *networkingv1.HTTPIngressPath) (strip string, ok bool) {
	target, rewrites := t.annotations["rewrite-target"]
	if plainPath.MatchString(p.Path) || p.Path == "" {
		prefix := strings.TrimSuffix(p.Path, "/")
		switch {
		case !rewrites, target == "/" && prefix == "":
			return "", true
		case target == "/":
			t.note("%srewrite-target: / gave every path under %s as / to the server; now %s is cut off, which is what is usually meant", nginx, p.Path, prefix)
			return prefix, true
		}
		t.note("%srewrite-target: %s cannot be kept for path %s: a prefix can be cut off, and nothing put in its place", nginx, target, p.Path)
		return "", true
	}
	m := prefixPattern.FindStringSubmatch(p.Path)
	if m == nil || rewrites && !wholeRest.MatchString(target) {
		t.note("path %s with rewrite-target %q cannot be kept and is left out; write whole segments such as /powerjob, and %sstrip-prefix where they are to be cut off", p.Path, target, plan.Prefix)
		return "", false
	}
	kind := networkingv1.PathTypePrefix
	prefix := strings.TrimSuffix(m[1], "/")
	p.Path, p.PathType = prefix+"/", &kind
	if prefix != "" {
		p.Path = prefix
	}
	if !rewrites {
		return "", true
	}
	return prefix, true
}
