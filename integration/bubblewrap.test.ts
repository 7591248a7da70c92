/** bwrap in the sandbox: a container in the container, as Flatpak and build tools make it. */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const RUNSC = join(resolve(__dirname, '..'), 'bin/runsc');
const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap,ptrace').split(',');
const lacks = spawnSync('sh', ['-c', 'command -v bwrap']).status !== 0;

function bwrap(platform: string, ...args: string[]) {
  const { stdout, stderr, status } = spawnSync(RUNSC, [`--platform=${platform}`, 'do', '--', 'bwrap', ...args], {
    encoding: 'latin1',
    timeout: 60_000,
    input: '',
  });
  return { stdout, stderr, status };
}

(lacks ? describe.skip : describe).each(PLATFORMS)('on %s', (platform) => {
  test('every namespace is its own', () => {
    expect(bwrap(platform, '--unshare-all', '--ro-bind', '/', '/', 'true')).toEqual({ stdout: '', stderr: '', status: 0 });
  }, 70_000);

  test('its network has lo alone, which works', () => {
    const script =
      "cat /proc/net/if_inet6 | awk '{ print $1, $6 }'; touch /tmp/x && echo wrote; touch /etc/x 2>/dev/null || echo read-only; echo $$";
    const args = ['--unshare-all', '--ro-bind', '/', '/', '--tmpfs', '/tmp', '--dev', '/dev', 'sh', '-c', script];
    const { stdout, stderr, status } = bwrap(platform, ...args);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    expect(stdout).toBe('00000000000000000000000000000001 lo\nwrote\nread-only\n2\n');
  }, 70_000);
});
