# fuse-overlayfs: layers, whiteouts, opaque directories, copies up; a git tree and a compiler on it.
exec 2>&1
cd /tmp; ln -sf /proc/self/mounts /etc/mtab
mkdir -p lower/d/e upper work m
echo low >lower/a; echo gone >lower/b; echo deep >lower/d/e/f; ln -s a lower/link; chmod 750 lower/d
fuse-overlayfs -o lowerdir=lower,upperdir=upper,workdir=work m || exit 1
ls -A m; cat m/a m/d/e/f m/link
echo changed >>m/a; cat m/a lower/a; rm m/b; ls -A m; rm -r m/d; mkdir m/d; ls -A m/d
stat -c '%F %a' m/d; test -e upper/b && stat -c '%F %t:%T' upper/b
mkdir m/new; echo x >m/new/x; mv m/new m/renamed; cat m/renamed/x; mv m/renamed/x m/y; ls -A m/renamed
chmod 600 m/a; stat -c '%a %s' m/a upper/a lower/a; setfattr -n user.t -v v m/a 2>/dev/null; ln m/y m/z; stat -c %h m/y
cp -a /usr/include/linux m/linux; diff -r /usr/include/linux m/linux && echo same; rm -r m/linux; ls -A m
cat >m/p.c <<'END'
#include <stdio.h>
int main(void) { FILE *f = fopen("m/out", "w"); fprintf(f, "compiled\n"); fclose(f); return 5; }
END
gcc -o m/p m/p.c && m/p; echo "status $?"; cat m/out
git init -q m/repo; (cd m/repo; for i in $(seq 50); do echo $i >f$i; done; git add .; git -c user.name=n -c user.email=e@x commit -qm all; git rm -q f1; git status --short; git fsck; git gc -q; git log --format=%s)
python3 - <<'END'
import os, mmap
with open('m/mapped', 'w+b') as f:
    f.write(b'a' * 10000); f.flush()
    with mmap.mmap(f.fileno(), 0) as m:
        m[5000:5003] = b'xyz'
print(open('m/mapped', 'rb').read()[4999:5004])
END
umount m; ls -A m upper | head -3; echo "unmounted $?"
