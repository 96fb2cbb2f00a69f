package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"
)

// Role is what a certificate's holder is in a cluster; it stands in the organizational
// unit of the subject, the holder's name in the common name.
type Role string

// Roles.
const (
	NodeRole     Role = "node"
	RouterRole   Role = "router"
	ObserverRole Role = "observer"
	ClientRole   Role = "client" // an SQL user, named by the common name
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 5 * 365 * 24 * time.Hour
	clockSkew     = time.Hour // certificates are valid from a little before they are made

	certBlock = "CERTIFICATE"
	keyBlock  = "PRIVATE KEY"
)

// Authority is a cluster's certificate authority: one key that signs the certificates
// of nodes, routers, observers and clients. ECDSA P-256 throughout.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// Pair is a certificate with its key, both PEM. Key is a secret: files hold it with mode 0600.
type Pair struct{ Cert, Key []byte }

// NewAuthority makes the authority of a cluster, valid for ten years from now.
func NewAuthority(cluster string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("auth: make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"Helios"}, CommonName: cluster},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(authorityLife),
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("auth: sign the authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("auth: sign the authority: %w", err)
	}
	return &Authority{cert, key}, nil
}

// ParseAuthority reads the pair that Pair gave.
func ParseAuthority(p Pair) (*Authority, error) {
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, fmt.Errorf("auth: read the authority: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("auth: read the authority: not a certificate authority")
	}
	return &Authority{pair.Leaf, key}, nil
}

// Pair gives the authority's certificate and key for ParseAuthority.
func (a *Authority) Pair() (Pair, error) { return encodePair(a.cert.Raw, a.key) }

// Certificate is the authority's certificate, PEM: what everyone may know.
func (a *Authority) Certificate() []byte { return encodePEM(certBlock, a.cert.Raw) }

// Fingerprint is the SHA-256 of the authority's certificate in hexadecimal.
func (a *Authority) Fingerprint() string { return Fingerprint(a.cert) }

// Fingerprint is the SHA-256 of a certificate in hexadecimal.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// Issue makes a key and its certificate for a role and a name, valid for five years from
// now but no longer than the authority. Hosts are the names and addresses it serves at;
// a client needs none.
func (a *Authority) Issue(role Role, name string, hosts []string, now time.Time) (Pair, error) {
	if !slices.Contains([]Role{NodeRole, RouterRole, ObserverRole, ClientRole}, role) {
		return Pair{}, fmt.Errorf("auth: unknown role %q", role)
	}
	if name == "" || strings.ContainsRune(name, 0) {
		return Pair{}, errors.New("auth: a certificate needs a name")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("auth: make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"Helios"}, OrganizationalUnit: []string{string(role)}, CommonName: name},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              earlier(now.Add(leafLife), a.cert.NotAfter),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if role != ClientRole {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("auth: sign the certificate of %q: %w", name, err)
	}
	return encodePair(der, key)
}

// Pool is the set of authorities in a PEM file, to check others' certificates against.
func Pool(pemCerts []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pemCerts) {
		return nil, errors.New("auth: no certificate authority in the PEM text")
	}
	return pool, nil
}

// HolderOf reads role and name from a certificate that the TLS handshake has verified.
// It gives false if the certificate is none of Issue's.
func HolderOf(cert *x509.Certificate) (role Role, name string, ok bool) {
	units := cert.Subject.OrganizationalUnit
	if cert.IsCA || len(units) != 1 || cert.Subject.CommonName == "" {
		return "", "", false
	}
	return Role(units[0]), cert.Subject.CommonName, true
}

// serial is a random 127-bit serial number.
func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	b[15] |= 1 // never zero
	return new(big.Int).SetBytes(b)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func encodePair(der []byte, key crypto.Signer) (Pair, error) {
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("auth: encode a key: %w", err)
	}
	return Pair{encodePEM(certBlock, der), encodePEM(keyBlock, keyDER)}, nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
