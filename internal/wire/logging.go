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

// OpenLog opens the log that cfg describes. The caller must close it.
func OpenLog(cfg config.Log, w io.Writer) *logging.Log {
	return logging.Open(logging.Options{Out: w, Format: cfg.Format, Level: logLevel(cfg)})
}

// logLevel returns cfg's level; info for a word that config.Load would refuse.
func logLevel(cfg config.Log) zapcore.Level {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return zapcore.InfoLevel
	}
	return level
}

// redirectStandardLog sends the standard log to logger, shortened: net/http's
// Transport quotes there what a server sent unasked, tokens included.
func redirectStandardLog(logger *zap.Logger) {
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
