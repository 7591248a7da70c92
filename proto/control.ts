/** The control protocol's messages; the comments are in control.proto, and control.test.ts compares the two. */
import { bool, bytes, type Infer, message, repeated, string, uint } from '../lib/ttrpc/message.ts';

export const CONTROL_SERVICE = 'tsvisor.control.v1.Control';
/** Most descriptors that a request may carry. */
export const MAX_REQUEST_FDS = 64;

export const Empty = message('Empty', {});
export const IdMapping = message('IdMapping', { from: [1, uint], to: [2, uint], count: [3, uint] });
export type IdMapping = Infer<typeof IdMapping>;
export const MountMessage = message('Mount', {
  destination: [1, string],
  type: [2, string],
  source: [3, string],
  options: [4, repeated(string)],
  attach: [5, string],
  file: [6, bool],
  shared: [7, bool],
  overlay: [8, bool],
  store: [9, string],
  overlay_size: [10, uint],
  uid_mappings: [11, repeated(IdMapping)],
  gid_mappings: [12, repeated(IdMapping)],
});
export type MountMessage = Infer<typeof MountMessage>;
export const CreateRequest = message('CreateRequest', {
  container_id: [1, string],
  spec: [2, bytes],
  mounts: [3, repeated(MountMessage)],
  gofer_fd: [4, uint],
  exit_fd: [5, uint],
  stdin_fd: [6, uint],
  stdout_fd: [7, uint],
  stderr_fd: [8, uint],
  extra_fds: [9, repeated(uint)],
  terminal: [10, bool],
  rows: [11, uint],
  columns: [12, uint],
  pid_namespace_of: [13, string],
  root_container: [14, bool],
  cgroup_path: [15, string],
  life_fd: [16, uint],
  packet_fds: [17, repeated(uint)],
  route_fd: [18, uint],
  network_settings: [19, bytes],
  sockets_fd: [20, uint],
  egress_log_fd: [21, uint],
  capture_fd: [22, uint],
  cgroup_fds: [23, repeated(uint)],
  memory_stat_fd: [24, uint],
  oom_fd: [25, uint],
});
export type CreateRequest = Infer<typeof CreateRequest>;
export const ContainerRequest = message('ContainerRequest', { container_id: [1, string] });
export const ProcessRequest = message('ProcessRequest', { container_id: [1, string], exec_id: [2, string] });
export const ProcessId = message('ProcessId', { pid: [1, uint] });
export const ExecRequest = message('ExecRequest', {
  container_id: [1, string],
  exec_id: [2, string],
  process: [3, bytes],
  stdin_fd: [4, uint],
  stdout_fd: [5, uint],
  stderr_fd: [6, uint],
  terminal: [7, bool],
  rows: [8, uint],
  columns: [9, uint],
  tether_fd: [10, uint],
  before_start: [11, bool],
  extra_fds: [12, repeated(uint)],
});
export type ExecRequest = Infer<typeof ExecRequest>;
export const SignalRequest = message('SignalRequest', {
  container_id: [1, string],
  exec_id: [2, string],
  signal: [3, uint],
  all: [4, bool],
});
export const WaitResponse = message('WaitResponse', { exit_code: [1, uint], exited_at: [2, uint] });
export const StateResponse = message('StateResponse', { status: [1, string] });
export const ProcessMessage = message('Process', {
  pid: [1, uint],
  ppid: [2, uint],
  uid: [3, uint],
  started_at: [4, uint],
  cpu_time: [5, uint],
  tty: [6, string],
  command: [7, string],
  exec_id: [8, string],
});
export const ProcessesResponse = message('ProcessesResponse', { processes: [1, repeated(ProcessMessage)] });
export const ResizePtyRequest = message('ResizePtyRequest', {
  container_id: [1, string],
  exec_id: [2, string],
  rows: [3, uint],
  columns: [4, uint],
});
export const InterfaceStats = message('InterfaceStats', {
  name: [1, string],
  rx_bytes: [2, uint],
  rx_packets: [3, uint],
  rx_dropped: [4, uint],
  tx_bytes: [5, uint],
  tx_packets: [6, uint],
  tx_dropped: [7, uint],
});
export const StatsResponse = message('StatsResponse', {
  cpu_user: [1, uint],
  cpu_system: [2, uint],
  memory: [3, uint],
  processes: [4, uint],
  interfaces: [5, repeated(InterfaceStats)],
  tcp_connections: [6, uint],
  tcp_listeners: [7, uint],
  udp_sockets: [8, uint],
  egress_allowed: [9, uint],
  egress_denied: [10, uint],
  held: [11, uint],
  in_cgroup: [12, bool],
});
export const UpdateRequest = message('UpdateRequest', { container_id: [1, string], resources: [2, bytes] });
export const ForwardRequest = message('ForwardRequest', { container_id: [1, string], port: [2, uint], stream_fd: [3, uint] });
export type ForwardRequest = Infer<typeof ForwardRequest>;
export const DebugRequest = message('DebugRequest', {
  stacks: [1, bool],
  unimplemented: [2, bool],
  strace: [3, string],
  log_level: [4, string],
  files: [5, bool],
});
export const DebugResponse = message('DebugResponse', { text: [1, string] });

/** Method → request and response. */
export const CONTROL = {
  Create: { request: CreateRequest, response: Empty },
  Start: { request: ContainerRequest, response: ProcessId },
  Exec: { request: ExecRequest, response: ProcessId },
  Signal: { request: SignalRequest, response: Empty },
  Wait: { request: ProcessRequest, response: WaitResponse },
  State: { request: ContainerRequest, response: StateResponse },
  Processes: { request: ContainerRequest, response: ProcessesResponse },
  Pause: { request: ContainerRequest, response: Empty },
  Resume: { request: ContainerRequest, response: Empty },
  ResizePty: { request: ResizePtyRequest, response: Empty },
  CloseStdin: { request: ProcessRequest, response: Empty },
  Stats: { request: ContainerRequest, response: StatsResponse },
  Update: { request: UpdateRequest, response: Empty },
  Forward: { request: ForwardRequest, response: Empty },
  Delete: { request: ContainerRequest, response: Empty },
  Debug: { request: DebugRequest, response: DebugResponse },
  Shutdown: { request: Empty, response: Empty },
} as const;
export type ControlMethod = keyof typeof CONTROL;
export type RequestOf<M extends ControlMethod> = Infer<(typeof CONTROL)[M]['request']>;
export type ResponseOf<M extends ControlMethod> = Infer<(typeof CONTROL)[M]['response']>;
