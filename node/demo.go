package node

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/heliosdb/helios/auth"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/ha"
)

// DemoOptions are the flags of "helios demo".
type DemoOptions struct {
	Version      string
	Listen       string
	DataDir      string // "" for a temporary one, removed at the end
	PasswordFile string
	Shards       int
	Empty        bool // load no words
	LogLevel     string
	Out          io.Writer

	// Ready, if set, is told the URL once SQL is answered.
	Ready func(url string)
}

//go:embed sample/words.bin.gz
var sampleWords []byte

// demo is a whole cluster in one process.
type demo struct {
	o        DemoOptions
	world    World
	dir      string
	secret   string
	verifier string
	observer *observer
	front    *front

	mu      sync.Mutex // guards members
	members []*member
	failed  chan error
}

// Demo runs a whole cluster in this process until ctx ends. Start order: observer,
// shards, router; stop in reverse.
func Demo(ctx context.Context, o DemoOptions) (err error) {
	log, err := newLogger(os.Stderr, o.LogLevel)
	if err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	d := &demo{o: o, world: World{Logger: log, CacheBytes: 16 << 20, SegmentBytes: 8 << 20}, dir: o.DataDir, failed: make(chan error, 1)}
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "helios-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	}
	// The router's port is the one that a user names: look at it before anything else.
	l, err := listen(d.world.withDefaults(), o.Listen, "SQL")
	if err != nil {
		return fmt.Errorf("%w with --listen HOST:PORT", err)
	}
	if err := l.Close(); err != nil {
		return err
	}
	defer d.stop()
	password, err := d.start(ctx)
	if err != nil {
		return err
	}
	url := (&url.URL{Scheme: "postgres", User: url.UserPassword("helios", password), Host: d.front.addr, Path: "heliosdb"}).String()
	if !o.Empty {
		if err := d.load(ctx, url); err != nil {
			return err
		}
	}
	d.welcome(url)
	if o.Ready != nil {
		o.Ready(url)
	}
	if err := waitFor(ctx, d.failed); err != nil {
		return err
	}
	fmt.Fprintln(o.Out, "stopping")
	return nil
}

func (d *demo) start(ctx context.Context) (password string, err error) {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return "", err
	}
	if password, err = d.passwords(); err != nil {
		return "", err
	}
	d.say("starting the control store")
	if d.observer, err = startObserver(ctx, observerOptions{
		world: d.world, id: "observer", cluster: "demo", listen: "127.0.0.1:0", data: filepath.Join(d.dir, "observer"),
	}); err != nil {
		return "", err
	}
	shards := d.known()
	d.say("starting %d shards, each a primary and a standby", len(shards))
	var founding []cluster.Shard
	for _, id := range shards {
		s, err := d.startPair(ctx, id)
		if err != nil {
			return "", err
		}
		founding = append(founding, s)
	}
	first, err := firstMap("demo", cluster.DefaultSlots, founding)
	if err != nil {
		return "", err
	}
	if err := moveIn(ctx, d.observer.store, first); err != nil {
		return "", err
	}
	d.say("starting the router")
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("the cluster did not become ready within two minutes"))
	defer cancel()
	d.front, err = startFront(ctx, frontOptions{
		world: d.world, id: "router", listen: d.o.Listen, store: d.observer.store, database: "heliosdb",
		secret: d.secret, addShards: d.addShards, limits: cluster.DefaultLimits,
	})
	return password, err
}

// passwords reads or draws the superuser's password and the cluster's secret; both stay
// in the data directory.
func (d *demo) passwords() (string, error) {
	path := d.o.PasswordFile
	if path == "" {
		path = filepath.Join(d.dir, "password")
	}
	if !exists(path) && exists(filepath.Join(d.dir, nodeID(1, "a"))) {
		return "", fmt.Errorf("%s holds a cluster, and %s no password for it: give the --password-file that it was made with", d.dir, path)
	}
	password, _, err := secretFile(path, "password")
	if err != nil {
		return "", err
	}
	if d.secret, _, err = secretFile(filepath.Join(d.dir, "secret"), "cluster secret"); err != nil {
		return "", err
	}
	v, err := auth.NewVerifier(password)
	d.verifier = v.String()
	return password, err
}

// known lists the shards that the data directory has, or those of a new cluster.
func (d *demo) known() []cluster.ShardID {
	var ids []cluster.ShardID
	for id := cluster.ShardID(1); exists(filepath.Join(d.dir, nodeID(id, "a"))); id++ {
		ids = append(ids, id)
	}
	for len(ids) < d.o.Shards && !exists(filepath.Join(d.dir, nodeID(1, "a"))) {
		ids = append(ids, cluster.ShardID(len(ids)+1))
	}
	return ids
}

func nodeID(id cluster.ShardID, letter string) string { return fmt.Sprintf("s%d%s", id, letter) }

// startPair starts the two nodes of a shard on free ports.
func (d *demo) startPair(ctx context.Context, id cluster.ShardID) (cluster.Shard, error) {
	s := cluster.Shard{ID: id, Weight: defaultWeight, State: cluster.Joining}
	for _, letter := range []string{"a", "b"} {
		m, err := startMember(ctx, memberOptions{
			world: d.world, id: nodeID(id, letter), cluster: "demo", shard: id,
			sql: "127.0.0.1:0", native: "127.0.0.1:0", data: filepath.Join(d.dir, nodeID(id, letter)),
			store: d.observer.store, first: letter == "a", auto: true,
			mode: ha.SemiSync, class: ha.SemiSync, profile: ha.DefaultProfile,
			database: "heliosdb", verifier: d.verifier, secret: d.secret, slots: cluster.DefaultSlots,
		})
		if err != nil {
			return s, err
		}
		d.mu.Lock()
		d.members = append(d.members, m)
		d.mu.Unlock()
		go func() { // ends with the process: a node that fails ends the demo
			select {
			case err := <-m.failed:
				select {
				case d.failed <- err:
				default:
				}
			case <-m.ctx.Done():
			}
		}()
		s.Nodes = append(s.Nodes, m.node())
	}
	return s, nil
}

// addShards starts pairs for a reshard.
func (d *demo) addShards(ctx context.Context, ids []cluster.ShardID) error {
	for _, id := range ids {
		if _, err := d.startPair(context.WithoutCancel(ctx), id); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.o.Out, format+"\n", args...) }

// load makes the table of words and fills it, unless a former run has.
func (d *demo) load(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('words') IS NOT NULL").Scan(&there); err != nil || there {
		return err
	}
	words, vectors, err := readWords()
	if err != nil {
		return err
	}
	d.say("loading %d words with their vectors", len(words))
	if _, err := conn.Exec(ctx, `CREATE TABLE words (id bigint PRIMARY KEY, word text, embedding vector(100))
		WITH (helios.strategy = 'vector', helios.shard_key = 'embedding')`); err != nil {
		return err
	}
	var text bytes.Buffer
	for i, word := range words {
		fmt.Fprintf(&text, "%d\t%s\t%s\n", i+1, word, vectorText(vectors[i]))
	}
	progress := &progressReader{r: &text, all: text.Len(), out: d.o.Out}
	if _, err := conn.PgConn().CopyFrom(ctx, progress, "COPY words FROM STDIN"); err != nil {
		return err
	}
	d.say("grouping them into cells by k-means")
	_, err = conn.Exec(ctx, "CALL helios.train('words')", pgx.QueryExecModeSimpleProtocol)
	return err
}

// readWords unpacks the sample; its layout is in sample/README.md.
func readWords() ([]string, [][]float32, error) {
	z, err := gzip.NewReader(bytes.NewReader(sampleWords))
	if err != nil {
		return nil, nil, err
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, nil, err
	}
	if len(raw) < 10 || string(raw[:4]) != "HWV1" {
		return nil, nil, errors.New("the sample words are damaged")
	}
	count, dims := int(binary.LittleEndian.Uint32(raw[4:])), int(binary.LittleEndian.Uint16(raw[8:]))
	body := raw[10:]
	if len(body) < count*dims*2 {
		return nil, nil, errors.New("the sample words are cut short")
	}
	vectors := make([][]float32, count)
	for i := range vectors {
		v := make([]float32, dims)
		for j := range v {
			v[j] = halfFloat(binary.LittleEndian.Uint16(body[(i*dims+j)*2:]))
		}
		vectors[i] = v
	}
	words := strings.Split(strings.TrimSuffix(string(body[count*dims*2:]), "\n"), "\n")
	if len(words) != count {
		return nil, nil, fmt.Errorf("the sample has %d words for %d vectors", len(words), count)
	}
	return words, vectors, nil
}

// halfFloat widens an IEEE 754 half-precision number.
func halfFloat(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, int(h>>10&31), uint32(h&1023)
	switch exp {
	case 0:
		return float32(math.Copysign(float64(frac)/(1<<24), float64(1-2*int(h>>15))))
	case 31:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | uint32(exp+112)<<23 | frac<<13)
}

func vectorText(v []float32) string {
	b := []byte{'['}
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', -1, 32)
	}
	return string(append(b, ']'))
}

// progressReader shows how much of a load was sent, a line per quarter.
type progressReader struct {
	r         io.Reader
	all, sent int
	out       io.Writer
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	before := p.sent * 4 / max(1, p.all)
	p.sent += n
	if after := p.sent * 4 / max(1, p.all); after > before && n > 0 {
		fmt.Fprintf(p.out, "  %d %%\n", after*25)
	}
	return n, err
}

// welcome prints the psql line and three statements worth a try.
func (d *demo) welcome(url string) {
	fmt.Fprintf(d.o.Out, `
Helios %s is ready: a router, %d shards of two nodes each, an observer. Connect with

  psql '%s'
`, d.o.Version, len(d.front.current.Load().Shards), url)
	if !d.o.Empty {
		fmt.Fprint(d.o.Out, `
Three things to try:

  -- the neighbours of a word
  SELECT word FROM words ORDER BY embedding <-> (SELECT embedding FROM words WHERE word = 'king') LIMIT 5;

  -- which shards and cells that asked
  EXPLAIN ANALYZE SELECT word FROM words ORDER BY embedding <-> (SELECT embedding FROM words WHERE word = 'king') LIMIT 5;

  -- a transaction over shards
  BEGIN; UPDATE words SET word = upper(word) WHERE id IN (1, 2, 3); SELECT id, word FROM words WHERE id <= 3; ROLLBACK;
`)
	}
	fmt.Fprint(d.o.Out, `
Every node answers psql, too: SELECT * FROM helios.cluster_nodes. Ctrl-C stops.
`)
}

// stop ends the router, then the shards from the last to the first, then the observer.
func (d *demo) stop() {
	if d.front != nil {
		d.front.stop()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.members) - 1; i >= 0; i-- {
		d.members[i].stop()
	}
	if d.observer != nil {
		d.observer.stop()
	}
}
