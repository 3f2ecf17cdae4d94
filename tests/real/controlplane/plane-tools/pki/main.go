// Command pki writes the certificates of one throw-away control plane.
//
// Everything is made afresh for each plane and is good for two days on
// loopback only: an authority, the API server's certificate, a client
// certificate of the group system:masters, and the key that signs service
// account tokens. Later it makes more certificates of the same authority, with
// an end of their own. Doing it here spares the lanes a dependency on an openssl
// command line, whose versions differ in how extensions are asked for.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const usage = `usage: pki DIR                             everything a plane needs
       pki DIR client NAME GROUP SECONDS   one more client, good for so long
       pki DIR server NAME SECONDS         one more certificate for the API server`

// How long the certificates of a plane are good.
const life = 48 * time.Hour

func main() {
	words := os.Args[1:]
	var err error
	switch {
	case len(words) == 1:
		err = write(words[0])
	case len(words) == 5 && words[1] == "client":
		err = more(words[0], words[2], client(words[2], words[3]), words[4])
	case len(words) == 4 && words[1] == "server":
		err = more(words[0], words[2], server(), words[3])
	default:
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pki:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	authority := template(pkix.Name{CommonName: "throw-away plane"})
	authority.IsCA = true
	authority.BasicConstraintsValid = true
	authority.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	if err := writePem(dir, "ca.crt", "CERTIFICATE", der); err != nil {
		return err
	}
	if err := writeKey(dir, "ca.key", authorityKey); err != nil {
		return err
	}
	if err := leaf(dir, "server", server(), authority, authorityKey); err != nil {
		return err
	}
	if err := leaf(dir, "admin", client("admin", "system:masters"), authority, authorityKey); err != nil {
		return err
	}
	serviceAccounts, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	return writeKey(dir, "service-accounts.key", serviceAccounts)
}

// more makes one more certificate with the authority in dir. A negative number
// of seconds makes one that is over.
func more(dir, name string, certificate *x509.Certificate, seconds string) error {
	count, err := strconv.Atoi(seconds)
	if err != nil {
		return err
	}
	certificate.NotAfter = time.Now().Add(time.Duration(count) * time.Second)
	der, err := readPem(dir, "ca.crt")
	if err != nil {
		return err
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if der, err = readPem(dir, "ca.key"); err != nil {
		return err
	}
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return err
	}
	return leaf(dir, name, certificate, authority, key)
}

func server() *x509.Certificate {
	made := template(pkix.Name{CommonName: "kube-apiserver"})
	made.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	made.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.IPv4(10, 0, 0, 1)}
	made.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	return made
}

func client(name, group string) *x509.Certificate {
	made := template(pkix.Name{CommonName: name, Organization: []string{group}})
	made.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return made
}

func template(subject pkix.Name) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(life),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func leaf(dir, name string, certificate, authority *x509.Certificate, authorityKey *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, certificate, authority, key.Public(), authorityKey)
	if err != nil {
		return err
	}
	if err := writePem(dir, name+".crt", "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(dir, name+".key", key)
}

func writeKey(dir, name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePem(dir, name, "EC PRIVATE KEY", der)
}

func readPem(dir, name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", name)
	}
	return block.Bytes, nil
}

func writePem(dir, name, kind string, der []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return os.WriteFile(filepath.Join(dir, name), text, 0o600)
}
