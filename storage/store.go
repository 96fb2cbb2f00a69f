// Package storage is MVCC over Pebble: versions by commit timestamp, intents of
// prepared transactions ahead of them, and one log record applied as one atomic batch
// with its position inside.
//
// The shard's log is in front: Apply never waits for a disk, and after a crash the
// store holds exactly the effects of the records up to Applied, from which the log is
// replayed. The bytes on disk are drawn in docs/format/storage.md.
package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/wal"
)

// Store is a shard's state machine on one node. Its methods may be called by many
// goroutines at once; records are applied in log order by one.
type Store struct {
	db     *pebble.DB
	users  users
	logger *slog.Logger

	visible atomic.Uint64
	horizon atomic.Uint64

	apply struct {
		sync.Mutex
		applied Position
		ramp    ramp
	}
	open struct {
		sync.Mutex
		snapshots map[hlc.Timestamp]int // how many are open at each timestamp
	}
}

// Position is a place in the shard's history: the term of a record and the LSN right
// after it.
type Position struct {
	Term uint32
	LSN  wal.LSN
}

// Options say where a store is.
type Options struct {
	FS         vfs.FS // vfs.Default if nil
	Dir        string
	CacheBytes int64        // block cache, 64 MiB if 0
	Logger     *slog.Logger // discards if nil
}

const (
	formatVersion     = 1
	defaultCacheBytes = 64 << 20
	memTableBytes     = 16 << 20
	memTablesMax      = 4
	cachedMemTables   = 2 // Pebble takes memtables out of its cache: the active one and one being flushed
	blockBytes        = 32 << 10
	bloomBitsPerKey   = 10
)

// ErrFormat says that a directory was written by another version of Helios.
var ErrFormat = errors.New("storage: unknown format version")

var (
	keyApplied = prefixOf(spaceNode, []byte("applied"))
	keyFormat  = prefixOf(spaceNode, []byte("format"))
	keyHorizon = prefixOf(spaceNode, []byte("horizon"))
)

// Open opens the store in a directory, or makes an empty one there.
func Open(opts Options) (*Store, error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = defaultCacheBytes
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	cache := pebble.NewCache(opts.CacheBytes + cachedMemTables*memTableBytes)
	defer cache.Unref()
	db, err := pebble.Open(opts.Dir, pebbleOptions(opts, cache))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", opts.Dir, err)
	}
	s := &Store{db: db, logger: opts.Logger}
	s.users.count.Store(1)
	s.open.snapshots = make(map[hlc.Timestamp]int)
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("open store %s: %w", opts.Dir, errors.Join(err, db.Close()))
	}
	return s, nil
}

// pebbleOptions: small memtables, because Pebble searches all that are queued at every
// read and queues many after a start (see ramp); the format is set because Pebble's
// default is its oldest.
func pebbleOptions(opts Options, cache *pebble.Cache) *pebble.Options {
	o := &pebble.Options{
		FS: markerFS{opts.FS}, Cache: cache, Comparer: comparer,
		FormatMajorVersion:          pebble.FormatNewest,
		DisableWAL:                  true,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: memTablesMax,
		Logger:                      pebbleLogger{opts.Logger},
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = blockBytes
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
	}
	return o
}

// pebbleLogger passes Pebble's messages on. Pebble demands that Fatalf does not return:
// it is called when the disk has failed and memory no longer agrees with it.
type pebbleLogger struct{ *slog.Logger }

func (l pebbleLogger) Infof(format string, args ...any)  { l.Debug(fmt.Sprintf(format, args...)) }
func (l pebbleLogger) Errorf(format string, args ...any) { l.Error(fmt.Sprintf(format, args...)) }
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.Error(fmt.Sprintf(format, args...))
	panic("storage: " + fmt.Sprintf(format, args...))
}

// load reads what the store knows about itself.
func (s *Store) load() error {
	format, found, err := s.read(keyFormat)
	if err != nil {
		return err
	}
	if !found {
		value := binary.LittleEndian.AppendUint32(nil, formatVersion)
		if err := s.db.Set(keyFormat, value, pebble.NoSync); err != nil {
			return err
		}
	} else if len(format) != 4 || binary.LittleEndian.Uint32(format) != formatVersion {
		return fmt.Errorf("%w: %x, this program reads %d", ErrFormat, format, formatVersion)
	}
	if value, found, err := s.read(keyApplied); err != nil {
		return err
	} else if found {
		var visible hlc.Timestamp
		if s.apply.applied, visible, err = decodeApplied(value); err != nil {
			return err
		}
		s.visible.Store(uint64(visible))
	}
	value, found, err := s.read(keyHorizon)
	if err != nil || !found {
		return err
	}
	if len(value) != 8 {
		return corrupt("horizon")
	}
	s.horizon.Store(binary.LittleEndian.Uint64(value))
	return nil
}

const appliedBytes = 20

func encodeApplied(p Position, visible hlc.Timestamp) []byte {
	b := make([]byte, 0, appliedBytes)
	b = binary.LittleEndian.AppendUint32(b, p.Term)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.LSN))
	return binary.LittleEndian.AppendUint64(b, uint64(visible))
}

func decodeApplied(b []byte) (Position, hlc.Timestamp, error) {
	if len(b) != appliedBytes {
		return Position{}, 0, corrupt("applied")
	}
	le := binary.LittleEndian
	return Position{Term: le.Uint32(b), LSN: wal.LSN(le.Uint64(b[4:]))}, hlc.Timestamp(le.Uint64(b[12:])), nil
}

// read returns a copy of the value at a physical key.
func (s *Store) read(key []byte) (value []byte, found bool, err error) {
	if err := s.enter(); err != nil {
		return nil, false, err
	}
	defer s.leave()
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value = append([]byte{}, v...)
	return value, true, closer.Close()
}

// Applied returns the position of the last record applied.
func (s *Store) Applied() Position {
	s.apply.Lock()
	defer s.apply.Unlock()
	return s.apply.applied
}

// DurableApplied returns the position up to which everything applied would survive a
// crash now: the log may be released below its LSN.
func (s *Store) DurableApplied() (p Position, err error) {
	it, err := s.newIter(&pebble.IterOptions{OnlyReadGuaranteedDurable: true})
	if err != nil {
		return Position{}, err
	}
	defer func() { err = errors.Join(err, s.closeIter(it)) }()
	if !it.SeekGE(keyApplied) || compare(it.Key(), keyApplied) != 0 {
		return Position{}, it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return Position{}, err
	}
	p, _, err = decodeApplied(value)
	return p, err
}

// Visible returns the greatest timestamp of the records applied: a statement that reads
// at it sees every commit applied before.
func (s *Store) Visible() hlc.Timestamp { return hlc.Timestamp(s.visible.Load()) }

// Horizon returns the timestamp below which versions may be gone and reads are refused.
func (s *Store) Horizon() hlc.Timestamp { return hlc.Timestamp(s.horizon.Load()) }

// Flush makes everything applied durable.
func (s *Store) Flush() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.db.Flush()
}

// Checkpoint makes dir, which must not exist, a complete store of everything applied,
// sharing files with this one where the file system can. It flushes first: a checkpoint
// alone would miss what is still in memory.
func (s *Store) Checkpoint(dir string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.db.Flush(); err != nil {
		return err
	}
	return s.db.Checkpoint(dir)
}

// Stats are a store's sizes and counts.
type Stats struct {
	DiskBytes        uint64
	MemTables        int64 // active and queued
	MemTableBytes    uint64
	ReadAmp          int // tables that a point read may have to look into
	CompactionsDebt  uint64
	CacheHits        int64
	CacheMisses      int64
	OpenSnapshots    int
	OldestSnapshot   hlc.Timestamp // 0 if none is open
	CompactionsCount int64
}

// Stats returns the store's sizes and counts, zeros for a closed one; it is not meant for
// every statement.
func (s *Store) Stats() Stats {
	if s.enter() != nil {
		return Stats{}
	}
	defer s.leave()
	m := s.db.Metrics()
	oldest, _ := s.OldestSnapshot()
	s.open.Lock()
	defer s.open.Unlock()
	n := 0
	for _, count := range s.open.snapshots {
		n += count
	}
	return Stats{
		DiskBytes: m.DiskSpaceUsage(), MemTables: m.MemTable.Count, MemTableBytes: m.MemTable.Size, ReadAmp: m.ReadAmp(),
		CompactionsDebt: m.Compact.EstimatedDebt, CompactionsCount: m.Compact.Count,
		CacheHits: m.BlockCache.Hits, CacheMisses: m.BlockCache.Misses,
		OpenSnapshots: n, OldestSnapshot: oldest,
	}
}
