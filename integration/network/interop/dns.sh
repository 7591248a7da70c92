# dnsmasq; dig over UDP and TCP, and the resolver of the C library.
PORT=5353
serve() {
  {
    printf 'no-resolv\nno-hosts\nport=%s\nuser=root\npid-file=\naddress=/box.example/192.0.2.7\naddress=/box.example/2001:db8::7\nmx-host=example,mail.example,10\n' $PORT
    for i in $(seq 40); do echo "txt-record=large.example,\"$(printf 'x%.0s' $(seq 60))$i\""; done
  } >"$WORK/conf"
  exec dnsmasq -k -C "$WORK/conf"
}
ask() {
  question() { dig -p $PORT "@$1" +time=5 +tries=2 "${@:2}"; }
  question "$1" +short box.example A box.example AAAA
  question "$1" +short example MX
  question "$1" +tcp +short box.example A
  # Too long for a datagram of 512 bytes: asked again over TCP.
  question "$1" +noedns large.example TXT | grep -Ec '^large.example.*TXT'
  question "$1" +bufsize=4096 +ignore large.example TXT | grep -Ec '^large.example.*TXT'
  question "$1" nothing.test | grep -o 'status: [A-Z]*'
  for i in $(seq 20); do question "$1" +short "n$i.box.example" A & done | sort | uniq -c | tr -s ' '
}
