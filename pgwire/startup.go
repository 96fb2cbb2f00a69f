package pgwire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/heliosdb/helios/types"
)

const (
	startupMax  = 10_000 // MAX_STARTUP_PACKET_LENGTH of PostgreSQL
	beforeLogin = 10_000 // longest message of an exchange, bytes
	nameMax     = 63     // longest user or database name; longer ones are cut, as in PostgreSQL
	alpn        = "postgresql"

	protocol3       = 3 << 16
	cancelRequest   = 1234<<16 | 5678
	sslRequest      = 1234<<16 | 5679
	gssEncRequest   = 1234<<16 | 5680
	tlsRecord       = 0x16 // first byte of a TLS handshake: no startup packet is that long
	booleanReplicas = "replication"
)

// errQuiet ends a connection without a word, as PostgreSQL does with protocol garbage.
var errQuiet = errors.New("closed silently")

// begin reads what comes before the first message: requests for encryption, then the
// startup packet (or a CancelRequest, or garbage). Nothing is read beyond a packet, so a
// plain byte sent ahead of the TLS handshake can never count as encrypted.
func (c *conn) begin(ctx context.Context) (*startup, error) {
	var sslDone, gssDone bool
	for {
		packet, err := readStartup(c.net)
		if packet == nil && errors.Is(err, errDirectTLS) {
			if sslDone || c.server.tls == nil {
				return nil, errQuiet
			}
			if err := c.directTLS(ctx, err.(*directTLSError).head); err != nil {
				return nil, err
			}
			sslDone, gssDone = true, true
			continue
		}
		if err != nil {
			return nil, errQuiet
		}
		code := binary.BigEndian.Uint32(packet)
		switch {
		case code == cancelRequest:
			if len(packet) == 12 {
				c.cancelRequest(ctx, binary.BigEndian.Uint32(packet[4:]), binary.BigEndian.Uint32(packet[8:]))
			}
			return nil, errQuiet
		case code == sslRequest && !sslDone:
			sslDone = true
			if c.server.tls == nil {
				err = c.answer('N')
			} else if err = c.answer('S'); err == nil {
				gssDone = true
				err = c.startTLS(ctx, c.net)
			}
		case code == gssEncRequest && !gssDone:
			gssDone = true
			err = c.answer('N')
		default:
			return parseStartup(code, packet[4:])
		}
		if err != nil {
			return nil, errQuiet
		}
	}
}

// answer sends the single byte that replies to a request for encryption.
func (c *conn) answer(b byte) error {
	_, err := c.net.Write([]byte{b})
	return err
}

// directTLSError says that the client began with a TLS handshake; head was read of it.
type directTLSError struct{ head []byte }

var errDirectTLS = errors.New("direct TLS")

func (e *directTLSError) Error() string        { return errDirectTLS.Error() }
func (e *directTLSError) Is(target error) bool { return target == errDirectTLS }

// readStartup reads one packet without a type byte and gives its code and body.
func readStartup(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	if head[0] == tlsRecord {
		return nil, &directTLSError{head}
	}
	size := binary.BigEndian.Uint32(head)
	if size < 8 || size > startupMax {
		return nil, errQuiet
	}
	packet := make([]byte, size-4)
	_, err := io.ReadFull(r, packet)
	return packet, err
}

// headed is a connection whose first bytes were read already.
type headed struct {
	net.Conn
	head []byte
}

func (h *headed) Read(p []byte) (int, error) {
	if len(h.head) == 0 {
		return h.Conn.Read(p)
	}
	n := copy(p, h.head)
	h.head = h.head[n:]
	return n, nil
}

// directTLS serves clients that skip SSLRequest (PostgreSQL 17). They must name the
// protocol by ALPN, which keeps other protocols' clients from being confused with ours.
func (c *conn) directTLS(ctx context.Context, head []byte) error {
	if err := c.startTLS(ctx, &headed{c.net, head}); err != nil {
		return err
	}
	if c.info.TLS.NegotiatedProtocol != alpn {
		return errQuiet
	}
	return nil
}

// startTLS shakes hands and remembers which certificate was shown.
func (c *conn) startTLS(ctx context.Context, plain net.Conn) error {
	var shown *tls.Certificate
	config := recordShown(c.server.tls, &shown)
	secure := tls.Server(plain, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		c.log.Debug("TLS handshake failed", "err", err)
		return errQuiet
	}
	state := secure.ConnectionState()
	c.setNet(secure)
	c.info.TLS = &state
	if shown != nil {
		c.info.Endpoint = shown.Leaf
		if c.info.Endpoint == nil && len(shown.Certificate) > 0 {
			c.info.Endpoint, _ = x509.ParseCertificate(shown.Certificate[0])
		}
	}
	return nil
}

// recordShown gives a copy of config that notes which certificate it chose.
func recordShown(config *tls.Config, shown **tls.Certificate) *tls.Config {
	config = config.Clone()
	if choose := config.GetConfigForClient; choose != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			other, err := choose(hello)
			if other != nil {
				other = recordShown(other, shown)
			}
			return other, err
		}
	}
	certs, choose := config.Certificates, config.GetCertificate
	config.Certificates = nil // else GetCertificate is not asked when the client names no server
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (cert *tls.Certificate, err error) {
		if choose != nil {
			cert, err = choose(hello)
		}
		if cert == nil && err == nil {
			cert, err = firstSupported(certs, hello)
		}
		*shown = cert
		return cert, err
	}
	return config
}

// firstSupported chooses as crypto/tls does when GetCertificate is not set.
func firstSupported(certs []tls.Certificate, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(certs) == 0 {
		return nil, errors.New("no certificate configured")
	}
	for i := range certs {
		if hello.SupportsCertificate(&certs[i]) == nil {
			return &certs[i], nil
		}
	}
	return &certs[0], nil
}

// startup is a decoded startup packet.
type startup struct {
	user, database string
	settings       []Parameter // those of "options" first
	newer          bool        // the client speaks a newer minor version
	unknown        []string    // its protocol options (_pq_.…), none of which is known here
}

// parseStartup decodes a startup packet's parameters.
func parseStartup(code uint32, body []byte) (*startup, error) {
	major, minor := code>>16, code&0xffff
	if major != 3 {
		return nil, fatalf("0A000", "unsupported frontend protocol %d.%d: server supports 3.0 to 3.0", major, minor)
	}
	s := &startup{newer: minor > 0}
	var options string
	for {
		name, rest, ok := cutString(body)
		if !ok || (name == "" && len(rest) != 0) {
			return nil, fatalf("08P01", "invalid startup packet layout: expected terminator as last byte")
		}
		if name == "" {
			break
		}
		value, rest, ok := cutString(rest)
		if !ok {
			return nil, fatalf("08P01", "invalid startup packet layout: expected terminator as last byte")
		}
		body = rest
		switch {
		case name == "user":
			s.user = value
		case name == "database":
			s.database = value
		case name == "options":
			options = value
		case name == booleanReplicas:
			if !isFalse(value) {
				return nil, fatalf("0A000", "replication connections are not supported")
			}
		case strings.HasPrefix(name, "_pq_."):
			s.unknown = append(s.unknown, name)
		default:
			s.settings = append(s.settings, Parameter{name, value})
		}
	}
	if s.user == "" {
		return nil, fatalf("28000", "no PostgreSQL user name specified in startup packet")
	}
	if s.database == "" {
		s.database = s.user
	}
	s.user, s.database = s.user[:min(len(s.user), nameMax)], s.database[:min(len(s.database), nameMax)]
	fromOptions, err := parseOptions(options)
	s.settings = append(fromOptions, s.settings...)
	return s, err
}

// cutString takes a zero-terminated string off b.
func cutString(b []byte) (s string, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return "", nil, false
	}
	return string(b[:i]), b[i+1:], true
}

func isFalse(value string) bool {
	switch strings.ToLower(value) {
	case "false", "off", "no", "0", "f", "n":
		return true
	}
	return false
}

// parseOptions reads the "options" parameter: -c name=value and --name=value, words
// separated by white space, a backslash makes the next character part of a word.
func parseOptions(options string) ([]Parameter, error) {
	var settings []Parameter
	words := splitOptions(options)
	for i := 0; i < len(words); i++ {
		var setting string
		switch word := words[i]; {
		case word == "-c" && i+1 < len(words):
			i++
			setting = words[i]
		case strings.HasPrefix(word, "-c") && len(word) > 2:
			setting = word[2:]
		case strings.HasPrefix(word, "--") && len(word) > 2:
			setting = word[2:]
		default:
			return nil, fatalf("42601", "invalid command-line argument for server process: %s", word)
		}
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return nil, fatalf("42601", "-c %s requires a value", setting)
		}
		settings = append(settings, Parameter{strings.ReplaceAll(name, "-", "_"), value})
	}
	return settings, nil
}

func splitOptions(s string) []string {
	var words []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			inWord = true
		case strings.IndexByte(" \t\n\r\f\v", s[i]) >= 0:
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteByte(s[i])
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}

// negotiateVersion is the NegotiateProtocolVersion message, which pgproto3/v2 lacks: the
// newest version spoken here and the protocol options not known here.
type negotiateVersion struct{ unknown []string }

// Backend marks a server's message.
func (*negotiateVersion) Backend() {}

// Decode is not needed on the server's side.
func (*negotiateVersion) Decode([]byte) error { return errors.ErrUnsupported }

// Encode appends the message to dst.
func (n *negotiateVersion) Encode(dst []byte) ([]byte, error) {
	size := 4 + 4 + 4
	for _, name := range n.unknown {
		size += len(name) + 1
	}
	dst = append(dst, 'v')
	dst = binary.BigEndian.AppendUint32(dst, uint32(size))
	dst = binary.BigEndian.AppendUint32(dst, protocol3)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(n.unknown)))
	for _, name := range n.unknown {
		dst = append(append(dst, name...), 0)
	}
	return dst, nil
}

// login goes from the accepted connection to the first ReadyForQuery.
func (c *conn) login(ctx context.Context) error {
	deadline := c.server.opts.Limits.AuthTimeout
	c.net.SetDeadline(time.Now().Add(deadline))
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	s, err := c.begin(ctx)
	if err != nil {
		return err
	}
	if s.newer || len(s.unknown) > 0 {
		if err := c.out.message(&negotiateVersion{s.unknown}); err != nil {
			return err
		}
	}
	if c.server.opts.RequireTLS && c.info.TLS == nil {
		return fatalf("28000", "connection requires TLS").WithHint("Use sslmode=require or stronger.")
	}
	c.info.User, c.info.Database, c.info.Settings = s.user, s.database, s.settings
	c.info.PID = c.reserve()
	if err := c.authenticate(ctx); err != nil {
		return err
	}
	if err := c.server.admit(c); err != nil {
		return err
	}
	c.in.limit = c.server.opts.Limits.MessageBytes
	c.clearDeadline()
	return nil
}

// asFatal makes the error that ends a connection out of any error, code for want of a better.
func asFatal(err error, code, format string, args ...any) *types.Error {
	var e *types.Error
	if !errors.As(err, &e) {
		e = types.Errorf(code, format, args...)
		e.Cause = err
	}
	fatal := *e
	fatal.Severity = "FATAL"
	return &fatal
}
