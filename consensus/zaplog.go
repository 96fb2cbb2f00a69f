package consensus

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// slogCore hands the warnings and errors of the embedded store to a
// slog.Logger; its chatter at info level is dropped, and what it says while it
// starts or stops is for those who debug it: a member that does not come up is
// an error of its own.
type slogCore struct {
	log    *slog.Logger
	fields []zapcore.Field
	up     *atomic.Bool // between start and stop
}

func (c *slogCore) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }

func (c *slogCore) With(fields []zapcore.Field) zapcore.Core {
	return &slogCore{log: c.log, fields: append(c.fields[:len(c.fields):len(c.fields)], fields...), up: c.up}
}

func (c *slogCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c *slogCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	encoder := zapcore.NewMapObjectEncoder()
	var attrs []any
	for _, field := range append(c.fields[:len(c.fields):len(c.fields)], fields...) {
		field.AddTo(encoder)
		attrs = append(attrs, slog.Any(field.Key, encoder.Fields[field.Key]))
	}
	level := slog.LevelWarn
	if entry.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	if !c.up.Load() {
		level = slog.LevelDebug
	}
	c.log.Log(context.Background(), level, "control store: "+entry.Message, attrs...)
	return nil
}

func (c *slogCore) Sync() error { return nil }
