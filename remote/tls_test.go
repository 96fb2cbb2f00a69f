package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/heliosdb/helios/auth"
	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/types"
)

// byCertificate lets routers in by their certificate and asks nobody for a password.
type byCertificate struct{}

func (byCertificate) Begin(_ context.Context, info *pgwire.ConnInfo) (pgwire.Exchange, error) {
	if len(info.TLS.PeerCertificates) > 0 {
		if role, _, ok := auth.HolderOf(info.TLS.PeerCertificates[0]); ok && role == auth.RouterRole && info.User == "helios_router" {
			return nil, nil
		}
	}
	return nil, types.Errorf("28000", "only routers may connect")
}

// TestTLS connects over TCP and TLS; the router shows its certificate instead of a password.
func TestTLS(t *testing.T) {
	authority, err := auth.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	roots, err := auth.Pool(authority.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	issue := func(role auth.Role, name string) tls.Certificate {
		pair, err := authority.Issue(role, name, []string{"localhost", "127.0.0.1"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	shard := &toyShard{addr: "tls"}
	server, err := pgwire.New(pgwire.Options{
		TLS: &tls.Config{
			Certificates: []tls.Certificate{issue(auth.NodeRole, "n1")},
			ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: roots,
		},
		RequireTLS: true, Auth: byCertificate{}, Log: slog.New(slog.DiscardHandler),
		NewSession: func(_ context.Context, _ *pgwire.ConnInfo, client pgwire.Client) (pgwire.Session, error) {
			return &toy{shard: shard, client: client, status: 'I', statements: map[string]string{}, portals: map[string]toyPortal{}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(context.Background(), l) }()
	defer func() { server.Close(); <-served }()

	strangers := x509.NewCertPool()
	for _, test := range []struct {
		name string
		tls  *tls.Config
		want string
	}{
		{"router", &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{issue(auth.RouterRole, "r1")}}, ""},
		{"client", &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{issue(auth.ClientRole, "ada")}}, "28000"},
		{"nobody", &tls.Config{RootCAs: roots}, "28000"},
		{"plain", nil, "28000"},
		{"another authority", &tls.Config{RootCAs: strangers}, "08001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, err := NewClient(Options{User: "helios_router", TLS: test.tls})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			conn, err := client.Pool(l.Addr().String(), "db").Get(t.Context())
			if got := types.CodeOf(err); got != test.want {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if err == nil {
				check(t, "where", read(conn.Exec(t.Context(), stmt("where"))), `["tls"] SELECT 1`)
				conn.Release()
			}
		})
	}
}
