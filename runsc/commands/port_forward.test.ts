import { parsePlace } from './port_forward.ts';

test('forms of a place', () => {
  expect(parsePlace('80')).toEqual({ address: '127.0.0.1', local: 80, port: 80 });
  expect(parsePlace('8080:80')).toEqual({ address: '127.0.0.1', local: 8080, port: 80 });
  expect(parsePlace('0.0.0.0:0:80')).toEqual({ address: '0.0.0.0', local: 0, port: 80 });
  expect(parsePlace('[::1]:8080:80')).toEqual({ address: '::1', local: 8080, port: 80 });
  for (const wrong of ['', 'x', '80:', ':80', '0', '70000', '1:2:3:4', '80:http'])
    expect(() => parsePlace(wrong)).toThrow('is not of the form');
});
