#!/usr/bin/env bash
# tar and zstd with threads: the same bytes each time.
set -eu
mkdir tree
for i in $(seq 1 60); do seq "$i" $((i * 200)) >"tree/file$i"; done
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf tree.tar tree
zstd -q -T2 -12 tree.tar -o tree.tar.zst
tar --zstd --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf other.tar.zst tree
sha256sum tree.tar.zst other.tar.zst
mkdir out
tar --zstd -xf tree.tar.zst -C out
diff -r tree out/tree && echo same
tar -tvf other.tar.zst | tail -n 2
zstd -q -b1 -e1 -i0 tree.tar >/dev/null && echo benchmark
