import { homeInPasswd } from './home.ts';

test('the home of a uid', () => {
  const passwd = 'root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:33::/var/www:/bin/sh\nempty:x:5:5::\n';
  expect([0, 33, 5, 7].map((uid) => homeInPasswd(passwd, uid))).toEqual(['/root', '/var/www', undefined, undefined]);
});
