# An ordinary user mounts by the set-user-ID helper, which gets the device and gives it back over a socket.
exec 2>&1
cd /tmp; ln -sf /proc/self/mounts /etc/mtab
useradd -m plain 2>/dev/null || adduser --disabled-password --gecos '' plain >/dev/null
ls -l /usr/bin/fusermount3 | cut -c1-10
cat >as_user.sh <<'END'
cd /home/plain
mkdir src mnt
echo mine >src/f
bindfs --no-allow-other src mnt || exit 1
cat mnt/f; echo more >mnt/g; cat src/g; stat -c '%U %a' mnt/f
grep ' /home/plain/mnt ' /proc/mounts | tr , '\n' | grep -E 'nosuid|nodev|user_id|group_id' | sed 's/=.*//' | sort
fusermount3 -u mnt; echo "unmounted $?"; ls -A mnt
bindfs --no-allow-other src mnt && (sleep 0.2; exec 7<mnt/f; fusermount3 -u mnt 2>/dev/null || echo busy; fusermount3 -uz mnt && cat <&7)
END
chmod 755 as_user.sh
su plain -c 'bash /tmp/as_user.sh'
mkdir r; su plain -c 'mkdir -p /home/plain/other && cd /home/plain && bindfs --no-allow-other src other'; ls /home/plain/other; cat /home/plain/other/f; echo "root $?"
umount /home/plain/other; echo "by root $?"
