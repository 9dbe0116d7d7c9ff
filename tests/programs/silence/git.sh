#!/usr/bin/env bash
# A repository from nothing to gc, with everything that goes into an object's name fixed.
set -eu
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z' GIT_CONFIG_NOSYSTEM=1
git init -q -b main work
cd work
git config pack.threads 1
for i in $(seq 1 40); do seq "$i" $((i * 20)) >"file$i"; done
git add .
git commit -q -m 'first'
for i in 3 5 7; do
    echo "change $i" >>"file$i"
    git commit -q -a -m "change $i"
done
git checkout -q -b side HEAD~2
echo side >side
git add side
git commit -q -m side
git merge -q -m merged main
git log --stat --graph --format='%H %s'
git diff HEAD~1 --stat
git gc -q --prune=now
git fsck --full
git count-objects -v | grep -v size
git clone -q . ../clone
git -C ../clone log -1 --format=%H
git grep -c 777
git rebase -q HEAD~1 && git status --short --branch
