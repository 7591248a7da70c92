# knobs of a network namespace are its own, and belong to whoever made it
ttl=/proc/sys/net/ipv4/ip_default_ttl port=/proc/sys/net/ipv4/ip_unprivileged_port_start
cat $ttl
unshare -Urn sh -c "cat $ttl; echo 77 >$ttl && cat $ttl; echo 900 >$ttl; cat $ttl; unshare -n cat $ttl
echo 7 >$port && cat $port; cat /proc/sys/net/core/somaxconn" 2>&1
cat $ttl
setpriv --reuid=1000 --regid=1000 --clear-groups unshare -Ur sh -c "echo 5 >$ttl" 2>&1 | sed 's/.*: //'
setpriv --reuid=1000 --regid=1000 --clear-groups unshare -Urn sh -c "echo 5 >$ttl && cat $ttl"
cat $ttl
# and the name of a UTS namespace
unshare -Ur --uts sh -c 'echo inside >/proc/sys/kernel/hostname; hostname'
hostname
