/** What the sandbox says it is: uname(2), /proc/version, /proc/sys/kernel. One place, so that they agree. */
export const KERNEL_OSTYPE = 'Linux';
/** The Linux release whose behaviour is implemented; glibc and language runtimes choose features by it. */
export const KERNEL_RELEASE = '6.8.0';
export const KERNEL_VERSION = '#1 SMP PREEMPT_DYNAMIC tsvisor';
export const KERNEL_MACHINE = 'x86_64';
export const KERNEL_BANNER = `${KERNEL_OSTYPE} version ${KERNEL_RELEASE} (tsvisor@tsvisor) (node) ${KERNEL_VERSION}`;
