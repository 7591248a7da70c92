/** Pods as a kubelet makes them, on each containerd that there is. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../containerd/containerd.ts';
import { majorOf, OTHER_VERSIONS, type Version } from '../containerd/versions.ts';
import { type ContainerStats, CREATED, EXITED, NODE, RUNNING, TARGET } from './cri.ts';
import { RemoteStreams } from './streams.ts';
import { CriWorld, lacking, type Pod } from './world.ts';

const CASES: readonly { version: Version; sandboxer?: 'shim' }[] = [
  { version: 'system' },
  ...OTHER_VERSIONS.map((version) => ({ version })),
  ...OTHER_VERSIONS.filter((v) => majorOf(v) >= 2).map((version) => ({ version, sandboxer: 'shim' as const })),
];
const sh = (script: string): string[] => ['sh', '-c', script];
/** Runs until it is told to end, as a server does. */
const SERVER = sh('trap "echo ending; exit 3" TERM; echo up; while :; do sleep 0.1; done');

for (const { version, sandboxer } of CASES) {
  const suite = lacking(version).length === 0 ? describe : describe.skip;
  suite(`CRI of containerd ${version}${sandboxer === undefined ? '' : ', pods by the shim'}`, () => {
    let world: CriWorld;
    let pod: Pod;
    beforeAll(async () => {
      world = await CriWorld.start(version, { ...(sandboxer === undefined ? {} : { sandboxer }) });
      pod = await world.runPod();
    }, 120_000);
    afterAll(async () => {
      await world?.stop();
    }, 120_000);

    test('the life of a container: created, running, stopped with a grace period, removed; its log', async () => {
      const { cri } = world;
      const id = await world.create(pod, { name: 'server', command: SERVER });
      expect((await cri.status(id)).state).toBe(CREATED);
      await cri.call('StartContainer', { container_id: id });
      expect((await cri.status(id)).state).toBe(RUNNING);
      expect(await eventually(() => world.log(pod, 'server') === 'up')).toBe(true);
      await cri.call('StopContainer', { container_id: id, timeout: 10 });
      expect(await cri.status(id)).toMatchObject({ state: EXITED, exit_code: 3 });
      expect(world.log(pod, 'server')).toBe('up\nending');
      await cri.call('RemoveContainer', { container_id: id });
      await expect(cri.status(id)).rejects.toThrow('not found');
    }, 60_000);

    test('one that does not listen is killed when its grace is over; others run on', async () => {
      const { cri } = world;
      const deaf = await world.run(pod, { command: sh('trap "" TERM; while :; do sleep 0.1; done') });
      const other = await world.run(pod, { command: SERVER });
      await cri.call('StopContainer', { container_id: deaf, timeout: 1 });
      expect(await cri.status(deaf)).toMatchObject({ state: EXITED, exit_code: 137 });
      expect((await cri.status(other)).state).toBe(RUNNING);
      await cri.call('RemoveContainer', { container_id: deaf });
      await cri.call('StopContainer', { container_id: other, timeout: 5 });
      await cri.call('RemoveContainer', { container_id: other });
    }, 60_000);

    test('ExecSync: output, status, timeout; a hundred probes leave nothing', async () => {
      const { cri } = world;
      const id = await world.run(pod, { command: ['sleep', '100000'] });
      expect(await cri.execSync(id, sh('echo out; echo err >&2; exit 4'))).toEqual({ stdout: 'out\n', stderr: 'err\n', exit_code: 4 });
      await expect(cri.execSync(id, ['sleep', '100'], 1)).rejects.toThrow(/timeout/i);
      // By the shell itself: of a pipeline's processes one may see the other or not.
      const inside = async (): Promise<string> => (await cri.execSync(id, sh('set -- /proc/[0-9]*; echo $#'))).stdout;
      const before = await inside();
      for (let i = 0; i < 10; i++) {
        const probes = Array.from({ length: 10 }, (_, n) => cri.execSync(id, sh(`exit ${n}`)));
        expect((await Promise.all(probes)).map((r) => r.exit_code)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      }
      expect(await inside()).toBe(before);
      await cri.call('StopContainer', { container_id: id, timeout: 0 });
      await cri.call('RemoveContainer', { container_id: id });
    }, 120_000);

    test('Exec and Attach: input, output, terminals', async () => {
      const { cri } = world;
      const id = await world.run(pod, { command: sh('echo ready; while read -r l; do echo "got $l"; done'), config: { stdin: true } });
      const plain = await cri.call<{ url: string }>('Exec', {
        container_id: id,
        cmd: sh('cat; exit 6'),
        stdin: true,
        stdout: true,
        stderr: true,
      });
      const exec = await RemoteStreams.open(plain.url);
      exec.send('through the websocket\n');
      await exec.until((s) => s.stdout === 'through the websocket\n', 'echo');
      exec.close();
      const tty = await cri.call<{ url: string }>('Exec', { container_id: id, cmd: ['sh'], stdin: true, stdout: true, tty: true });
      const terminal = await RemoteStreams.open(tty.url);
      await terminal.until((s) => /[#$] /.test(s.stdout), 'a prompt');
      terminal.resize(33, 99);
      terminal.send('sleep 0.2; stty size; tty; exit 9\n');
      await terminal.until((s) => s.error !== '', 'the end');
      expect(terminal.stdout).toContain('33 99');
      expect(terminal.stdout).toContain('/dev/pts/');
      expect(terminal.exitStatus).toBe(9);
      const attach = await RemoteStreams.open(
        (await cri.call<{ url: string }>('Attach', { container_id: id, stdin: true, stdout: true, stderr: true })).url,
      );
      attach.send('hello\n');
      await attach.until((s) => s.stdout.includes('got hello'), 'the answer');
      attach.close();
      await cri.call('StopContainer', { container_id: id, timeout: 0 });
      await cri.call('RemoveContainer', { container_id: id });
    }, 90_000);

    test('stats of one and of all; limits change while it runs', async () => {
      const { cri } = world;
      const limits = { memory_limit_in_bytes: 256 << 20, cpu_period: 100_000, cpu_quota: 50_000, cpu_shares: 512 };
      const id = await world.run(pod, {
        command: SERVER,
        linux: { resources: limits, security_context: { namespace_options: { pid: 1 } } },
      });
      const { stats } = await cri.call<{ stats: ContainerStats }>('ContainerStats', { container_id: id });
      expect(stats.attributes.id).toBe(id);
      expect(stats.memory?.usage_bytes?.value ?? stats.memory?.working_set_bytes?.value).toBeGreaterThan(0);
      expect(stats.cpu?.usage_core_nano_seconds.value).toBeGreaterThan(0);
      // What the program holds counts, not only what serves it.
      const used = async () =>
        (await cri.call<{ stats: ContainerStats }>('ContainerStats', { container_id: id })).stats.memory?.usage_bytes?.value ?? 0;
      const before = await used();
      const holding = cri.execSync(id, sh('head -c 60000000 /dev/zero | tail -c 60000000 | (sleep 3; wc -c)'));
      expect(await eventuallyAsync(async () => (await used()) > before + (40 << 20))).toBe(true);
      await holding;
      const told = world.containerd.ctr(['-n', 'k8s.io', 'tasks', 'metrics', '--format', 'json', id]);
      const { network } = JSON.parse(told.stdout) as { network: { name: string; tx_packets?: number; rx_packets?: number }[] };
      expect(network.map(({ name }) => name)).toEqual(['eth0']);
      expect((network[0]?.rx_packets ?? 0) + (network[0]?.tx_packets ?? 0)).toBeGreaterThan(0);
      const all = await cri.call<{ stats: ContainerStats[] }>('ListContainerStats');
      expect(all.stats.map((s) => s.attributes.id)).toContain(id);
      const group = (controller: string, file: string): string => readFileSync(cgroupOf(id, controller, file), 'utf8').trim();
      expect(group('memory', 'memory.limit_in_bytes')).toBe(String(256 << 20));
      // Where a kubelet looks.
      expect(cgroupOf(id, 'memory', '')).toBe(join('/sys/fs/cgroup/memory', pod.config.linux.cgroup_parent, id));
      await cri.call('UpdateContainerResources', {
        container_id: id,
        linux: { ...limits, memory_limit_in_bytes: 384 << 20, cpu_quota: 80_000 },
      });
      expect(group('memory', 'memory.limit_in_bytes')).toBe(String(384 << 20));
      expect(group('cpu', 'cpu.cfs_quota_us')).toBe('80000');
      await cri.call('StopContainer', { container_id: id, timeout: 5 });
      await cri.call('RemoveContainer', { container_id: id });
    }, 60_000);

    test('volumes are one for all containers: on disk and in memory', async () => {
      const disk = join(world.containerd.folder, 'volume');
      const memory = join(world.containerd.folder, 'memory');
      for (const folder of [disk, memory]) mkdirSync(folder, { recursive: true });
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', memory]);
      try {
        const mounts = [
          { container_path: '/disk', host_path: disk },
          { container_path: '/memory', host_path: memory },
        ];
        const writer = await world.run(pod, { command: SERVER, config: { mounts } });
        const reader = await world.run(pod, {
          command: SERVER,
          config: { mounts: mounts.map((m) => ({ ...m, readonly: m.container_path === '/disk' })) },
        });
        for (const place of ['/disk', '/memory']) {
          const wrote = await world.cri.execSync(
            writer,
            sh(`echo first >${place}/f; echo second >>${place}/f; mkdir ${place}/d; mv ${place}/f ${place}/d/g`),
          );
          expect(wrote).toMatchObject({ exit_code: 0, stderr: '' });
          expect((await world.cri.execSync(reader, sh(`cat ${place}/d/g; ls ${place}`))).stdout).toBe('first\nsecond\nd\n');
          await world.cri.execSync(writer, sh(`echo third >${place}/d/g`));
          expect((await world.cri.execSync(reader, ['cat', `${place}/d/g`])).stdout).toBe('third\n');
        }
        writeFileSync(join(disk, 'host'), 'of the host');
        expect((await world.cri.execSync(reader, ['cat', '/disk/host'])).stdout).toBe('of the host');
        expect((await world.cri.execSync(reader, ['touch', '/disk/x'])).exit_code).toBe(1);
        for (const id of [writer, reader]) {
          await world.cri.call('StopContainer', { container_id: id, timeout: 5 });
          await world.cri.call('RemoveContainer', { container_id: id });
        }
      } finally {
        execFileSync('umount', ['-l', memory]);
      }
    }, 60_000);

    test('init containers, sidecars, and a container that is made again while the others run', async () => {
      const own = await world.runPod({ hostname: 'named' });
      const first = await world.run(own, { name: 'init', command: sh('hostname; exit 0') });
      expect(await world.ended(first)).toBe(0);
      expect(world.log(own, 'init')).toBe('named');
      const sidecar = await world.run(own, { name: 'sidecar', command: SERVER });
      for (const attempt of [0, 1, 2]) {
        const main = await world.run(own, { name: 'main', attempt, command: sh(`exit ${attempt + 1}`) });
        expect(await world.ended(main)).toBe(attempt + 1);
        await world.cri.call('RemoveContainer', { container_id: main });
      }
      expect((await world.cri.status(sidecar)).state).toBe(RUNNING);
      await world.removePod(own.id);
    }, 60_000);

    test('processes are shared as the pod says', async () => {
      const shared = await world.runPod({ linux: { security_context: { namespace_options: { pid: 0 } } } });
      const podPid = { security_context: { namespace_options: { pid: 0 } } };
      const one = await world.run(shared, { command: ['sleep', '1234'], linux: podPid });
      const two = await world.run(shared, { command: ['sleep', '4321'], linux: podPid });
      const seen = (await world.cri.execSync(two, sh('cat /proc/[0-9]*/cmdline | tr "\\0" " "'))).stdout;
      expect(seen).toContain('sleep 1234');
      expect(seen).toContain('sleep 4321');
      await world.cri.call('StopContainer', { container_id: one, timeout: 0 });
      const alone = await world.run(shared, { command: SERVER });
      expect((await world.cri.execSync(alone, sh('cat /proc/[0-9]*/cmdline | tr "\\0" " "'))).stdout).not.toContain('sleep 4321');
      const target = { security_context: { namespace_options: { pid: TARGET, target_id: alone } } };
      const debug = await world.run(shared, { command: SERVER, linux: target });
      // The pod's processes have one pid on the host: whoever is aimed at, all of the pod is seen.
      expect((await world.cri.execSync(debug, sh('cat /proc/[0-9]*/cmdline | tr "\\0" " "'))).stdout).toContain('sleep 4321');
      await world.removePod(shared.id);
    }, 60_000);

    test('seccomp and AppArmor fields are taken; privileges over the host are refused in words', async () => {
      const profiles = { seccomp: { profile_type: 0 }, apparmor: { profile_type: 1 } };
      const id = await world.run(pod, {
        command: sh('exit 5'),
        linux: { security_context: { ...profiles, namespace_options: { pid: 1 } } },
      });
      expect(await world.ended(id)).toBe(5);
      await world.cri.call('RemoveContainer', { container_id: id });
      await expect(world.runPod({ linux: { security_context: { namespace_options: { pid: NODE } } } })).rejects.toThrow(/hostPID/);
      const privileged = await world.runPod({ linux: { security_context: { privileged: true } } }).catch((e: Error) => e.message);
      if (typeof privileged === 'string') expect(privileged).toMatch(/privileged/);
      else {
        const security = { privileged: true, namespace_options: { pid: 1 } };
        await expect(world.run(privileged, { command: SERVER, linux: { security_context: security } })).rejects.toThrow(/privileged/);
        await world.removePod(privileged.id);
      }
    }, 60_000);

    test('port-forward reaches a server on the loopback of the pod; pods on the network of the host', async () => {
      const page = (text: string) => sh(`mkdir /www; echo ${text} >/www/index.html; exec httpd -f -p 127.0.0.1:8080 -h /www`);
      const id = await world.run(pod, { command: page('forwarded') });
      expect(
        await eventuallyAsync(
          async () => (await world.cri.execSync(id, ['wget', '-qO-', 'http://127.0.0.1:8080/'])).stdout === 'forwarded\n',
        ),
      ).toBe(true);
      const { url } = await world.cri.call<{ url: string }>('PortForward', { pod_sandbox_id: pod.id, port: [8080] });
      const forward = await RemoteStreams.open(`${url}?port=8080`, 'v4.channel.k8s.io');
      forward.send('GET / HTTP/1.0\r\n\r\n', 0);
      await forward.until((s) => s.forwarded.includes('forwarded\n'), 'the page');
      forward.close();
      await world.cri.call('StopContainer', { container_id: id, timeout: 0 });
      await world.cri.call('RemoveContainer', { container_id: id });

      if (sandboxer === 'shim') return; // containerd 2.1.9 itself crashes on pods of the host's network that a shim makes
      const onHost = await world.runPod({ linux: { security_context: { namespace_options: { network: NODE } } } });
      const inHost = { security_context: { namespace_options: { network: NODE, pid: 1 } } };
      const seen = await world.run(onHost, { command: ['sleep', '1000'], linux: inHost });
      expect((await world.cri.execSync(seen, sh('ls /sys/class/net; ip -o link'))).stdout).toContain('lo');
      await world.removePod(onHost.id);
    }, 90_000);

    test('nothing is left of pods that are gone', async () => {
      await world.removePod(pod.id);
      await world.settled();
      expect(world.leftovers()).toEqual([]);
    }, 60_000);
  });
}

async function eventuallyAsync(check: () => Promise<boolean>): Promise<boolean> {
  for (const end = Date.now() + 10_000; Date.now() < end; await new Promise((r) => setTimeout(r, 50))) if (await check()) return true;
  return check();
}

function cgroupOf(id: string, controller: string, file: string): string {
  const found = execFileSync('find', [`/sys/fs/cgroup/${controller}`, '-type', 'd', '-name', id], { encoding: 'utf8' }).trim();
  return join(found.split('\n')[0] as string, file);
}
