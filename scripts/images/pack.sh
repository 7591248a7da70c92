#!/usr/bin/env bash
# pack.sh ROOTFS ARCHIVE NAME:TAG [CMD…]: packs a root filesystem as a one-layer image archive ("docker save" layout, which
# `ctr images import` and `docker load` both read). Times and order are fixed: the same tree gives the same bytes.
set -euo pipefail
rootfs=$1 archive=$2 name=$3
shift 3
work=$(mktemp -d "$(dirname "$archive")/pack.XXXXXX")
trap 'rm -rf "$work"' EXIT

tar --numeric-owner --sort=name --xattrs --one-file-system -C "$rootfs" -cf "$work/layer.tar" .
diff=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)

command=''
for word in "$@"; do
  word=${word//\\/\\\\}
  command+="${command:+,}\"${word//\"/\\\"}\""
done
cat >"$work/config.json" <<JSON
{"architecture":"amd64","os":"linux","created":"1970-01-01T00:00:00Z",
"config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":[$command],"WorkingDir":"/"},
"rootfs":{"type":"layers","diff_ids":["sha256:$diff"]},
"history":[{"created":"1970-01-01T00:00:00Z","created_by":"tsvisor scripts/images"}]}
JSON
config=$(sha256sum "$work/config.json" | cut -d' ' -f1)
mkdir "$work/image"
mv "$work/config.json" "$work/image/$config.json"
mkdir "$work/image/$diff"
mv "$work/layer.tar" "$work/image/$diff/layer.tar"
printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":["%s/layer.tar"]}]\n' "$config" "$name" "$diff" >"$work/image/manifest.json"
tar --numeric-owner --owner=0 --group=0 --sort=name -C "$work/image" -cf "$archive.new" .
mv "$archive.new" "$archive"
