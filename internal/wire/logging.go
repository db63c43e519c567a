package wire

import (
	"io"
	"log"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"powerjob-shim/internal/config"
	"powerjob-shim/internal/logging"
)

// OpenLog opens the log that cfg describes. It must be closed.
func OpenLog(cfg config.Log, w io.Writer) *logging.Log {
	return logging.Open(logging.Options{Out: w, Format: cfg.Format, Level: LogLevel(cfg)})
}

// LogLevel is info for a word that configs would have refused.
func LogLevel(cfg config.Log) zapcore.Level {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return zapcore.InfoLevel
	}
	return level
}

// SilenceStandardLog keeps net/http from writing to standard error by itself:
// its Transport quotes what a server sent unasked, tokens included.
func SilenceStandardLog(logger *zap.Logger) {
	log.SetFlags(0)
	log.SetOutput(writerFunc(func(p []byte) (int, error) {
		text, _, _ := strings.Cut(string(p), "starting with")
		logger.Warn("net/http", zap.String("text", strings.TrimSpace(text)))
		return len(p), nil
	}))
}

type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
