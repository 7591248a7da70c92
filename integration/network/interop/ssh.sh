# OpenSSH: commands, files, a terminal, a forwarded port.
PORT=2222
serve() {
  mkdir -p /run/sshd /root/.ssh
  chmod 700 /root/.ssh
  cp "$INTEROP/id_test.pub" /root/.ssh/authorized_keys
  chown -R root:root /root
  chmod 600 /root/.ssh/authorized_keys
  ssh-keygen -q -t ed25519 -N '' -f "$WORK/host"
  printf 'HostKey %s/host\nPort %s\nUsePAM no\nPermitRootLogin yes\nPidFile none\nSubsystem sftp internal-sftp\nMaxStartups 100\n' "$WORK" $PORT >"$WORK/config"
  python3 -m http.server --bind 127.0.0.1 --directory "$INTEROP" 8086 >/dev/null 2>&1 &
  exec /usr/sbin/sshd -D -e -f "$WORK/config"
}
ask() {
  cp "$INTEROP/id_test" "$WORK/key"
  chmod 600 "$WORK/key"
  local options=(-q -i "$WORK/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes)
  remote() { ssh "${options[@]}" -p $PORT "$@"; }
  remote "root@$1" 'echo out; echo err >&2; exit 7' 2>&1 || echo "status $?"
  noise 4 4 >"$WORK/file"
  remote "root@$1" 'cat >/tmp/copied; sha256sum </tmp/copied' <"$WORK/file"
  remote "root@$1" 'cat /tmp/copied' | sha256sum
  scp "${options[@]}" -P $PORT "$WORK/file" "root@$(bracketed "$1"):/tmp/again"
  scp "${options[@]}" -P $PORT "root@$(bracketed "$1"):/tmp/again" "$WORK/back"
  cmp "$WORK/file" "$WORK/back" && echo 'scp: the same'
  remote -tt "root@$1" 'stty size >/dev/null && tty | grep -o /dev/pts' </dev/null | tr -d '\r'
  ssh "${options[@]}" -p $PORT -N -L 8087:127.0.0.1:8086 "root@$1" &
  local tunnel=$!
  await 127.0.0.1 8087
  for _ in 1 2 3; do curl -sS http://127.0.0.1:8087/ssh.sh | head -n 1; done
  kill $tunnel
  for i in 1 2 3 4 5; do remote "root@$1" "echo parallel $i" & done | sort
}
