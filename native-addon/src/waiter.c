/*
 * runsc-waiter: stands on the host for a process that exec started in a sandbox. Its exit status is that process's, and a signal that it
 * gets is passed on. Descriptor 3 is the tether (sentry/control/tether.ts); 4, if it is open, the process's host terminal, which is
 * this process's controlling one.
 */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TETHER 3
#define TERMINAL 4
#define KIND_SIGNAL 1
#define KIND_RESIZE 2
/* What docker shows for a process whose end nobody saw. */
#define EXIT_LOST 137

static void tell(uint32_t kind, uint32_t a, uint32_t b)
{
	uint32_t message[3] = { kind, a, b };
	send(TETHER, message, sizeof(message), MSG_NOSIGNAL);
}

static void tell_size(void)
{
	struct winsize size;
	if (ioctl(TERMINAL, TIOCGWINSZ, &size) == 0 && size.ws_row != 0)
		tell(KIND_RESIZE, size.ws_row, size.ws_col);
}

int main(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	int signals = signalfd(-1, &all, SFD_CLOEXEC);
	struct pollfd fds[2] = { { .fd = TETHER, .events = POLLIN }, { .fd = signals, .events = POLLIN } };

	tell_size();
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents != 0) {
			uint32_t code;
			ssize_t n = recv(TETHER, &code, sizeof(code), 0);
			_exit(n == (ssize_t)sizeof(code) ? (int)(code & 0xff) : EXIT_LOST);
		}
		struct signalfd_siginfo info;
		if ((fds[1].revents & POLLIN) == 0 || read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		if (info.ssi_signo == SIGWINCH)
			tell_size();
		else if (info.ssi_signo != SIGCHLD && info.ssi_signo != SIGCONT)
			tell(KIND_SIGNAL, info.ssi_signo, 0);
	}
}
