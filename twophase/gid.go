package twophase

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// GID names a distributed transaction. One that a router commits is
// hx:<router incarnation>:<seq>:<owner shard>. A client's own PREPARE TRANSACTION is
// hu:<router incarnation>:<seq>:<owner shard>:<user>:<name>, user and name escaped as in a
// URL's query: it is never taken for abandoned while its owner has it prepared.
type GID struct {
	Incarnation uint32
	Seq         uint64
	Owner       ShardID

	User, Name string // of a client's own
}

// Transaction is the name that a router gives a transaction before it has an owner.
func (g GID) Transaction() string { return fmt.Sprintf("hx:%d:%d", g.Incarnation, g.Seq) }

// Own tells whether a client has prepared the transaction.
func (g GID) Own() bool { return g.Name != "" }

// String prints the gid as it travels in PREPARE TRANSACTION.
func (g GID) String() string {
	if g.Own() {
		return fmt.Sprintf("hu:%d:%d:%d:%s:%s", g.Incarnation, g.Seq, g.Owner, url.QueryEscape(g.User), url.QueryEscape(g.Name))
	}
	return fmt.Sprintf("hx:%d:%d:%d", g.Incarnation, g.Seq, g.Owner)
}

// ParseGID reads what String prints.
func ParseGID(s string) (GID, error) {
	p := strings.Split(s, ":")
	if len(p) == 4 && p[0] == "hx" || len(p) == 6 && p[0] == "hu" && p[5] != "" {
		inc, err1 := strconv.ParseUint(p[1], 10, 32)
		seq, err2 := strconv.ParseUint(p[2], 10, 64)
		owner, err3 := strconv.ParseUint(p[3], 10, 16)
		g := GID{Incarnation: uint32(inc), Seq: seq, Owner: ShardID(owner)}
		var err4, err5 error
		if p[0] == "hu" {
			g.User, err4 = url.QueryUnescape(p[4])
			g.Name, err5 = url.QueryUnescape(p[5])
		}
		if err1 == nil && err2 == nil && err3 == nil && err4 == nil && err5 == nil {
			return g, nil
		}
	}
	return GID{}, fmt.Errorf("%q is not the name of a distributed transaction", s)
}
