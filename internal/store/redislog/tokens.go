package redislog

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"powerjob-shim/rules/access"
)

var _ access.SharedTokens = (*Store)(nil)

// KeepToken implements access.SharedTokens. Tokens live far longer than the log, so
// each has a key of its own.
func (s *Store) KeepToken(group string, token access.Token, t access.KnownToken, ttl time.Duration) {
	value, err := json.Marshal(t)
	if err != nil || !s.group(group).works() {
		s.o.Failed("keep_token")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout/2)
	defer cancel()
	if s.o.Client.Set(ctx, s.tokenKey(group, s.veil.token(token)), value, ttl).Err() != nil {
		s.o.Failed("keep_token")
	}
}

// FindToken implements access.SharedTokens. While Redis does not answer, no token is known.
func (s *Store) FindToken(group string, token access.Token) (t access.KnownToken, ok bool) {
	if !s.group(group).works() {
		s.o.Failed("find_token")
		return t, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.o.Timeout)
	defer cancel()
	value, err := s.o.Client.Get(ctx, s.tokenKey(group, s.veil.token(token))).Bytes()
	for _, v := range s.veil.older() {
		if errors.Is(err, redis.Nil) {
			value, err = s.o.Client.Get(ctx, s.tokenKey(group, v.token(token))).Bytes()
		}
	}
	if errors.Is(err, redis.Nil) {
		return t, false
	}
	if err != nil || json.Unmarshal(value, &t) != nil || t.App == "" {
		s.o.Failed("find_token")
		return access.KnownToken{}, false
	}
	return t, true
}

// tokenKey returns the key under which a veiled token is kept.
func (s *Store) tokenKey(group string, token access.Token) string {
	return s.o.Prefix + "{" + group + "}:token:" + hex.EncodeToString(token[:])
}
