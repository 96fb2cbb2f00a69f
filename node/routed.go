package node

import (
	"github.com/heliosdb/helios/shard"
)

// routed is what sessions on a shard's node talk to.
type routed struct {
	*shard.Engine
	m *member
}
