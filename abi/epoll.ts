/** epoll(7): operations and flags. The event bits below EPOLLEXCLUSIVE are poll(2)'s. */
export const EPOLL_CLOEXEC = 0o2000000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLEXCLUSIVE = 1 << 28;
export const EPOLLWAKEUP = 1 << 29;
export const EPOLLONESHOT = 1 << 30;
export const EPOLLET = 1 << 31;
/** Packed on x86-64: u32 events, u64 data. */
export const EPOLL_EVENT_SIZE = 12;
