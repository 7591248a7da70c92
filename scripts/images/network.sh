#!/usr/bin/env bash
# network.sh OUT: OUT/network-rootfs: a layer over the programs image with the servers and clients that integration/network lets talk to
# each other.
set -euo pipefail
"$(dirname "$0")/layer.sh" "$1" network nginx-light wrk curl iperf3 openssh-server openssh-client iputils-ping iputils-tracepath traceroute \
  bind9-dnsutils dnsmasq-base netcat-openbsd iproute2 iptables conntrack
