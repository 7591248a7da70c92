/** What a thread is called and the registers and addresses that belong to it alone. */

import { EFAULT, EINVAL, ENODEV, EPERM, ESRCH } from '../../abi/errno.ts';
import { TASK_SIZE } from '../../abi/mman.ts';
import { ARCH_GET_CPUID, ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_CPUID, ARCH_SET_FS, ARCH_SET_GS } from '../../abi/prctl.ts';
import { setLen64 } from '../../abi/struct.ts';
import { REG } from '../../platforms/platform.ts';
import { CAP_SYS_PTRACE, hasCapIn } from '../kernel/credentials.ts';
import { tellNumbers } from '../kernel/own_answers.ts';
import type { Task } from '../kernel/task.ts';
import { addr, int, size, syscall } from './definition.ts';

// arch_prctl(2)
/** struct robust_list_head. */
const ROBUST_LIST_HEAD_SIZE = 24;

function getppid(task: Task): number {
  return task.group.parent?.idIn(task.pidNamespace) ?? 0;
}

function set_tid_address(task: Task, address: number): number {
  task.clearChildTid = address;
  return task.tid;
}

function arch_prctl(task: Task, code: number, address: number): number {
  switch (code) {
    case ARCH_SET_FS:
      return setBase(task, REG.fs_base, address);
    case ARCH_SET_GS:
      return setBase(task, REG.gs_base, address);
    case ARCH_GET_FS:
      return writeWord(task, address, task.thread.registers().get(REG.fs_base));
    case ARCH_GET_GS:
      return writeWord(task, address, task.thread.registers().get(REG.gs_base));
    case ARCH_GET_CPUID:
      return 1;
    case ARCH_SET_CPUID:
      return ENODEV; // no faulting of cpuid
    default:
      return EINVAL;
  }
}

function setBase(task: Task, register: number, address: number): number {
  if (address >= TASK_SIZE) return EPERM;
  task.thread.registers().set(register, address);
  task.thread.setRegisters();
  return 0;
}

function writeWord(task: Task, address: number, value: number): number {
  setLen64(task.kernel.scratch8View, 0, value);
  return task.userMemory.write(address, task.kernel.scratch8, 0, 8) === 8 ? 0 : EFAULT;
}

function set_robust_list(task: Task, head: number, length: number): number {
  if (length !== ROBUST_LIST_HEAD_SIZE) return EINVAL;
  task.robustList = head;
  return 0;
}

function get_robust_list(task: Task, tid: number, head: number, length: number): number {
  const target = tid === 0 ? task : task.pidNamespace.tasks.get(tid);
  if (target === undefined) return ESRCH;
  if (target.group !== task.group && target.creds.uid !== task.creds.euid && !hasCapIn(task.creds, CAP_SYS_PTRACE, target.creds.namespace))
    return EPERM;
  return writeWord(task, length, ROBUST_LIST_HEAD_SIZE) || writeWord(task, head, target.robustList);
}

function getcpu(task: Task, cpu: number, node: number): number {
  if (cpu !== 0 && task.writeU32(cpu, task.thread.processor?.() ?? 0) !== 0) return EFAULT;
  return node === 0 ? 0 : task.writeU32(node, 0);
}

function getpid(task: Task): number {
  tellNumbers(task);
  return task.pid;
}
function gettid(task: Task): number {
  tellNumbers(task);
  return task.tid;
}

export const THREAD_CALLS = {
  getpid: syscall({ x64: 39, man: 'getpid(2)', args: [], run: getpid }),
  gettid: syscall({ x64: 186, man: 'gettid(2)', args: [], run: gettid }),
  getppid: syscall({ x64: 110, man: 'getppid(2)', args: [], run: getppid }),
  set_tid_address: syscall({ x64: 218, man: 'set_tid_address(2)', args: [addr], run: set_tid_address }),
  arch_prctl: syscall({ x64: 158, man: 'arch_prctl(2)', args: [int, addr], run: arch_prctl }),
  set_robust_list: syscall({ x64: 273, man: 'get_robust_list(2)', args: [addr, size], run: set_robust_list }),
  get_robust_list: syscall({ x64: 274, man: 'get_robust_list(2)', args: [int, addr, addr], run: get_robust_list }),
  getcpu: syscall({ x64: 309, man: 'getcpu(2)', args: [addr, addr], run: getcpu }),
};
