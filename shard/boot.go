package shard

import (
	"context"
	"slices"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/pgcatalog"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/wal"
)

// routerRoleOID is the number of RouterRole in every catalog.
const routerRoleOID = 16390

// bootTime is the version of every first catalog: shards that are set up apart agree.
const bootTime = hlc.Timestamp(1)

// withVirtual adds the relations that code provides.
func (s *Shard) withVirtual(c *catalog.Catalog) *catalog.Catalog {
	return c.WithVirtual(slices.Concat(pgcatalog.Relations(), ownRelations(), s.opts.Relations))
}

// Bootstrap logs the first catalog of a primary that has none: the database, one
// superuser and the routers' role. The same arguments give the same catalog on every
// shard; verifier is the superuser's SCRAM-SHA-256 verifier.
func (s *Shard) Bootstrap(ctx context.Context, database, superuser, verifier string) error {
	if s.Catalog() != nil {
		return nil
	}
	first, rows, err := catalog.Bootstrap(database, superuser, verifier)
	if err != nil {
		return err
	}
	edit := catalog.NewEdit(first)
	edit.PutRole(&catalog.Role{OID: routerRoleOID, Name: RouterRole, Superuser: true, Login: true, ConnLimit: -1})
	more, err := edit.Rows()
	if err != nil {
		return err
	}
	var b storage.Batch
	for _, c := range append(rows, more...) {
		b.PutVersion(storage.Version{Key: append([]byte{catalogPrefix}, c.Key...), Value: c.Value, Time: bootTime, WriteTime: bootTime})
	}
	b.PutVersion(storage.Version{Key: catalogMark, Time: bootTime, WriteTime: bootTime})
	_, err = s.logRecord(ctx, wal.TypeIngest, 0, func(hlc.Timestamp) ([]byte, error) { return b.Encode(), nil })
	return err
}
