# apt-get update and install from a mirror that python's http.server gives out.
PORT=8089
serve() {
  mkdir -p "$WORK/build/DEBIAN" "$WORK/build/usr/share/greeting" "$WORK/repo"
  printf 'Package: greeting\nVersion: 1.2\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: says hello\n' >"$WORK/build/DEBIAN/control"
  noise 5 4 >"$WORK/build/usr/share/greeting/noise"
  cd "$WORK/repo"
  dpkg-deb -b "$WORK/build" greeting_1.2_all.deb >/dev/null
  {
    cat "$WORK/build/DEBIAN/control"
    printf 'Filename: ./greeting_1.2_all.deb\nSize: %s\nSHA256: %s\n\n' "$(stat -c %s ./*.deb)" "$(sha256sum ./*.deb | cut -d' ' -f1)"
  } >Packages
  gzip -k Packages
  {
    printf 'Origin: test\nSuite: test\nDate: %s\nSHA256:\n' "$(date -Ru)"
    for file in Packages Packages.gz; do printf ' %s %s %s\n' "$(sha256sum $file | cut -d' ' -f1)" "$(stat -c %s $file)" $file; done
  } >Release
  exec python3 "$INTEROP/python_server.py" $PORT
}
ask() {
  local apt=(apt-get -qq -o "Dir::Etc::SourceList=$WORK/list" -o Dir::Etc::SourceParts=/dev/null -o Acquire::http::Proxy=DIRECT
    -o Acquire::Languages=none -o "Dir::State::Lists=$WORK/lists" -o "Dir::Cache=$WORK/cache")
  mkdir -p "$WORK/lists/partial" "$WORK/cache/archives/partial"
  chmod -R a+rX "$WORK"
  echo "deb [trusted=yes] http://$(bracketed "$1"):$PORT ./" >"$WORK/list"
  "${apt[@]}" update
  apt-cache -o "Dir::State::Lists=$WORK/lists" -o "Dir::Etc::SourceList=$WORK/list" -o Dir::Etc::SourceParts=/dev/null policy greeting | grep Candidate
  DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y greeting >/dev/null
  sha256sum /usr/share/greeting/noise
  dpkg -s greeting | grep -E '^(Status|Version)'
  dpkg -P greeting >/dev/null
}
