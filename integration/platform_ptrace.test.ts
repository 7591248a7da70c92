import { host } from '../lib/host.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import { createPlatform, openSource } from '../platforms/select.ts';
import { platformSuite } from './platform_suite.ts';

const O_RDONLY_CLOEXEC = 0o2000000;

describe('ptrace', () => {
  platformSuite(() => {
    const procFd = host.openat(-100, '/proc', O_RDONLY_CLOEXEC);
    const sourceFd = openSource(host, 'ptrace', null);
    return createPlatform('ptrace', { host, poll: new HostPoll(host), procFd, sourceFd });
  });
});
