#!/bin/bash
# SPDX-License-Identifier: MIT
# tls.sh DIR: a CA with a server certificate for localhost and 127.0.0.1, a
# client certificate (CN=tlsuser), and ones that must be refused: wronghost,
# selfother and rogue (of another CA).
set -eu
mkdir -p "$1" && cd "$1"

key() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null
}

ca() { # NAME COMMON-NAME
  key "$1"
  openssl req -x509 -new -key "$1.key" -days 30 -subj "/CN=$2" -out "$1.pem" \
    -addext 'basicConstraints=critical,CA:TRUE' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign'
}

certificate() { # NAME COMMON-NAME EXTENSIONS CA
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
  printf '%s\n' "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$4.pem" -CAkey "$4.key" -CAcreateserial \
    -days "${days:-30}" -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}

server=$'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth'
client='extendedKeyUsage=clientAuth'
ca ca 'test CA'
ca otherca 'other CA'
certificate server localhost "$server" ca
days=5 certificate soon localhost "$server" ca
certificate wronghost example.invalid \
  $'subjectAltName=DNS:example.invalid\nextendedKeyUsage=serverAuth' ca
certificate selfother localhost "$server" otherca
certificate client tlsuser "$client" ca
certificate rogue tlsuser "$client" otherca

# Valid at another time; "openssl x509" cannot say when a certificate begins.
dated() { # NAME BEGIN END
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=localhost" -out "$1.csr"
  : >"$1.index"
  printf '%s\n' '[ca]' 'default_ca=d' '[d]' "database=$1.index" \
    'default_md=sha256' 'policy=p' "new_certs_dir=." 'rand_serial=yes' \
    'x509_extensions=e' '[p]' 'commonName=supplied' '[e]' "$server" >"$1.cnf"
  openssl ca -batch -notext -config "$1.cnf" -cert ca.pem -keyfile ca.key \
    -startdate "$2" -enddate "$3" -in "$1.csr" -out "$1.pem" 2>/dev/null
}

dated expired 20200101000000Z 20200201000000Z
dated future 20400101000000Z 20400201000000Z
certificate nameonly localhost \
  $'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth' ca
# The client's key again, encrypted with the password "key-s3cret".
openssl ec -in client.key -aes256 -passout pass:key-s3cret \
  -out encrypted.key 2>/dev/null
