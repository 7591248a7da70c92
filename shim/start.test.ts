import { bootstrap } from './start.ts';

test('the answer to start is a plain address unless something else than Task v2 over ttrpc is asked for', () => {
  expect(bootstrap({ taskApi: 2, protocol: 'ttrpc' }, '/s')).toBe('unix:///s');
  expect(JSON.parse(bootstrap({ taskApi: 3, protocol: 'ttrpc' }, '/s'))).toEqual({ version: 3, address: 'unix:///s', protocol: 'ttrpc' });
  expect(JSON.parse(bootstrap({ taskApi: 2, protocol: 'grpc' }, '/s'))).toEqual({ version: 2, address: '/s', protocol: 'grpc' });
});
