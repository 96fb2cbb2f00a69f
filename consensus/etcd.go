package consensus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// watchRetry is the pause before a broken watch is taken up again.
const watchRetry = 200 * time.Millisecond

// etcdStore is a Store over a client of etcd.
type etcdStore struct {
	client *clientv3.Client
	prefix string
	done   func() error
}

// Dial returns a client of the etcd at endpoints (host:port). All keys live
// under /helios/<cluster>/, so an etcd may serve other masters, too. It does
// not wait for a connection. tls may be nil.
func Dial(endpoints []string, cluster string, tls *tls.Config) (Store, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		TLS:                  tls,
		DialTimeout:          2 * time.Second,
		DialKeepAliveTime:    2 * time.Second,
		DialKeepAliveTimeout: 2 * time.Second,
		Logger:               zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("consensus: %w", err)
	}
	return &etcdStore{client: client, prefix: root(cluster), done: client.Close}, nil
}

func root(cluster string) string { return "/helios/" + cluster + "/" }

func (s *etcdStore) Get(ctx context.Context, key string) (Item, error) {
	resp, err := s.client.Get(clientv3.WithRequireLeader(ctx), s.prefix+key)
	if err != nil {
		return Item{}, fmt.Errorf("consensus: get %s: %w", key, err)
	}
	if len(resp.Kvs) == 0 {
		return Item{Key: key}, nil
	}
	return Item{Key: key, Value: present(resp.Kvs[0].Value), Rev: resp.Kvs[0].ModRevision}, nil
}

func (s *etcdStore) Swap(ctx context.Context, writes ...Write) (int64, error) {
	var compare []clientv3.Cmp
	var then []clientv3.Op
	for _, w := range writes {
		key := s.prefix + w.key
		compare = append(compare, clientv3.Compare(clientv3.ModRevision(key), "=", w.rev))
		switch w.kind {
		case put:
			then = append(then, clientv3.OpPut(key, string(w.value)))
		case remove:
			then = append(then, clientv3.OpDelete(key))
		}
	}
	resp, err := s.client.Txn(clientv3.WithRequireLeader(ctx)).If(compare...).Then(then...).Commit()
	switch {
	case err != nil:
		return 0, fmt.Errorf("consensus: swap: %w", err)
	case !resp.Succeeded:
		return 0, ErrConflict
	}
	return resp.Header.Revision, nil
}

func (s *etcdStore) List(ctx context.Context, prefix string) ([]Item, error) {
	items, _, err := s.list(ctx, prefix)
	return items, err
}

func (s *etcdStore) list(ctx context.Context, prefix string) ([]Item, int64, error) {
	resp, err := s.client.Get(clientv3.WithRequireLeader(ctx), s.prefix+prefix, clientv3.WithPrefix(),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
	if err != nil {
		return nil, 0, fmt.Errorf("consensus: list %s: %w", prefix, err)
	}
	items := make([]Item, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		items[i] = Item{Key: string(kv.Key[len(s.prefix):]), Value: present(kv.Value), Rev: kv.ModRevision}
	}
	return items, resp.Header.Revision, nil
}

// Watch lists, then follows from the revision of the list; whatever breaks the
// second part (a lost leader, a compaction) leads back to the first.
func (s *etcdStore) Watch(ctx context.Context, prefix string, fn func([]Item)) error {
	known := make(map[string]int64)
	for first := true; ; first = false {
		items, rev, err := s.list(ctx, prefix)
		if err == nil {
			if news := difference(known, items, rev); first || len(news) > 0 {
				fn(news)
			}
			s.follow(ctx, prefix, rev+1, known, fn)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchRetry):
		}
	}
}

// follow delivers changes from a revision on until the watch breaks.
func (s *etcdStore) follow(ctx context.Context, prefix string, from int64, known map[string]int64, fn func([]Item)) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	events := s.client.Watch(clientv3.WithRequireLeader(ctx), s.prefix+prefix, clientv3.WithPrefix(), clientv3.WithRev(from))
	for resp := range events {
		if resp.Err() != nil {
			return
		}
		var news []Item
		for _, ev := range resp.Events {
			item := Item{Key: string(ev.Kv.Key[len(s.prefix):]), Rev: ev.Kv.ModRevision}
			if ev.Type == clientv3.EventTypePut {
				item.Value = present(ev.Kv.Value)
				known[item.Key] = item.Rev
			} else {
				delete(known, item.Key)
			}
			news = append(news, item)
		}
		if len(news) > 0 {
			fn(news)
		}
	}
}

// difference returns what changed between the revisions known and the items
// listed at revision rev, and brings known up to date.
func difference(known map[string]int64, items []Item, rev int64) []Item {
	var news []Item
	gone := make(map[string]bool, len(known))
	for key := range known {
		gone[key] = true
	}
	for _, item := range items {
		delete(gone, item.Key)
		if known[item.Key] != item.Rev {
			known[item.Key] = item.Rev
			news = append(news, item)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(gone)) {
		delete(known, key)
		news = append(news, Item{Key: key, Rev: rev})
	}
	return news
}

func (s *etcdStore) Members(ctx context.Context) ([]Member, error) {
	resp, err := s.client.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("consensus: members: %w", err)
	}
	var members []Member
	for _, m := range resp.Members {
		if !m.IsLearner {
			members = append(members, Member{Name: m.Name, Peers: hosts(m.PeerURLs), Clients: hosts(m.ClientURLs)})
		}
	}
	return members, nil
}

func (s *etcdStore) Close() error {
	// A client that was cut off reports the end of its own context: no news.
	if err := s.done(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("consensus: close: %w", err)
	}
	return nil
}

// present keeps an empty value apart from no value.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

func hosts(urls []string) []string {
	var out []string
	for _, raw := range urls {
		if u, err := url.Parse(raw); err == nil {
			out = append(out, u.Host)
		}
	}
	return out
}
