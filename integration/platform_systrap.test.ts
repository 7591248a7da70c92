import { host } from '../lib/host.ts';
import { HostPoll } from '../platforms/host_poll.ts';
import type { Platform } from '../platforms/platform.ts';
import { createPlatform, openSource } from '../platforms/select.ts';
import { exceptionsSuite } from './exceptions_suite.ts';
import { platformSuite } from './platform_suite.ts';

const O_RDONLY_CLOEXEC = 0o2000000;

function create(): Platform {
  const procFd = host.openat(-100, '/proc', O_RDONLY_CLOEXEC);
  return createPlatform('systrap', { host, poll: new HostPoll(host), procFd, sourceFd: openSource(host, 'systrap', null) });
}

describe('systrap', () => platformSuite(create));
describe('systrap: exceptions', () => exceptionsSuite(create));
