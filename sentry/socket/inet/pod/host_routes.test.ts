import * as L from '../../../../abi/netlink.ts';
import { AF_INET, AF_INET6 } from '../../../../abi/socket.ts';
import { NetlinkMessage } from '../../../../lib/netlink_message.ts';
import { parseAddress, parseLink, parseNeighbour, parseRoute } from './host_routes.ts';

/** What follows the header of a message. */
const bodyOf = (message: NetlinkMessage): Uint8Array => message.encode(0, 0).subarray(L.Nlmsghdr.size);
const route = (more: Partial<Parameters<typeof L.Rtmsg.encode>[0]>): NetlinkMessage =>
  new NetlinkMessage(
    L.RTM_NEWROUTE,
    0,
    L.Rtmsg.encode({
      ...{ rtm_family: AF_INET, rtm_dst_len: 0, rtm_src_len: 0, rtm_tos: 0, rtm_table: L.RT_TABLE_MAIN, rtm_protocol: 3 },
      ...{ rtm_scope: 0, rtm_type: L.RTN_UNICAST, rtm_flags: 0 },
      ...more,
    }),
  );

test('links and addresses', () => {
  const link = new NetlinkMessage(
    L.RTM_NEWLINK,
    0,
    L.Ifinfomsg.encode({ ifi_family: 0, ifi_type: 1, ifi_index: 7, ifi_flags: 0x1043, ifi_change: 0 }),
  );
  link
    .text(L.IFLA_IFNAME, 'eth0')
    .u32(L.IFLA_MTU, 1450)
    .attribute(L.IFLA_ADDRESS, Uint8Array.of(2, 0, 0, 0, 0, 1));
  expect(parseLink(bodyOf(link))).toEqual({
    index: 7,
    type: 1,
    name: 'eth0',
    mtu: 1450,
    up: true,
    hardware: Uint8Array.of(2, 0, 0, 0, 0, 1),
  });
  const fixed = { ifa_family: AF_INET, ifa_prefixlen: 24, ifa_flags: 0x40, ifa_scope: 0, ifa_index: 7 };
  const address = new NetlinkMessage(L.RTM_NEWADDR, 0, L.Ifaddrmsg.encode(fixed));
  address
    .attribute(L.IFA_ADDRESS, Uint8Array.of(10, 0, 0, 9))
    .attribute(L.IFA_LOCAL, Uint8Array.of(10, 0, 0, 1))
    .u32(L.IFA_FLAGS, 0x08);
  expect(parseAddress(bodyOf(address))).toEqual({
    ...{ index: 7, address: '\x0a\0\0\x01', prefixLength: 24, broadcast: null, tentative: true, duplicate: true },
  });
  expect(parseAddress(bodyOf(new NetlinkMessage(L.RTM_NEWADDR, 0, L.Ifaddrmsg.encode(fixed))))).toBeNull();
});

test('routes: the tables that matter, of several next hops the first', () => {
  const plain = route({ rtm_dst_len: 16 })
    .attribute(L.RTA_DST, Uint8Array.of(10, 1, 0, 0))
    .u32(L.RTA_OIF, 7)
    .u32(L.RTA_PRIORITY, 5);
  expect(parseRoute(bodyOf(plain))).toMatchObject({ destination: '\x0a\x01\0\0', prefixLength: 16, gateway: null, index: 7, metric: 5 });
  const hop = Buffer.concat([
    new Uint8Array(Uint16Array.of(16, 0).buffer),
    new Uint8Array(Int32Array.of(3).buffer),
    Buffer.from([8, 0, 5, 0, 10, 0, 0, 1]),
  ]);
  const many = route({}).attribute(L.RTA_MULTIPATH, Buffer.concat([hop, hop]));
  expect(parseRoute(bodyOf(many))).toMatchObject({ destination: '\0\0\0\0', index: 3, gateway: '\x0a\0\0\x01' });
  expect(parseRoute(bodyOf(route({ rtm_type: L.RTN_LOCAL }).u32(L.RTA_OIF, 1)))).toBeNull();
  expect(parseRoute(bodyOf(route({ rtm_table: 100 }).u32(L.RTA_OIF, 1)))).toBeNull();
  expect(parseRoute(bodyOf(route({ rtm_flags: 0x200 }).u32(L.RTA_OIF, 1)))).toBeNull();
  expect(parseRoute(bodyOf(route({ rtm_family: AF_INET6 }).u32(L.RTA_OIF, 2)))?.destination).toHaveLength(16);
  expect(parseRoute(bodyOf(route({})))).toBeNull();
});

test('neighbours', () => {
  const fixed = { ndm_family: AF_INET, ndm_ifindex: 7, ndm_state: 0x80, ndm_flags: 0, ndm_type: 1 };
  const entry = new NetlinkMessage(L.RTM_NEWNEIGH, 0, L.Ndmsg.encode(fixed)).attribute(L.NDA_DST, Uint8Array.of(10, 0, 0, 1));
  expect(parseNeighbour(bodyOf(entry))).toEqual({ index: 7, address: '\x0a\0\0\x01', state: 0x80, hardware: null });
  entry.attribute(L.NDA_LLADDR, Uint8Array.of(2, 0, 0, 0, 0, 1));
  expect(parseNeighbour(bodyOf(entry))?.hardware).toEqual(Uint8Array.of(2, 0, 0, 0, 0, 1));
});
