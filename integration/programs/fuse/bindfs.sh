# bindfs: a directory again, with other owners and modes; what is done there arrives below.
exec 2>&1
cd /tmp; ln -sf /proc/self/mounts /etc/mtab
mkdir src mnt
echo one >src/a; mkdir -p src/deep/er; echo two >src/deep/er/b; ln -s a src/link
bindfs --perms=u+rwX,go-w --mirror=root src mnt || exit 1
grep ' /tmp/mnt ' /proc/mounts | cut -d' ' -f1-4 | sed 's/rw.*,user_id/user_id/'
stat -c '%F %a %u %s' mnt/a mnt/deep mnt/link
cat mnt/link mnt/deep/er/b
find mnt | sort
echo new >mnt/new; cat src/new; mv mnt/new mnt/deep/moved; ls -A src/deep
cp -a /etc/ssl mnt/copied && diff -r /etc/ssl src/copied && echo same
chmod 600 mnt/a; stat -c %a src/a; touch -d @1000000 mnt/a; stat -c %Y src/a
for i in $(seq 500); do : >mnt/many-$i; done; ls mnt | wc -l; rm mnt/many-*; ls -A mnt
dd if=/dev/urandom of=big bs=64k count=100 2>/dev/null; cp big mnt/big; cmp big src/big && cmp big mnt/big && echo equal
truncate -s 1000 mnt/big; stat -c %s src/big mnt/big; echo more >>mnt/big; tail -c 5 src/big
tar -C mnt -cf t.tar deep && tar -tf t.tar | sort
printf '#!/bin/sh\necho run "$@"\n' >mnt/tool; chmod 755 mnt/tool; mnt/tool a b; cp /bin/true mnt/true; chmod 755 mnt/true; mnt/true; echo "status $?"
exec 7<mnt/deep/er/b; rm mnt/deep/er/b; read -r line <&7; echo "still $line"; exec 7<&-
(cd mnt/deep && pwd && mkdir x && cd x && ls -A ..)
mkdir mnt/deep 2>/dev/null || echo exists; cat mnt/none; rmdir mnt/deep
flock -n mnt/a -c 'echo locked'; sync mnt/a; df --output=target mnt | tail -1
git init -q mnt/repo && cd mnt/repo && git -c user.name=n -c user.email=e@x commit -q --allow-empty -m first && git log --format=%s && git fsck && cd /tmp
umount mnt && ls -A mnt; echo "unmounted $?"
