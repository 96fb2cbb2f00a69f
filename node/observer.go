package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/heliosdb/helios/consensus"
)

// observer is a member of the control store.
type observer struct {
	dir   *dataDir
	store *consensus.Embedded
	addr  string
}

type observerOptions struct {
	world       World
	id, cluster string
	listen      string   // for clients; other observers use the next port
	all         []string // addresses of all observers, this one among them; one or none: it is alone
	data        string
}

// startObserver starts a member of the control store. One of several returns when it has
// found enough of the others to have a leader.
func startObserver(ctx context.Context, o observerOptions) (*observer, error) {
	w := o.world.withDefaults()
	members, err := o.members()
	if err != nil {
		return nil, err
	}
	probe, err := listen(w, o.listen, "observer") // words the error of a taken port
	if err != nil {
		return nil, err
	}
	if err := probe.Close(); err != nil {
		return nil, err
	}
	dir, err := openData(w.FS, o.data, identity{Kind: "observer", Node: o.id, Cluster: o.cluster})
	if err != nil {
		return nil, err
	}
	peers, err := nextPort(o.listen)
	if err != nil {
		return nil, errors.Join(err, dir.close())
	}
	name := o.id
	if len(members) > 0 {
		name = memberName(o.listen) // the others know its address alone
	}
	store, err := consensus.OpenEmbedded(ctx, consensus.Options{
		Name: name, Cluster: o.cluster, Dir: dir.sub("store"), Listen: o.listen, ListenPeers: peers, Members: members, Log: w.Logger,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("control store: %w", err), dir.close())
	}
	b := &observer{dir: dir, store: store, addr: store.Address()}
	if len(members) > 0 {
		if err := sameMembers(ctx, store, o.all); err != nil {
			b.stop()
			return nil, fmt.Errorf("--observers: %w", err)
		}
	}
	return b, nil
}

// members are the founding members of the store by name, with their addresses for one
// another; none if there is only one.
func (o observerOptions) members() (map[string]string, error) {
	if len(o.all) < 2 && (len(o.all) == 0 || sameHostPort(o.all[0], o.listen)) {
		return nil, nil
	}
	members, used := map[string]string{}, map[string]bool{}
	mine := false
	for _, addr := range o.all {
		peers, err := nextPort(addr)
		if err != nil {
			return nil, fmt.Errorf("--observers: %q is not host:port", addr)
		}
		if used[hostPort(addr)] || used[hostPort(peers)] {
			return nil, fmt.Errorf("--observers: %s or the port after it, where observers talk to one another, is used twice", addr)
		}
		used[hostPort(addr)], used[hostPort(peers)] = true, true
		members[memberName(addr)] = peers
		mine = mine || sameHostPort(addr, o.listen)
	}
	if !mine {
		return nil, fmt.Errorf("--observers: %s do not name this observer, --ha-bind %s: give all observers, to each the same list", strings.Join(o.all, ","), o.listen)
	}
	return members, nil
}

func (b *observer) failed() <-chan error { return b.store.Failed() }

func (b *observer) stop() { _ = errors.Join(b.store.Close(), b.dir.close()) }

// nextPort is the address for other observers: the port after the clients'.
func nextPort(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		return "", err
	}
	if n == 0 {
		return net.JoinHostPort(host, "0"), nil
	}
	return net.JoinHostPort(host, fmt.Sprint(n+1)), nil
}

// hostPort is one spelling of an address.
func hostPort(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(strings.ToLower(host), port)
}

func sameHostPort(a, b string) bool { return hostPort(a) == hostPort(b) }

// memberName names one of several observers by its address.
func memberName(addr string) string { return "observer-" + hostPort(addr) }

// sameMembers refuses a list of observers that is not the store's own. The store's members
// are fixed when it is founded: an observer that was alone and is told of others would
// stay alone, and the others would decide without it.
func sameMembers(ctx context.Context, store consensus.Store, all []string) error {
	have, err := store.Members(ctx)
	if err != nil {
		return err
	}
	var missing []string
	for _, addr := range all {
		if !slices.ContainsFunc(have, func(m consensus.Member) bool { return serves(m, addr) }) {
			missing = append(missing, addr)
		}
	}
	if len(missing) == 0 && len(have) == len(all) {
		return nil
	}
	var names []string
	for _, m := range have {
		names = append(names, strings.Join(append(slices.Clone(m.Clients), m.Peers...), "/"))
	}
	return fmt.Errorf("the control store has the members %s, not %s: give every observer, node and router the list with which the observers were founded",
		strings.Join(names, ", "), strings.Join(all, ", "))
}

// serves tells whether a member answers clients at an address. One that has not started
// yet is known by the address for its peers.
func serves(m consensus.Member, addr string) bool {
	peers, err := nextPort(addr)
	same := func(other string) bool { return sameHostPort(other, addr) }
	return slices.ContainsFunc(m.Clients, same) ||
		err == nil && slices.ContainsFunc(m.Peers, func(other string) bool { return sameHostPort(other, peers) })
}

// observerCheck is how long one observer may take to name the others.
const observerCheck = 2 * time.Second

// dialObservers reaches the control store. Several addresses must be those of one store:
// two would each elect a primary. Observers that do not answer now are believed.
func dialObservers(ctx context.Context, addrs []string, name string) (consensus.Store, error) {
	if len(addrs) > 1 {
		for _, addr := range addrs {
			if err := checkObserver(ctx, addr, addrs, name); err != nil {
				return nil, err
			}
		}
	}
	return consensus.Dial(addrs, name, nil)
}

func checkObserver(ctx context.Context, addr string, all []string, name string) error {
	one, err := consensus.Dial([]string{addr}, name, nil)
	if err != nil {
		return err
	}
	defer one.Close()
	ctx, cancel := context.WithTimeout(ctx, observerCheck)
	defer cancel()
	if _, err := one.Members(ctx); err != nil {
		return nil //nolint:nilerr // it is down or has no leader yet: that is no contradiction
	}
	return sameMembers(ctx, one, all)
}
