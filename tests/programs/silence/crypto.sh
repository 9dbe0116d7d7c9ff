#!/usr/bin/env bash
# openssl: digests, ciphers, keys with a fixed seed for nothing but the salt.
set -eu
seq 1 100000 >plain
openssl dgst -sha256 -r plain
openssl dgst -sha3-512 -hmac key plain
openssl enc -aes-256-cbc -pbkdf2 -S 0102030405060708 -pass pass:secret -in plain -out secret
sha256sum secret
openssl enc -d -aes-256-cbc -pbkdf2 -S 0102030405060708 -pass pass:secret -in secret | cmp - plain && echo same
openssl genpkey -algorithm ed25519 -out key.pem
openssl pkeyutl -sign -inkey key.pem -rawin -in plain -out signature
openssl pkeyutl -verify -inkey key.pem -rawin -in plain -sigfile signature
openssl list -providers | grep -c name:
openssl enc -no-such-cipher </dev/null || echo "refused: $?"
