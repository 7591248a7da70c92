# squashfuse and squashfuse_ll: a compressed image, read only; programs and libraries run from it.
exec 2>&1
cd /tmp; ln -sf /proc/self/mounts /etc/mtab
mkdir -p tree/bin tree/many mnt ll
cp /bin/bash /usr/bin/sha256sum tree/bin; mkdir tree/perl; cp -a /usr/lib/x86_64-linux-gnu/perl-base/[A-F]* tree/perl; for i in $(seq 600); do echo $i >tree/many/f$i; done
ln tree/bin/bash tree/hard; ln -s bin/bash tree/soft; mkfifo tree/fifo
mksquashfs tree image.sqfs -quiet -no-progress -all-time 1000000 >/dev/null && echo made
squashfuse image.sqfs mnt || exit 1
squashfuse_ll image.sqfs ll || exit 1
diff -r --no-dereference tree/many mnt/many && diff -r tree/perl ll/perl && echo same
(cd tree && find . -type f -exec sha256sum {} + | sort) >a; for m in mnt ll; do (cd $m && find . -type f -exec sha256sum {} + | sort) | cmp - a && echo "$m agrees"; done
mnt/bin/bash -c 'echo from the image; exit 9'; echo "status $?"; ll/soft -c 'echo by a link'
ls -l mnt | awk '{ print $1, $2, $5, $9 }'; ls mnt/many | wc -l; stat -c '%F %h %s' mnt/hard mnt/fifo
echo x >mnt/new; rm mnt/many/f1; touch mnt/bin; find ll/many -name 'f59*' | sort | tail -3
grep -c fuse.squashfuse /proc/mounts; stat -f -c '%T %s' mnt
for i in 1 2 3 4; do (cat mnt/many/* | sha256sum) & done | uniq -c | awk '{ print $1 }'; wait
fusermount3 -u mnt; echo "unmounted $?"; umount ll; ls -A mnt ll
