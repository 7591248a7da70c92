import * as I from '../../../../abi/in.ts';
import * as S from '../../../../abi/socket.ts';
import { mayRead, mayWrite } from './host_options.ts';

test('what is not listed does not reach the host', () => {
  expect(mayWrite(I.IPPROTO_TCP, I.TCP_NODELAY)).toBe(true);
  expect(mayRead(I.IPPROTO_TCP, I.TCP_INFO)).toBe(true);
  expect(mayWrite(I.IPPROTO_TCP, I.TCP_INFO)).toBe(false);
  // Other devices, programs in the host's kernel, other protocols on top.
  for (const option of [S.SO_BINDTODEVICE, S.SO_ATTACH_FILTER, S.SO_ATTACH_BPF, S.SO_MARK, S.SO_PRIORITY]) {
    expect([mayWrite(S.SOL_SOCKET, option), mayRead(S.SOL_SOCKET, option)]).toEqual([false, false]);
  }
  for (const option of [I.TCP_ULP, I.TCP_REPAIR, I.TCP_CONGESTION]) expect(mayWrite(I.IPPROTO_TCP, option)).toBe(false);
  expect(mayWrite(I.IPPROTO_IP, I.IP_HDRINCL)).toBe(false);
  expect(mayWrite(255, 1)).toBe(false);
});
