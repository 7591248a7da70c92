#!/usr/bin/env bash
# gvisor_sysctl.sh COMMAND…: runs it in a mount namespace of its own, whose /proc/sys lacks the files by which gVisor 20240729 tells the host's
# network namespace from others: newer kernels have them in every namespace, and it then refuses to start its network stack.
set -eu
[ "${1:-}" = inside ] || exec unshare -m "$0" inside "$@"
shift
t=$(mktemp -d)
mount -t tmpfs none "$t"
for d in /proc/sys/*; do
  [ "${d##*/}" = net ] && continue
  mkdir "$t/${d##*/}"
  mount --bind "$d" "$t/${d##*/}"
done
for part in core ipv4; do
  mkdir -p "$t/net/$part"
  for f in /proc/sys/net/$part/*; do
    case "${f##*/}" in dev_weight | rmem_default) continue ;; esac
    [ -f "$f" ] && cat "$f" >"$t/net/$part/${f##*/}" 2>/dev/null || true
  done
done
mkdir -p "$t/net/ipv6/conf/all"
echo 0 >"$t/net/ipv6/conf/all/disable_ipv6"
mount --move "$t" /proc/sys
rmdir "$t"
exec "$@"
