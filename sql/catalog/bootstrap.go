package catalog

import "github.com/heliosdb/helios/types"

// Numbers of the objects every database starts with; PostgreSQL's own where it has one.
const (
	SuperuserOID         types.OID = 10
	PgCatalogOID         types.OID = 11
	PublicOID            types.OID = 2200
	InformationSchemaOID types.OID = 13000
	HeliosSchemaOID      types.OID = 16384
	DatabaseOID          types.OID = 16388
)

// Bootstrap is the first catalog of a database and its rows: schemas pg_catalog,
// information_schema, public and helios, and one superuser. password is its
// SCRAM-SHA-256 verifier, or "" for none.
func Bootstrap(database, superuser, password string) (*Catalog, []Change, error) {
	e := NewEdit(empty())
	e.draft.nextOID = types.FirstUserOID
	e.changed[counterKey] = true
	e.SetDatabase(Database{OID: DatabaseOID, Name: database, Owner: SuperuserOID})
	e.PutRole(&Role{
		OID: SuperuserOID, Name: superuser, Superuser: true, Login: true, Inherit: true, CreateDB: true,
		CreateRole: true, Replication: true, BypassRLS: true, ConnLimit: -1, Password: password,
	})
	for _, s := range []Schema{
		{OID: PgCatalogOID, Name: "pg_catalog", System: true, Comment: "system catalog schema"},
		{OID: InformationSchemaOID, Name: "information_schema", System: true},
		{OID: PublicOID, Name: "public", Comment: "standard public schema"},
		{OID: HeliosSchemaOID, Name: "helios", System: true, Comment: "cluster views and functions"},
	} {
		s.Owner = SuperuserOID
		s.ACL = []Grant{{SuperuserOID, SuperuserOID, "UC", ""}, {0, SuperuserOID, "U", ""}}
		e.PutSchema(&s)
	}
	rows, err := e.Rows()
	if err != nil {
		return nil, nil, err
	}
	return e.Finish(0), rows, nil
}
