import { parseOverlay2 } from './overlay_setting.ts';

test('scopes, media and sizes', () => {
  expect(parseOverlay2('none')).toMatchObject({ root: false, all: false });
  expect(parseOverlay2('root:memory')).toEqual({ root: true, all: false, medium: 'memory', dir: '', size: 0 });
  expect(parseOverlay2('all:self,size=2g')).toEqual({ root: true, all: true, medium: 'self', dir: '', size: 2 * 1024 ** 3 });
  expect(parseOverlay2('root:dir=/var/tmp,size=100')).toEqual({ root: true, all: false, medium: 'dir', dir: '/var/tmp', size: 100 });
});

test('what it is not', () => {
  for (const text of ['', 'root', 'root:', 'some:memory', 'root:dir=relative', 'root:self,size=', 'root:self,size=9999999999999t']) {
    expect(parseOverlay2(text)).toBeNull();
  }
});
