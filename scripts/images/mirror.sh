#!/usr/bin/env bash
# Prints "URL SUITE" of the Debian mirror that this machine's own apt is set up with.
set -euo pipefail
. /etc/os-release
suite=${VERSION_CODENAME:?"not a released Debian"}
[ "${ID:-}" = debian ] || { echo "mirror.sh: this machine is ${ID:-unknown}, not Debian" >&2; exit 1; }
shopt -s nullglob
# The deb822 form: a stanza whose Suites hold exactly the code name; then the one-line form.
for file in /etc/apt/sources.list.d/*.sources; do
  url=$(awk -v suite="$suite" '
    function finish() { if (found && uri != "") { print uri; exit } ; found = 0; uri = "" }
    /^[ \t]*$/ { finish(); next }
    tolower($1) == "uris:" { uri = $2 }
    tolower($1) == "suites:" { for (i = 2; i <= NF; i++) if ($i == suite) found = 1 }
    END { finish() }' "$file" | head -n 1)
  [ -z "$url" ] || { echo "$url $suite"; exit 0; }
done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -f "$file" ] || continue
  url=$(sed -n 's/^deb[ \t]\+\(\[[^]]*\][ \t]*\)\?//p' "$file" | awk -v suite="$suite" '$2 == suite { print $1; exit }')
  [ -z "$url" ] || { echo "$url $suite"; exit 0; }
done
echo "mirror.sh: no apt source for $suite on this machine" >&2
exit 1
