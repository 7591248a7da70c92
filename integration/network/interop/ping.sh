# ping, tracepath and traceroute in its three ways: nobody serves, the stack answers.
PORT=8088
serve() { exec python3 -m http.server --bind :: $PORT; }
ask() {
  ping -n -q -c 5 -i 0.05 "$1" | grep -Eo '[0-9]+ packets transmitted, [0-9]+ received, 0% packet loss'
  ping -n -q -c 3 -i 0.05 -s 20000 "$1" | grep -Eo '[0-9]+ received, 0% packet loss'
  ping -n -q -c 1 -M do -s 1400 "$1" | grep -Eo '[0-9]+ received'
  ping -n -q -f -c 300 "$1" | grep -Eo '[0-9]+ received'
  local way
  for way in '' '-I' "-T -p $PORT"; do
    # shellcheck disable=SC2086
    traceroute -n -q 1 $way "$1" | tail -n 1 | grep -Eo "^ 1 +$1 " | wc -l
  done
  tracepath -n "$1" | sed -n 's/.*Resume: pmtu [0-9]* \(hops.*\)/\1/p'
}
