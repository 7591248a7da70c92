import { MS_NODEV, MS_NOSUID, MS_RDONLY } from '../vfs/path.ts';
import { parseMountOptions } from './mount_options.ts';

test.each([
  [['nosuid', 'nodev', 'mode=755', 'size=65536k'], MS_NOSUID | MS_NODEV, 'mode=755,size=65536k'],
  [['rbind', 'rprivate', 'ro'], MS_RDONLY, ''],
  [['ro', 'rw', 'rnosuid'], MS_NOSUID, ''],
  [['newinstance', 'ptmxmode=0666', 'gid=5'], 0, 'newinstance,ptmxmode=0666,gid=5'],
])('%s', (options, flags, data) => {
  expect(parseMountOptions(options)).toMatchObject({ flags, data });
});
