package wal

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestTranscripts runs the scripts in testdata. A log lives on a crashable disk:
//
//	append term=1 type=TXN [bytes=n] [payload]   append and flush
//	crash | reopen                               lose what is unsynced, or close and open
//	flip lsn=n [offset=n] | flip-mark            damage the record at an LSN, or both marks
//	cut lsn=n | release below=n | reset lsn=n    TruncateTo, Release, Reset
//	read [from=n] | status | files
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{t: t, fs: vfs.NewCrashableMem()}
		s.open()
		defer func() {
			if s.log != nil {
				closeTest(t, s.log)
			}
		}()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return s.run(d)
		})
	})
}

type script struct {
	t   *testing.T
	fs  *vfs.MemFS
	log *Log
}

func (s *script) open() string {
	var err error
	if s.log, err = Open(Options{FS: s.fs, Dir: "wal", SegmentBytes: dataOffset + pageBytes}); err != nil {
		return err.Error() + "\n"
	}
	return s.status()
}

func (s *script) status() string {
	return fmt.Sprintf("start %v end %v flushed %v term %d terms %v\n", s.log.Start(), s.log.End(), s.log.Flushed(), s.log.LastTerm(), s.log.Terms())
}

func (s *script) run(d *datadriven.TestData) string {
	if s.log == nil && d.Cmd != "files" {
		return "the log is not open\n"
	}
	switch d.Cmd {
	case "append":
		return s.append(d)
	case "reopen":
		closeTest(s.t, s.log)
		return s.open()
	case "crash":
		return s.crash(func(*vfs.MemFS) {})
	case "flip":
		lsn, offset := arg(s.t, d, "lsn"), 0
		d.MaybeScanArgs(s.t, "offset", &offset)
		start := s.log.segmentOf(lsn)
		return s.crash(func(fs *vfs.MemFS) { s.flip(fs, segmentName(start), dataOffset+int64(lsn-start)+int64(offset)) })
	case "flip-mark":
		name := segmentName(s.log.disk.segment.start)
		return s.crash(func(fs *vfs.MemFS) {
			s.flip(fs, name, pageBytes)
			s.flip(fs, name, 2*pageBytes)
		})
	case "cut":
		return s.done(s.log.TruncateTo(arg(s.t, d, "lsn")))
	case "release":
		return s.done(s.log.Release(arg(s.t, d, "below")))
	case "reset":
		return s.done(s.log.Reset(Base{LSN: arg(s.t, d, "lsn"), Chain: 7, Prev: 99, Terms: []TermStart{{Term: 5, LSN: 10}}}))
	case "read":
		return s.read(d)
	case "status":
		return s.status()
	case "files":
		return s.files()
	}
	d.Fatalf(s.t, "unknown command %s", d.Cmd)
	return ""
}

func arg(t *testing.T, d *datadriven.TestData, name string) LSN {
	var v uint64
	d.ScanArgs(t, name, &v)
	return LSN(v)
}

func (s *script) done(err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	return s.status()
}

func (s *script) append(d *datadriven.TestData) string {
	var term, size int
	var name string
	d.ScanArgs(s.t, "term", &term)
	d.ScanArgs(s.t, "type", &name)
	d.MaybeScanArgs(s.t, "bytes", &size)
	body := []byte(d.Input)
	if size > 0 {
		body = make([]byte, size)
	}
	typ := Type(slices.Index(typeNames[:], name))
	lsn := s.log.End()
	end, err := s.log.Append(uint32(term), typ, 0, 0, payload(body))
	if err != nil {
		return err.Error() + "\n"
	}
	mustFlush(s.t, s.log)
	return fmt.Sprintf("%d..%d\n", lsn, end)
}

// crash opens what was synced, after damage did its work on it.
func (s *script) crash(damage func(*vfs.MemFS)) string {
	fs := s.fs.CrashClone(vfs.CrashCloneCfg{RNG: rand.New(rand.NewPCG(1, 1))})
	closeTest(s.t, s.log)
	s.fs = fs
	damage(fs)
	return s.open()
}

func (s *script) flip(fs *vfs.MemFS, name string, at int64) {
	f, err := fs.OpenReadWrite("wal/"+name, category)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		s.t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		s.t.Fatal(err)
	}
}

func (s *script) read(d *datadriven.TestData) string {
	from := uint64(s.log.Start())
	d.MaybeScanArgs(s.t, "from", &from)
	r, err := s.log.ReadFrom(LSN(from))
	if err != nil {
		return err.Error() + "\n"
	}
	defer r.Close()
	var out strings.Builder
	for {
		rec, ok, err := r.TryNext()
		if err != nil {
			fmt.Fprintf(&out, "%v\n", err)
			return out.String()
		}
		if !ok {
			fmt.Fprintf(&out, "end\n")
			return out.String()
		}
		body := fmt.Sprintf("%q", rec.Payload)
		if len(rec.Payload) > 20 {
			body = fmt.Sprintf("%d bytes", len(rec.Payload))
		}
		fmt.Fprintf(&out, "%d term %d %v %s\n", rec.LSN, rec.Term, rec.Type, body)
	}
}

// files lists the segments: which there are depends on nothing but the commands. Spares
// are made in the background.
func (s *script) files() string {
	names, err := s.fs.List("wal")
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, sparePrefix) })
	return strings.Join(names, "\n") + "\n"
}
