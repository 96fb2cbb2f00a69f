package auth

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

func TestCertificates(t *testing.T) {
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	made, err := NewAuthority("c1", now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := made.Pair()
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ParseAuthority(pair)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := authority.Fingerprint(), made.Fingerprint(); got != want || len(got) != 64 {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
	roots, err := Pool(authority.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewAuthority("c1", now)
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := Pool(other.Certificate())
	if err != nil {
		t.Fatal(err)
	}

	node := issue(t, authority, NodeRole, "n1", now, "db.example", "127.0.0.1")
	client := issue(t, authority, ClientRole, "ada", now)
	server, user := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	for _, test := range []struct {
		name  string
		cert  *x509.Certificate
		host  string
		roots *x509.CertPool
		usage x509.ExtKeyUsage
		at    time.Time
		ok    bool
	}{
		{"a node serves at its name", node, "db.example", roots, server, now, true},
		{"and at its address", node, "127.0.0.1", roots, server, now, true},
		{"not at another", node, "db2.example", roots, server, now, false},
		{"a node is also a client", node, "", roots, user, now, true},
		{"a client is no server", client, "", roots, server, now, false},
		{"another authority", node, "db.example", strangers, server, now, false},
		{"too late", node, "db.example", roots, server, now.Add(leafLife + time.Hour), false},
		{"too early", node, "db.example", roots, server, now.Add(-2 * clockSkew), false},
	} {
		_, err := test.cert.Verify(x509.VerifyOptions{
			DNSName: test.host, Roots: test.roots, CurrentTime: test.at, KeyUsages: []x509.ExtKeyUsage{test.usage},
		})
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for cert, want := range map[*x509.Certificate]string{node: "node n1", client: "client ada"} {
		if role, name, ok := HolderOf(cert); !ok || string(role)+" "+name != want {
			t.Errorf("holder %s %s, want %s", role, name, want)
		}
	}
	if _, _, ok := HolderOf(authority.cert); ok {
		t.Error("the authority passes for a holder")
	}
}

func TestCertificateErrors(t *testing.T) {
	now := time.Now()
	authority, err := NewAuthority("c1", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authority.Issue("root", "n1", nil, now); err == nil {
		t.Error("an unknown role was accepted")
	}
	if _, err := authority.Issue(NodeRole, "", nil, now); err == nil {
		t.Error("an empty name was accepted")
	}
	leaf, err := authority.Issue(NodeRole, "n1", nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseAuthority(leaf); err == nil {
		t.Error("a node's certificate passes for an authority")
	}
	if _, err := ParseAuthority(Pair{}); err == nil {
		t.Error("nothing passes for an authority")
	}
	if _, err := Pool([]byte("garbage")); err == nil {
		t.Error("garbage passes for a pool")
	}
	late := now.Add(authorityLife - time.Hour)
	if cert := issue(t, authority, NodeRole, "n2", late); cert.NotAfter.After(authority.cert.NotAfter) {
		t.Error("a certificate outlives its authority")
	}
}

func issue(t *testing.T, a *Authority, role Role, name string, now time.Time, hosts ...string) *x509.Certificate {
	t.Helper()
	pair, err := a.Issue(role, name, hosts, now)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Leaf
}
