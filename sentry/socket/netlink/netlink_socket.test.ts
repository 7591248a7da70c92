import { EAGAIN, ENODEV, EPROTONOSUPPORT } from '../../../abi/errno.ts';
import * as L from '../../../abi/netlink.ts';
import { AF_NETLINK, MSG_DONTWAIT, SOCK_RAW } from '../../../abi/socket.ts';
import { NetlinkMessage, parseAttributes } from '../../../lib/netlink_message.ts';
import { FileMachine, type FileUser } from '../../testing/fake_files.ts';

interface Answer {
  readonly type: number;
  readonly body: Buffer;
}

function ask(u: FileUser, fd: number, type: number, flags: number, body: Uint8Array): Answer[] {
  const request = new NetlinkMessage(type, L.NLM_F_REQUEST | flags, body).encode(42, 0);
  expect(u.call('sendto', fd, request, request.length, 0, 0, 0)).toBe(request.length);
  const answers: Answer[] = [];
  const at = u.memory.place(8192);
  for (;;) {
    const n = u.call('recvfrom', fd, at, 8192, MSG_DONTWAIT, 0, 0);
    if (n === EAGAIN) return answers;
    const bytes = Buffer.from(u.memory.slice(at, n));
    for (let i = 0; i < n; ) {
      const header = L.Nlmsghdr.decode(bytes.subarray(i));
      expect(header).toMatchObject({ nlmsg_seq: 42, nlmsg_pid: u.task.pid });
      answers.push({ type: header.nlmsg_type, body: bytes.subarray(i + 16, i + header.nlmsg_len) });
      i += (header.nlmsg_len + 3) & ~3;
    }
  }
}

test('what getifaddrs(3) asks: links and addresses of lo', () => {
  const u = new FileMachine().user();
  const fd = u.call('socket', AF_NETLINK, SOCK_RAW, L.NETLINK_ROUTE);
  const links = ask(u, fd, L.RTM_GETLINK, L.NLM_F_DUMP, Uint8Array.of(0));
  expect(links.map((a) => a.type)).toEqual([L.RTM_NEWLINK, L.NLMSG_DONE]);
  const link = links[0] as Answer;
  expect(L.Ifinfomsg.decode(link.body)).toMatchObject({ ifi_index: 1, ifi_type: 772, ifi_flags: 0x10049 });
  expect(Buffer.from(parseAttributes(link.body.subarray(16)).get(L.IFLA_IFNAME) ?? []).toString()).toBe('lo\0');
  const addresses = ask(u, fd, L.RTM_GETADDR, L.NLM_F_DUMP, Uint8Array.of(2));
  expect(addresses.map((a) => a.type)).toEqual([L.RTM_NEWADDR, L.NLMSG_DONE]);
  expect([...(parseAttributes((addresses[0] as Answer).body.subarray(8)).get(L.IFA_LOCAL) ?? [])]).toEqual([127, 0, 0, 1]);
  expect(ask(u, fd, L.RTM_GETADDR, L.NLM_F_DUMP, Uint8Array.of(0))).toHaveLength(3);
  expect(ask(u, fd, L.RTM_GETROUTE, L.NLM_F_DUMP, Uint8Array.of(0)).map((a) => a.type)).toEqual([L.NLMSG_DONE]);
});

test('the same by ioctl, on any socket', () => {
  const u = new FileMachine().user();
  const fd = u.call('socket', 1, 2, 0);
  const request = u.memory.place(Buffer.from('lo'.padEnd(40, '\0')));
  const ask = (command: number): number => u.call('ioctl', fd, command, request);
  expect([ask(0x8933), u.memory.i32(request + 16)]).toEqual([0, 1]); // SIOCGIFINDEX
  expect([ask(0x8915), [...u.memory.slice(request + 20, 4)]]).toEqual([0, [127, 0, 0, 1]]); // SIOCGIFADDR
  expect([ask(0x891b), [...u.memory.slice(request + 20, 4)]]).toEqual([0, [255, 0, 0, 0]]); // SIOCGIFNETMASK
  expect([ask(0x8913), u.memory.u32(request + 16) & 0xffff]).toEqual([0, 0x49]); // SIOCGIFFLAGS
  const conf = u.memory.place(16);
  u.memory.view.setInt32(conf - 0x10000, 400, true);
  u.memory.view.setBigUint64(conf - 0x10000 + 8, BigInt(u.memory.place(400)), true);
  expect([u.call('ioctl', fd, 0x8912, conf), u.memory.i32(conf)]).toEqual([0, 40]); // SIOCGIFCONF
  const other = u.memory.place(Buffer.from('eth7'.padEnd(40, '\0')));
  expect(u.call('ioctl', fd, 0x8933, other)).toBe(ENODEV);
});

test('one link by number, errors, acknowledgements, names', () => {
  const u = new FileMachine().user();
  const fd = u.call('socket', AF_NETLINK, SOCK_RAW, L.NETLINK_ROUTE);
  const body = (index: number): Uint8Array =>
    L.Ifinfomsg.encode({ ifi_family: 0, ifi_type: 0, ifi_index: index, ifi_flags: 0, ifi_change: 0 });
  expect(ask(u, fd, L.RTM_GETLINK, 0, body(1)).map((a) => a.type)).toEqual([L.RTM_NEWLINK]);
  const [error] = ask(u, fd, L.RTM_GETLINK, 0, body(9)) as [Answer];
  expect([error.type, error.body.readInt32LE(0)]).toEqual([L.NLMSG_ERROR, ENODEV]);
  expect(ask(u, fd, L.RTM_GETLINK, L.NLM_F_ACK, body(1)).map((a) => a.type)).toEqual([L.RTM_NEWLINK, L.NLMSG_ERROR]);
  expect(u.call('socket', AF_NETLINK, SOCK_RAW, 9)).toBe(EPROTONOSUPPORT);
  const second = u.call('socket', AF_NETLINK, SOCK_RAW, 0);
  const at = u.memory.place(12);
  const room = u.memory.place(Uint8Array.of(12, 0, 0, 0));
  u.call('bind', second, Uint8Array.of(16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 12);
  expect(u.call('getsockname', second, at, room)).toBe(0);
  expect(L.SockaddrNl.decode(u.memory.slice(at, 12)).nl_pid).toBe(0xffff_f000);
});
