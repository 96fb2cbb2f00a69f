package node

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/heliosdb/helios/auth"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// forwarder reaches the primaries of shards by SQL, as the routers' role. It is
// shard.Peers.
type forwarder struct {
	client *remote.Client
	shards *remote.Shards
}

var _ shard.Peers = (*forwarder)(nil)

// hold is how long a statement waits for a shard without a primary.
const hold = 30 * time.Second

func newPeers(w World, secret, database string, current func() *cluster.Map) (*forwarder, error) {
	return newForwarder(w, secret, database, current, remote.Options{})
}

// newForwarder makes one whose connections have settings or bounds of their own.
func newForwarder(w World, secret, database string, current func() *cluster.Map, o remote.Options) (*forwarder, error) {
	o.User, o.Password, o.Dial = shard.RouterRole, secret, w.Dial
	client, err := remote.NewClient(o)
	if err != nil {
		return nil, err
	}
	return &forwarder{client: client, shards: remote.NewShards(client, database, current, hold)}, nil
}

func (f *forwarder) close() { f.client.Close() }

// Outcome asks the owner of a distributed transaction.
func (f *forwarder) Outcome(ctx context.Context, gid twophase.GID, at hlc.Timestamp) (twophase.Outcome, error) {
	text, err := f.one(ctx, gid.Owner, "SELECT helios.outcome($1, $2)", gid.String(), strconv.FormatUint(uint64(at), 10))
	if err != nil {
		return twophase.Outcome{}, err
	}
	return twophase.ParseOutcome(text)
}

// Decide has the owner decide.
func (f *forwarder) Decide(ctx context.Context, gid twophase.GID) (twophase.Outcome, error) {
	text, err := f.one(ctx, gid.Owner, "SELECT helios.resolve($1)", gid.String())
	if err != nil {
		return twophase.Outcome{}, err
	}
	return twophase.ParseOutcome(text)
}

// Resolve tells a participant the outcome; one that has heard already knows nothing of
// the transaction any more.
func (f *forwarder) Resolve(ctx context.Context, id cluster.ShardID, gid twophase.GID, o twophase.Outcome) error {
	text := fmt.Sprintf("ROLLBACK PREPARED '%s'", gid)
	if o.State == twophase.Committed {
		text = fmt.Sprintf("COMMIT PREPARED '%s@%d'", gid, uint64(o.Time))
	}
	err := f.shards.Do(ctx, id, remote.Primary, func(c *remote.Conn) error {
		_, err := c.Run(ctx, remote.Statement{SQL: text, Once: true})
		return err
	})
	if types.CodeOf(err) == "42704" {
		return nil
	}
	return err
}

// one runs a statement on a shard's primary and gives its only value as text.
func (f *forwarder) one(ctx context.Context, id cluster.ShardID, text string, args ...string) (value string, err error) {
	err = f.shards.Do(ctx, id, remote.Primary, func(c *remote.Conn) error {
		value, err = oneValue(ctx, c, text, args...)
		return err
	})
	return value, err
}

func oneValue(ctx context.Context, c *remote.Conn, text string, args ...string) (string, error) {
	st := remote.Statement{SQL: text}
	for _, a := range args {
		st.Params = append(st.Params, remote.Param{Value: []byte(a)})
	}
	rows, err := c.Exec(ctx, st)
	if err != nil {
		return "", err
	}
	var value string
	if rows.NextResult() && rows.Next() {
		value = string(rows.Raw()[0])
	}
	return value, rows.Close()
}

// newVerifier makes what is stored of a password.
func newVerifier(clear string) (string, error) {
	v, err := auth.NewVerifier(clear)
	return v.String(), err
}

func errStarting() error {
	return types.Errorf("57P03", "the database system is starting up")
}

func noDatabase(name string) error {
	return types.Errorf("3D000", "database %q does not exist", name)
}
