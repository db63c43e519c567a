package wire

import (
	"io"
	"log"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"powerjob-shim/configs"
)

// Logger writes to w, one line an entry, with every entry kept: sampling
// would drop request lines. The level may be changed while it is in use.
func Logger(cfg configs.Log, w io.Writer) (*zap.Logger, zap.AtomicLevel) {
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if cfg.Format == "console" {
		enc.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	level := zap.NewAtomicLevelAt(LogLevel(cfg))
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)), level
}

// LogLevel is info for a word that configs would have refused.
func LogLevel(cfg configs.Log) zapcore.Level {
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
