/** sock_diag(7), linux/inet_diag.h, linux/unix_diag.h: numbers and sizes, x86-64. */
export const SOCK_DIAG_BY_FAMILY = 20;
/** struct inet_diag_req_v2, inet_diag_msg, unix_diag_req, unix_diag_msg. */
export const INET_REQUEST_SIZE = 56;
export const INET_MESSAGE_SIZE = 72;
export const UNIX_REQUEST_SIZE = 24;
export const UNIX_MESSAGE_SIZE = 16;

export const INET_DIAG_INFO = 2;
export const INET_DIAG_CONG = 4;
export const INET_DIAG_SHUTDOWN = 8;

export const UDIAG_SHOW_NAME = 0x01;
export const UDIAG_SHOW_RQLEN = 0x10;
export const UNIX_DIAG_NAME = 0;
export const UNIX_DIAG_RQLEN = 4;
export const UNIX_DIAG_SHUTDOWN = 6;

// States, of TCP's names.
export const TCP_ESTABLISHED = 1;
export const TCP_CLOSE = 7;
export const TCP_LISTEN = 10;
/** socket_state of a unix socket that has a peer. */
export const SS_CONNECTED = 3;
