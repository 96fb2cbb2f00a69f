package consensus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heliosdb/helios/cluster"
)

// TestStore holds all three stores to the same promises.
func TestStore(t *testing.T) {
	member, err := OpenEmbedded(t.Context(), Options{
		Name: "o1", Cluster: "test", Dir: t.TempDir(), Listen: "127.0.0.1:0", ListenPeers: "127.0.0.1:0",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { member.Close() })
	remote, err := Dial([]string{member.Address()}, "test-dialled", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remote.Close() })
	stores := map[string]Store{"embedded": member, "dialled": remote, "fake": NewFake().Client("n1")}
	promises := map[string]func(*testing.T, Store){
		"Get": testGet, "Swap": testSwap, "SwapRaces": testSwapRaces, "List": testList, "Watch": testWatch,
		"Members": testMembers, "Doc": testDoc, "Docs": testDocs, "Register": testRegister, "Incarnations": testIncarnations, "Map": testMap,
	}
	for name, store := range stores {
		for promise, test := range promises {
			t.Run(name+"/"+promise, func(t *testing.T) { test(t, store) })
		}
	}
}

func testGet(t *testing.T, s Store) {
	item, err := s.Get(t.Context(), "get/none")
	if err != nil || item.Rev != 0 || item.Value != nil {
		t.Fatalf("missing key: got %+v, %v", item, err)
	}
	rev := mustSwap(t, s, Put("get/empty", nil, 0))
	item, err = s.Get(t.Context(), "get/empty")
	if err != nil || item.Rev != rev || item.Value == nil || len(item.Value) != 0 {
		t.Fatalf("empty value: got %+v, %v, want revision %d", item, err, rev)
	}
}

func testSwap(t *testing.T, s Store) {
	one := mustSwap(t, s, Put("swap/a", []byte("1"), 0), Put("swap/b", []byte("1"), 0))
	two := mustSwap(t, s, Put("swap/a", []byte("2"), one), Check("swap/b", one))
	if two <= one {
		t.Fatalf("revision %d after %d", two, one)
	}
	for name, writes := range map[string][]Write{
		"old revision":     {Put("swap/a", []byte("3"), one)},
		"must not exist":   {Put("swap/a", []byte("3"), 0)},
		"one of two":       {Put("swap/b", []byte("3"), one), Put("swap/a", []byte("3"), one)},
		"check fails":      {Put("swap/b", []byte("3"), one), Check("swap/a", one)},
		"delete fails":     {Delete("swap/a", one)},
		"check of nothing": {Check("swap/none", one)},
	} {
		if _, err := s.Swap(t.Context(), writes...); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: got %v, want ErrConflict", name, err)
		}
	}
	mustSwap(t, s, Delete("swap/a", two), Put("swap/c", []byte("1"), 0))
	items, err := s.List(t.Context(), "swap/")
	if got, want := fmt.Sprintf("%v %v", keys(items), err), "[swap/b=1 swap/c=1] <nil>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Of many who increment one number, each increments it once.
func testSwapRaces(t *testing.T, s Store) {
	doc := At[int](s, "races")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if _, err := doc.Update(t.Context(), func(n *int) error { *n++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n, _, err := doc.Load(t.Context()); n != 40 || err != nil {
		t.Errorf("got %d, %v, want 40", n, err)
	}
}

func testList(t *testing.T, s Store) {
	for _, key := range []string{"list/b", "list/a", "list/c/d", "lisu"} {
		mustSwap(t, s, Put(key, []byte(key), 0))
	}
	items, err := s.List(t.Context(), "list/")
	if got, want := fmt.Sprint(keys(items), err), "[list/a=list/a list/b=list/b list/c/d=list/c/d] <nil>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if items, err = s.List(t.Context(), "nothing/"); len(items) != 0 || err != nil {
		t.Errorf("got %v, %v, want nothing", items, err)
	}
}

// A watcher sees what was there, then every key's newest value, in the order
// of revisions, and deletions.
func testWatch(t *testing.T, s Store) {
	ctx, stop := context.WithCancel(t.Context())
	old := mustSwap(t, s, Put("watch/old", []byte("1"), 0))
	seen := make(chan []Item, 100)
	done := make(chan error)
	go func() { done <- s.Watch(ctx, "watch/", func(items []Item) { seen <- items }) }()
	if got, want := fmt.Sprint(keys(<-seen)), "[watch/old=1]"; got != want {
		t.Errorf("at first: got %s, want %s", got, want)
	}
	mustSwap(t, s, Put("watch/new", []byte("2"), 0), Put("elsewhere", []byte("2"), 0))
	mustSwap(t, s, Delete("watch/old", old))
	state, rev := map[string]string{"watch/old": "1"}, int64(0)
	for state["watch/new"] != "2" || state["watch/old"] != "gone" {
		for _, item := range <-seen {
			if item.Rev < rev {
				t.Errorf("revision %d after %d", item.Rev, rev)
			}
			rev = item.Rev
			state[item.Key] = string(item.Value)
			if item.Value == nil {
				state[item.Key] = "gone"
			}
		}
	}
	if len(state) != 2 {
		t.Errorf("got keys %v, want two", state)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func testMembers(t *testing.T, s Store) {
	members, err := s.Members(t.Context())
	if err != nil || len(members) != 1 {
		t.Errorf("got %+v, %v, want one member", members, err)
	}
}

func testDoc(t *testing.T, s Store) {
	ctx, stop := context.WithCancel(t.Context())
	doc := At[Holder](s, "shards/1/lease")
	type news struct {
		Holder
		rev int64
	}
	seen := make(chan news, 10)
	done := make(chan error)
	go func() { done <- doc.Watch(ctx, func(h Holder, rev int64) { seen <- news{h, rev} }) }()
	if got := <-seen; got.rev != 0 {
		t.Errorf("at first: got %+v, want none", got)
	}
	rev, swapped, err := doc.Swap(ctx, Holder{1, "a"}, 0)
	if !swapped || err != nil {
		t.Fatalf("first claim: %v %v", swapped, err)
	}
	if _, swapped, err := doc.Swap(ctx, Holder{1, "b"}, 0); swapped || err != nil {
		t.Errorf("second claim: got %v, %v, want neither", swapped, err)
	}
	if got := <-seen; got != (news{Holder{1, "a"}, rev}) {
		t.Errorf("got %+v, want a's claim at %d", got, rev)
	}
	if removed, err := doc.Remove(ctx, rev); !removed || err != nil {
		t.Errorf("remove: %v %v", removed, err)
	}
	if got := <-seen; got.rev != 0 {
		t.Errorf("got %+v, want none", got)
	}
	stop()
	<-done
}

func testDocs(t *testing.T, s Store) {
	jobs := Jobs[string](s)
	for _, id := range []string{"2", "1"} {
		if _, swapped, err := jobs.At(id).Swap(t.Context(), "job "+id, 0); !swapped || err != nil {
			t.Fatal(swapped, err)
		}
	}
	entries, err := jobs.List(t.Context())
	if err != nil || len(entries) != 2 || entries[0].ID != "1" || entries[1].Value != "job 2" {
		t.Errorf("got %+v, %v", entries, err)
	}
	mustSwap(t, s, Put("jobs/bad", []byte("{"), 0))
	if _, err := jobs.List(t.Context()); err == nil {
		t.Error("a broken document is listed without error")
	}
	if err := jobs.Watch(t.Context(), func([]Entry[string]) {}); err == nil {
		t.Error("a broken document is watched without error")
	}
}

func testRegister(t *testing.T, s Store) {
	n, err := Register(t.Context(), s, Node{ID: "n1", Shard: 1, SQL: "h:1"})
	if err != nil || n.State != Joining {
		t.Fatalf("got %+v, %v", n, err)
	}
	_, err = Nodes(s).At("n1").Update(t.Context(), func(n *Node) error { n.State = Joined; return nil })
	if err != nil {
		t.Fatal(err)
	}
	n, err = Register(t.Context(), s, Node{ID: "n1", Shard: 1, SQL: "h:2"})
	if err != nil || n.State != Joined || n.SQL != "h:2" {
		t.Errorf("second start: got %+v, %v", n, err)
	}
	if _, err := Register(t.Context(), s, Node{ID: "n1", Shard: 2}); err == nil {
		t.Error("a node changed its shard")
	}
}

// A map is founded once; of many who edit it, each builds on the other's.
func testMap(t *testing.T, s Store) {
	maps := ClusterMap(s)
	if _, _, err := maps.Load(t.Context()); !errors.Is(err, ErrNoMap) {
		t.Errorf("got %v, want ErrNoMap", err)
	}
	shard := cluster.Shard{ID: 1, Weight: 100, Nodes: []cluster.Node{{ID: "a", SQL: "h:1"}, {ID: "b", SQL: "h:2"}}}
	first, err := cluster.New("test", []cluster.Shard{shard}, make([]cluster.ShardID, 16))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	versions := make(chan uint64, 100)
	done := make(chan error)
	go func() { done <- maps.Watch(ctx, func(m *cluster.Map) { versions <- m.Version }) }()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if m, err := maps.Found(t.Context(), first); err != nil || m.ClusterID != "test" {
				t.Error(m, err)
			}
		})
	}
	wg.Wait()
	for slot := range 4 {
		wg.Go(func() {
			_, err := maps.Edit(t.Context(), func(m *cluster.Map) (*cluster.Map, error) {
				return m.WithSlot(slot, cluster.Owner{Shard: 1, Epoch: 1})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	m, err := maps.RecordPrimary(t.Context(), 1, "b", 2, nil)
	if err != nil || m.Version != 6 {
		t.Fatalf("got %+v, %v, want version 6", m, err)
	}
	if m, err = maps.RecordPrimary(t.Context(), 1, "a", 1, nil); err != nil || m.Version != 6 {
		t.Errorf("an older term: got %+v, %v, want version 6", m, err)
	}
	for last := uint64(0); last < 6; {
		version := <-versions
		if version <= last {
			t.Errorf("version %d after %d", version, last)
		}
		last = version
	}
	stop()
	<-done
}

func testIncarnations(t *testing.T, s Store) {
	for want := uint32(1); want <= 3; want++ {
		if got, err := NextIncarnation(t.Context(), s); got != want || err != nil {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
}

// A store of three goes on without one of them, and its data outlive a restart.
func TestThreeMembers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three members")
	}
	names := []string{"o1", "o2", "o3"}
	peers, options := map[string]string{}, map[string]Options{}
	for _, name := range names {
		peers[name] = freePort(t)
	}
	for _, name := range names {
		options[name] = Options{Name: name, Cluster: "three", Dir: t.TempDir(), Listen: freePort(t), ListenPeers: peers[name], Members: peers}
	}
	members := make([]*Embedded, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			var err error
			if members[i], err = OpenEmbedded(t.Context(), options[name]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	seen := make(chan []Item, 10)
	watched := make(chan error)
	watching, end := context.WithCancel(ctx)
	go func() { watched <- members[2].Watch(watching, "k", func(items []Item) { seen <- items }) }()
	<-seen
	rev := mustSwap(t, members[0], Put("k", []byte("1"), 0))
	members[0].Close()
	for { // until the two have a leader
		next, err := members[1].Swap(ctx, Put("k", []byte("2"), rev))
		if err == nil {
			rev = next
			break
		}
		if item, err := members[1].Get(ctx, "k"); err == nil && string(item.Value) == "2" {
			rev = item.Rev // the answer was lost, the write was not
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	for item := (Item{}); item.Rev != rev; {
		items := <-seen
		item = items[len(items)-1]
	}
	end()
	<-watched
	members[1].Close()
	members[2].Close()
}

// A client that is cut off waits; one whose answers are lost has written.
func TestFakeCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := NewFake()
		a, b := fake.Client("a"), fake.Client("b")
		short := func() context.Context {
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			t.Cleanup(stop)
			return ctx
		}
		fake.Cut("a", CutOff)
		if _, err := a.Swap(short(), Put("k", []byte("off"), 0)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cut off: got %v", err)
		}
		fake.Cut("a", CutReplies)
		if _, err := a.Swap(short(), Put("k", []byte("lost"), 0)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("replies cut: got %v", err)
		}
		if item, err := b.Get(t.Context(), "k"); string(item.Value) != "lost" || err != nil {
			t.Errorf("got %+v, %v, want the write whose answer was lost", item, err)
		}
		go func() {
			time.Sleep(time.Second)
			fake.Cut("a", Connected)
		}()
		if item, err := a.Get(t.Context(), "k"); string(item.Value) != "lost" || err != nil {
			t.Errorf("after the cut: got %+v, %v", item, err)
		}
	})
}

// Two want the lock; one has it at a time; when the holder is cut off, its work
// is told to stop before the other begins.
func TestLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := NewFake()
		var mu sync.Mutex
		var log []string
		working := 0
		note := func(what string, change int) {
			mu.Lock()
			defer mu.Unlock()
			working += change
			if working > 1 {
				t.Error("two hold the lock")
			}
			log = append(log, what)
		}
		run := func(name string, work time.Duration) error {
			lock := NewLock(fake.Client(name), "jobs", name, 8*time.Second)
			return lock.Run(t.Context(), func(ctx context.Context) error {
				note(name+" begins", 1)
				defer note(name+" ends", -1)
				return pause(ctx, work)
			})
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := run("a", time.Hour); !errors.Is(err, context.Canceled) {
				t.Errorf("a: got %v", err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if err := run("b", time.Minute); err != nil {
				t.Errorf("b: %v", err)
			}
		})
		time.Sleep(time.Minute)
		fake.Cut("a", CutOff)
		wg.Wait()
		if want := []string{"a begins", "a ends", "b begins", "b ends"}; !slices.Equal(log, want) {
			t.Errorf("got %q, want %q", log, want)
		}
	})
}

func mustSwap(t *testing.T, s Store, writes ...Write) int64 {
	t.Helper()
	rev, err := s.Swap(t.Context(), writes...)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func keys(items []Item) (out []string) {
	for _, item := range items {
		out = append(out, item.Key+"="+string(item.Value))
	}
	return out
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
