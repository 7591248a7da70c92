# Packages installed, verified, used, upgraded, diverted, removed and purged. What is printed must not depend on time or on what the files lie on.
set -u
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
cd /opt/packages
step() { printf '\n== %s\n' "$*"; }
run() { "$@" 2>&1; echo "status $?"; }
# What a package has put where: owner, mode, size, capabilities.
placed() {
  for package; do
    dpkg -L "$package" | sort | while IFS= read -r path; do
      [ -e "$path" ] || [ -L "$path" ] || continue
      # Sizes of directories are the filesystem's affair.
      if [ -d "$path" ]; then stat -c '%n %F %a %U:%G' "$path"; else stat -c '%N %F %a %U:%G %s %Y' "$path"; fi
    done
  done
}

step a library, a program and a lot of files
run dpkg -i libonig5_*.deb libjq1_*.deb jq_*.deb tree_*.deb python3-six_*.deb
echo '{"a":[1,2,{"b":null}]}' | run jq -c '.a[2]'
run python3 -c 'import six; print(six.PY3)'
placed jq libjq1 tree | sha256sum
run dpkg --verify

step file capabilities, set by a maintainer script
run dpkg -i libcap2-bin_*.deb iputils-ping_*.deb
getcap /bin/ping
run setpriv --reuid 65534 --regid 65534 --clear-groups ping -c 1 -W 2 -q 127.0.0.1 | sed -n '/packets/s/, time.*//p'
cp /bin/ping /tmp/copy
getcap /tmp/copy

step users, groups, configuration files and set-id bits
run dpkg -i cron-daemon-common_*.deb
run dpkg -i cron_*.deb
getent group crontab | cut -d: -f1
stat -c '%n %a %U:%G' /usr/bin/crontab /var/spool/cron/crontabs /etc/crontab
echo '# changed by the administrator' >> /etc/crontab
run dpkg --verify cron
run dpkg -i --force-confold cron_*.deb
tail -n 1 /etc/crontab

step alternatives
run dpkg -i nano_*.deb
readlink /etc/alternatives/editor
update-alternatives --list pager

step an essential package that is in use
run dpkg -i sed_*.deb
echo works | sed s/works/replaced/

step a package of our own with a diversion, a hook for every moment, a trigger, hard links, a fifo and an awkward name
mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin '/tmp/p/opt/a name/with  spaces' && cd /tmp/p
printf 'Package: own\nVersion: 1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: test\n' > DEBIAN/control
printf '/etc/own.conf\n' > DEBIAN/conffiles
printf 'interest-noawait /usr/share/doc/nano\n' > DEBIAN/triggers
for hook in preinst postinst prerm postrm; do
  printf '#!/bin/sh\necho "%s $*"\n' $hook > DEBIAN/$hook
  chmod 755 DEBIAN/$hook
done
printf 'if [ "$1" = install ] || [ "$1" = upgrade ]; then dpkg-divert --package own --add --rename --divert /usr/bin/tree.real /usr/bin/tree; fi\n' >> DEBIAN/preinst
printf 'if [ "$1" = remove ]; then dpkg-divert --package own --remove --rename --divert /usr/bin/tree.real /usr/bin/tree; fi\n' >> DEBIAN/postrm
mkdir etc && echo first > etc/own.conf
printf '#!/bin/sh\necho diverted "$@"\n' > usr/bin/tree && chmod 4755 usr/bin/tree
echo data > 'opt/a name/with  spaces/one' && ln 'opt/a name/with  spaces/one' 'opt/a name/with  spaces/two'
ln -s /nowhere 'opt/a name/dangling' && mkfifo 'opt/a name/fifo' && chmod 640 'opt/a name/fifo'
cd /tmp && run dpkg-deb -b --root-owner-group p own1.deb
sed -i 's/^Version: 1/Version: 2/' p/DEBIAN/control && echo second > p/etc/own.conf && rm 'p/opt/a name/fifo'
run dpkg-deb -b --root-owner-group p own2.deb
run dpkg -i own1.deb
dpkg-divert --list own
tree --version && tree.real --version
stat -c '%n %h %F %a' '/opt/a name/with  spaces/one' '/opt/a name/fifo'
run dpkg --verify own
run dpkg -i own2.deb
ls -R '/opt/a name'
cat /etc/own.conf
run dpkg -i /opt/packages/nano_*.deb

step a package that does not fit is refused and leaves nothing
printf 'exit 7\n' >> p/DEBIAN/preinst && sed -i 's/^Version: 2/Version: 3/' p/DEBIAN/control
run dpkg-deb -b --root-owner-group p own3.deb
run dpkg -i own3.deb
run dpkg -s own | grep -E '^(Status|Version)'
printf '!<arch>\nno package at all\n' > broken.deb
run dpkg -i broken.deb

step removal and purge
run dpkg -r own
tree --version | cut -d' ' -f1-2
ls /etc/own.conf
run dpkg -P own
ls /etc/own.conf 2>&1
run dpkg -r cron
ls -d /etc/crontab /usr/bin/crontab 2>&1
run dpkg -P cron jq libjq1 libonig5 nano
ls -d /etc/crontab /usr/bin/jq 2>&1
run dpkg --audit
run dpkg --verify
dpkg -l | awk 'NR > 5 { print $1, $2, $3 }' | sha256sum
find / -xdev -path /proc -prune -o -path /sys -prune -o -name '*.dpkg-*' -print
