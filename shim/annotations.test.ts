import { annotationSettings } from './annotations.ts';

test('annotations set what the options allow', () => {
  const given = { 'dev.tsvisor.platform': 'ptrace', 'dev.tsvisor.strace': 'true', 'io.kubernetes.cri.sandbox-id': 'x' };
  expect(annotationSettings(given, ['platform', 'strace'])).toEqual({ platform: 'ptrace', strace: true });
  expect(annotationSettings({}, [])).toEqual({});
});

test('what is not allowed, or wrong, is an error that names it', () => {
  expect(() => annotationSettings({ 'dev.tsvisor.network': 'host' }, ['platform'])).toThrow(/dev\.tsvisor\.network is not allowed/);
  expect(() => annotationSettings({ 'dev.tsvisor.platform': 'vmware' }, ['platform'])).toThrow(/dev\.tsvisor\.platform.*must be one of/);
});
