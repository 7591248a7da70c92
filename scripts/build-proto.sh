#!/usr/bin/env bash
# Generates proto/generated/containerd.cjs and its types from proto/*.proto, if one of them is newer than the last build.
set -euo pipefail
cd "$(dirname "$0")/.."
out=proto/generated/containerd.cjs
if [ -f "$out" ] && [ -z "$(find proto/*.proto scripts/build-proto.sh -newer "$out" | head -n 1)" ]; then exit 0; fi
mkdir -p proto/generated
node_modules/.bin/pbjs -t static-module -w commonjs -d --keep-case --force-number --no-create --no-verify --no-convert --no-delimited \
  --no-typeurl --no-service -p proto -o "$out" proto/*.proto
# A .cjs module's types are looked for in .d.cts.
if [ -f proto/generated/containerd.d.ts ]; then mv proto/generated/containerd.d.ts proto/generated/containerd.d.cts; fi
