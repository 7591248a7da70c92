#!/bin/bash
# A local repository: init, commits, branches, merge, clone, log, gc.
set -e
export HOME=/tmp/home GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
mkdir -p $HOME && cd $HOME
git config --global user.name A
git config --global user.email a@b
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git init -q one && cd one
for i in 1 2 3; do echo "line $i" >>file; git add file; git commit -qm "commit $i"; done
git checkout -qb side HEAD~1
echo other >other; git add .; git commit -qm side
git checkout -q main
git merge -q --no-edit side
git log --oneline --graph
cd .. && git clone -q one two && cd two
git log --format=%H | head -n 1
git fsck 2>&1 | tail -n 1
git gc -q && git count-objects -v | grep -E '^(count|in-pack)'
echo change >>file; git diff --stat; git stash -q; git status --short | wc -l; git stash pop -q; git status --short
