# mergerfs over two directories; an archive as a directory.
exec 2>&1
cd /tmp; ln -sf /proc/self/mounts /etc/mtab
mkdir d1 d2 all z
echo 1 >d1/one; echo 2 >d2/two; mkdir d1/both d2/both; echo a >d1/both/a; echo b >d2/both/b
mergerfs -o category.create=ff,cache.files=off d1:d2 all || exit 1
ls -A all all/both; cat all/one all/two; echo new >all/new; ls d1 d2; mv all/two all/both/two; ls d2/both; rm all/one; ls -A d1
umount all; echo "unmounted $?"
mkdir in; echo packed >in/p; head -c 300000 /dev/zero >in/zeros; (cd in && zip -q ../a.zip p zeros)
fuse-zip a.zip z || exit 1
ls z; cat z/p; echo added >z/new; cmp z/zeros in/zeros && echo same; mkdir z/dir; rm z/p
umount z; for i in $(seq 100); do unzip -l a.zip 2>/dev/null | grep -q new && break; python3 -c "import zipfile; exit(0 if 'new' in zipfile.ZipFile('a.zip').namelist() else 1)" 2>/dev/null && break; sleep 0.1; done
python3 -c "import zipfile; z = zipfile.ZipFile('a.zip'); print(sorted(z.namelist()), z.read('new'))"
