import { ERANGE } from '../../../abi/errno.ts';
import * as L from '../../../abi/netlink.ts';
import { AF_INET } from '../../../abi/socket.ts';
import { NetlinkMessage } from '../../../lib/netlink_message.ts';
import { Stack } from '../../../netstack/stack.ts';
import { changeRule } from './rule_changes.ts';

const FIXED = { family: AF_INET, dst_len: 0, src_len: 0, tos: 0, table: 100, action: L.FR_ACT_TO_TBL, flags: 0 };

function add(attribute: number, name: string): number {
  const stack = new Stack({ now: () => 0, startTimer: () => () => {}, random: () => 0 });
  const message = new NetlinkMessage(L.RTM_NEWRULE, 0, L.FibRuleHdr.encode(FIXED)).attribute(attribute, Buffer.from(name, 'latin1'));
  return changeRule(stack, true, 0, message.encode(1, 1).subarray(L.Nlmsghdr.size));
}

describe.each([L.FRA_IIFNAME, L.FRA_OIFNAME])('the name in attribute %s of a rule', (attribute) => {
  test.each([
    ['eth0\0', 0],
    ['a'.repeat(15), 0],
    [`${'a'.repeat(15)}\0`, 0],
    ['a'.repeat(16), ERANGE],
    [`${'a'.repeat(16)}\0`, ERANGE],
    [`eth0\0${'a'.repeat(60_000)}`, ERANGE],
    ['', ERANGE],
  ])('case %#: is as long as a name can be', (name, expected) => expect(add(attribute, name)).toBe(expected));
});
