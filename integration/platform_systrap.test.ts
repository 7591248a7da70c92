import { host } from '../lib/host.ts';
import { shippedFile } from '../native-addon/native.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import { createPlatform, stubName } from '../platforms/select.ts';
import { platformSuite } from './platform_suite.ts';

const O_RDONLY_CLOEXEC = 0o2000000;

describe('systrap', () => {
  platformSuite(() => {
    const procFd = host.openat(-100, '/proc', O_RDONLY_CLOEXEC);
    const stubFd = host.openat(-100, shippedFile(stubName('systrap')), O_RDONLY_CLOEXEC);
    return createPlatform('systrap', { host, poll: new HostPoll(host), procFd, stubFd });
  });
});
