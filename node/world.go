package node

import (
	"context"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/consensus"
)

// World is what a node touches outside of its own memory. The zero World is the real
// one; a simulation puts a network, disks and a control store of its own here.
type World struct {
	FS     vfs.FS
	Listen func(addr string) (net.Listener, error)
	Dial   func(ctx context.Context, addr string) (net.Conn, error)
	Store  func(ctx context.Context, name string) (consensus.Store, error) // nil: etcd at the observers
	Now    func() time.Duration                                            // for leases; nil: CLOCK_BOOTTIME
	Logger *slog.Logger

	SegmentBytes int64 // of the log, 0: the default
	CacheBytes   int64
}

func (w World) withDefaults() World {
	if w.FS == nil {
		w.FS = vfs.Default
	}
	if w.Listen == nil {
		w.Listen = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	if w.Dial == nil {
		w.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	if w.Logger == nil {
		w.Logger = slog.New(slog.DiscardHandler)
	}
	return w
}

// newLogger makes the process's logger.
func newLogger(out io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, err
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: l})), nil
}
