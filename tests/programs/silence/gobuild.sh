#!/usr/bin/env bash
# go run and go build, pure and with C; SOURCES is where the sources are, GOCACHE has the standard library.
set -eu
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOPROXY=off
cp "$SOURCES/static.go" "$SOURCES/mixed.go" .
CGO_ENABLED=0 go run static.go || echo "go run: $?"
CGO_ENABLED=1 go build -o mixed mixed.go
./mixed || echo "mixed: $?"
go vet mixed.go && echo vetted
