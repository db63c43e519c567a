package controller

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"

	"powerjob-shim/cmd/powerjob-shim-ingress/plan"
	"powerjob-shim/internal/tlsfile"
)

const (
	// readAgain is how often a valid Secret is read, and so how soon a renewed
	// certificate is served.
	readAgain = time.Minute
	// readSoon is how often a missing or invalid Secret is read, such as one that
	// cert-manager is about to make.
	readSoon = 5 * time.Second
	// readTimeout bounds the reading of one Secret.
	readTimeout = 5 * time.Second
	// readers is how many Secrets are read at once.
	readers = 8
)

// secrets reads the Secrets that Ingresses name, one by one and repeatedly: to list
// or watch them, the controller would need the right to read all Secrets.
type secrets struct {
	client  coreclient.SecretsGetter
	changed func()
	log     *zap.Logger
	wanting chan struct{} // of capacity one

	mu   sync.Mutex // protects what follows
	list map[string]*secret
}

// secret is what is known of one Secret.
type secret struct {
	plan.Secret
	read      bool      // there was an answer
	fresh     bool      // the certificate is new, and note has not reported it yet
	cert, key []byte    // of Certificate, in PEM
	next      time.Time // when to read it next
}

func newSecrets(client coreclient.SecretsGetter, changed func(), log *zap.Logger) *secrets {
	return &secrets{client: client, changed: changed, log: log, wanting: make(chan struct{}, 1), list: map[string]*secret{}}
}

// want sets which Secrets to read from now on. It returns for how many of them there
// has been no answer yet.
func (s *secrets) want(names []string) (unread int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make(map[string]*secret, len(names))
	for _, name := range names {
		known := s.list[name]
		if known == nil {
			known = &secret{}
		}
		list[name] = known
	}
	for _, known := range list {
		if !known.read {
			unread++
		}
	}
	s.list = list
	if unread > 0 {
		select {
		case s.wanting <- struct{}{}:
		default:
		}
	}
	return unread
}

// known returns the Secrets that have been read so far.
func (s *secrets) known() map[string]plan.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]plan.Secret, len(s.list))
	for name, known := range s.list {
		if known.read {
			all[name] = known.Secret
		}
	}
	return all
}

// run reads the Secrets when they are due, until ctx ends.
func (s *secrets) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wanting:
		}
		if s.readDue(ctx) {
			s.changed()
		}
	}
}

// readDue reads the Secrets that are due, and reports whether there is news.
func (s *secrets) readDue(ctx context.Context) (news bool) {
	now := time.Now()
	s.mu.Lock()
	due := maps.Clone(s.list)
	maps.DeleteFunc(due, func(_ string, known *secret) bool { return now.Before(known.next) })
	s.mu.Unlock()
	var reading sync.WaitGroup
	room := make(chan struct{}, readers)
	for name, known := range due {
		room <- struct{}{}
		reading.Go(func() {
			defer func() { <-room }()
			found, err := s.get(ctx, name)
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.note(name, known, found, err) {
				news = true
			}
		})
	}
	reading.Wait()
	return news
}

func (s *secrets) get(ctx context.Context, name string) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	namespace, name, _ := strings.Cut(name, "/")
	return s.client.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
}

// note keeps the result of reading a Secret, and reports whether it is news.
func (s *secrets) note(name string, known *secret, found *corev1.Secret, err error) (news bool) {
	known.next = time.Now().Add(readSoon)
	var wrong error
	switch {
	case err == nil:
		wrong = known.use(found)
	case apierrors.IsNotFound(err):
		wrong = fmt.Errorf("there is none; create it with tls.crt and tls.key, for example by kubectl create secret tls %s", name[strings.IndexByte(name, '/')+1:])
	case apierrors.IsForbidden(err):
		wrong = fmt.Errorf("the controller may not read it; name it in the chart's rbac.secretNames, or let that be empty")
	default: // the API server does not answer: what is known stays
		s.log.Debug("reading a Secret", zap.String("secret", name), zap.Error(err))
		return false
	}
	if wrong == nil {
		known.next = time.Now().Add(readAgain)
	}
	news = !known.read || fmt.Sprint(known.Err) != fmt.Sprint(wrong) || known.fresh
	known.read, known.Err, known.fresh = true, wrong, false
	return news
}

// use takes over a Secret's certificate, unless it is the known one. The error says
// why the Secret cannot be used.
func (k *secret) use(found *corev1.Secret) error {
	cert, key := found.Data[corev1.TLSCertKey], found.Data[corev1.TLSPrivateKeyKey]
	switch {
	case len(cert) == 0:
		return fmt.Errorf("it has no %s; write a Secret of type %s with %s and %s", corev1.TLSCertKey, corev1.SecretTypeTLS, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	case len(key) == 0:
		return fmt.Errorf("it has no %s; write a Secret of type %s with %s and %s", corev1.TLSPrivateKeyKey, corev1.SecretTypeTLS, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	case k.Certificate != nil && bytes.Equal(cert, k.cert) && bytes.Equal(key, k.key):
		return nil
	}
	pair, err := tlsfile.ParsePair(corev1.TLSCertKey, corev1.TLSPrivateKeyKey, cert, key)
	if err != nil {
		return err
	}
	k.Certificate, k.cert, k.key, k.fresh = &pair, cert, key, true
	return nil
}
