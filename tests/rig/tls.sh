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
    -days 30 -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}

server=$'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth'
client='extendedKeyUsage=clientAuth'
ca ca 'test CA'
ca otherca 'other CA'
certificate server localhost "$server" ca
certificate wronghost example.invalid \
  $'subjectAltName=DNS:example.invalid\nextendedKeyUsage=serverAuth' ca
certificate selfother localhost "$server" otherca
certificate client tlsuser "$client" ca
certificate rogue tlsuser "$client" otherca
