#!/usr/bin/env bash
# redis-server (its allocator is a dynamically linked jemalloc) under its benchmark, with a snapshot by fork.
set -eu
redis-server --port 0 --unixsocket "$PWD/socket" --daemonize yes --logfile "$PWD/log" --save '' --dir "$PWD" \
    --pidfile "$PWD/pid" >/dev/null
cli() { redis-cli -s socket "$@"; }
until cli ping 2>/dev/null; do sleep 0.05; done
cli info memory | grep -o 'mem_allocator:[a-z]*'
redis-benchmark -s "$PWD/socket" -n 2000 -c 20 -q | tr '\r' '\n' | grep 'requests per second' | sed 's/:.*//'
cli set key value
cli get key
cli lrange mylist 0 1
cli bgsave
until [ "$(cli info persistence | tr -d '\r' | grep -c 'rdb_bgsave_in_progress:0')" = 1 ]; do sleep 0.05; done
cli info persistence | tr -d '\r' | grep rdb_last_bgsave_status
cli shutdown nosave
while [ -e pid ]; do sleep 0.05; done
ls
