/* pseudoterminals, line discipline, sessions, job control, hang-ups */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

static int master, slave;

static void open_pair(void)
{
	char name[64];
	CHECK((master = posix_openpt(O_RDWR | O_NOCTTY)) >= 0);
	CHECK(open(ptsname(master), O_RDWR | O_NOCTTY) == -1 && errno == EIO); /* locked */
	CHECK(grantpt(master) == 0 && unlockpt(master) == 0);
	CHECK(ptsname_r(master, name, sizeof name) == 0);
	CHECK((slave = open(name, O_RDWR | O_NOCTTY)) >= 0);
}

static void put(int fd, const char *text)
{
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* one read must give exactly this */
static void expect_(int fd, const char *text, int line)
{
	char buffer[4096];
	ssize_t n = read(fd, buffer, sizeof buffer);
	if (n != (ssize_t)strlen(text) || memcmp(buffer, text, n) != 0) {
		fprintf(stderr, "line %d: read %zd bytes (errno %d): '%.*s', not '%s'\n", line, n, errno, (int)(n > 0 ? n : 0), buffer, text);
		_exit(1);
	}
}
#define EXPECT(fd, text) expect_(fd, text, __LINE__)

/* what is on the master's side, once it has settled */
static void shown_(const char *text, int line)
{
	char buffer[4096];
	size_t have = 0;
	struct pollfd p = { .fd = master, .events = POLLIN };
	while (have < strlen(text) ? poll(&p, 1, 2000) > 0 : poll(&p, 1, 20) > 0) {
		ssize_t n = read(master, buffer + have, sizeof buffer - have);
		if (n <= 0)
			break;
		have += n;
	}
	if (have != strlen(text) || memcmp(buffer, text, have) != 0) {
		fprintf(stderr, "line %d: shown '%.*s', not '%s'\n", line, (int)have, buffer, text);
		_exit(1);
	}
}
#define SHOWN(text) shown_(text, __LINE__)


static void defaults(void)
{
	struct termios t;
	open_pair();
	CHECK(tcgetattr(slave, &t) == 0);
	CHECK(t.c_iflag == (ICRNL | IXON) && t.c_oflag == (OPOST | ONLCR));
	CHECK(t.c_lflag == (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN));
	CHECK(t.c_cc[VINTR] == 3 && t.c_cc[VEOF] == 4 && t.c_cc[VERASE] == 127 && t.c_cc[VMIN] == 1);
	CHECK(isatty(slave) && isatty(master));
	struct stat st;
	CHECK(fstat(slave, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev >> 8 == 136);
	struct winsize size = { 1, 1, 1, 1 };
	CHECK(ioctl(slave, TIOCGWINSZ, &size) == 0 && size.ws_row == 0 && size.ws_col == 0);
	FAILS(ioctl(slave, TIOCGPTN, &size), ENOTTY);
	FAILS(ioctl(slave, 0x5499, &size), ENOTTY);
	FAILS(lseek(slave, 0, SEEK_SET), ESPIPE);
}

static void lines_and_editing(void)
{
	open_pair();
	put(master, "ab\x7f\x7fhello world\x17there\r");
	EXPECT(slave, "hello there\n");
	SHOWN("ab\b \b\b \bhello world\b \b\b \b\b \b\b \b\b \bthere\r\n");
	put(master, "one\ntwo\n");
	EXPECT(slave, "one\n");
	int waiting;
	CHECK(ioctl(slave, FIONREAD, &waiting) == 0 && waiting == 4);
	EXPECT(slave, "two\n");
	put(master, "part\x04");
	EXPECT(slave, "part");
	put(master, "\x04");
	EXPECT(slave, "");
	tcflush(slave, TCIFLUSH);
	put(master, "gone");
	CHECK(tcflush(slave, TCIFLUSH) == 0);
	put(master, "stays\n");
	EXPECT(slave, "stays\n");
}

static void raw_reads(void)
{
	struct termios t;
	open_pair();
	CHECK(tcgetattr(slave, &t) == 0);
	cfmakeraw(&t);
	t.c_cc[VMIN] = 3;
	t.c_cc[VTIME] = 0;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
	struct pollfd p = { .fd = slave, .events = POLLIN };
	put(master, "a\r");
	CHECK(poll(&p, 1, 20) == 0); /* fewer than MIN */
	put(master, "\x03");
	CHECK(poll(&p, 1, 1000) == 1);
	EXPECT(slave, "a\r\x03");
	t.c_cc[VMIN] = 0;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
	EXPECT(slave, "");
	t.c_cc[VTIME] = 1;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
	EXPECT(slave, "");
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	CHECK(tcsetattr(slave, TCSANOW, &t) == 0);
	CHECK(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
	char c;
	FAILS(read(slave, &c, 1), EAGAIN);
	put(slave, "x\ny");
	SHOWN("x\ny");
}

static void flow_control(void)
{
	open_pair();
	CHECK(fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
	put(master, "\x13");
	struct pollfd p = { .fd = slave, .events = POLLOUT };
	for (int i = 0; i < 100 && poll(&p, 1, 0) == 1; i++)
		usleep(1000);
	FAILS(write(slave, "x", 1), EAGAIN);
	put(master, "\x11");
	CHECK(poll(&p, 1, 2000) == 1);
	put(slave, "x");
	SHOWN("x");
	int on = 1;
	CHECK(ioctl(master, TIOCPKT, &on) == 0);
	put(slave, "data");
	char packet[16];
	CHECK(read(master, packet, sizeof packet) == 5 && packet[0] == TIOCPKT_DATA && memcmp(packet + 1, "data", 4) == 0);
	CHECK(tcflush(slave, TCIFLUSH) == 0);
	CHECK(read(master, packet, sizeof packet) == 1 && packet[0] == TIOCPKT_FLUSHREAD);
}

/* A child leads a session with the slave as its terminal and runs `body`; its exit status is the result. */
static int in_session(void (*body)(void))
{
	open_pair();
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid());
		CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
		CHECK(ioctl(slave, TIOCSCTTY, 0) == 0);
		int tty = open("/dev/tty", O_RDWR);
		CHECK(tty >= 0 && isatty(tty));
		close(tty);
		CHECK(tcgetpgrp(slave) == getpid() && tcgetsid(slave) == getpid());
		body();
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static volatile int caught;
static void on_signal(int signal)
{
	caught = signal;
}

static void wait_for(int signal)
{
	for (int i = 0; i < 2000 && caught != signal; i++)
		usleep(1000);
	CHECK(caught == signal);
	caught = 0;
}

static void signals_body(void)
{
	signal(SIGINT, on_signal);
	signal(SIGQUIT, on_signal);
	signal(SIGTSTP, on_signal);
	signal(SIGWINCH, on_signal);
	put(master, "lost\x03");
	wait_for(SIGINT);
	put(master, "\x1c");
	wait_for(SIGQUIT);
	put(master, "\x1a");
	wait_for(SIGTSTP);
	put(master, "kept\n");
	EXPECT(slave, "kept\n");
	struct winsize size = { .ws_row = 10, .ws_col = 20 };
	CHECK(ioctl(master, TIOCSWINSZ, &size) == 0);
	wait_for(SIGWINCH);
	FAILS(setsid(), EPERM);
	FAILS(setpgid(0, 0), EPERM);
	char c = 'x';
	CHECK(ioctl(slave, TIOCSTI, &c) == -1 || 1); /* allowed or not by the host's settings */
}
static void signals_from_the_keyboard(void)
{
	CHECK(in_session(signals_body) == 0);
}

static void background_body(void)
{
	int status;
	pid_t job = fork();
	CHECK(job >= 0);
	if (job == 0) {
		char c;
		setpgid(0, 0);
		CHECK(read(slave, &c, 1) == 1 && c == 'k'); /* stopped by SIGTTIN, then in the foreground */
		_exit(7);
	}
	setpgid(job, job);
	CHECK(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
	put(master, "k\n");
	CHECK(tcsetpgrp(slave, job) == 0 && tcgetpgrp(slave) == job);
	CHECK(kill(-job, SIGCONT) == 0);
	CHECK(waitpid(job, &status, 0) == job && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	signal(SIGTTOU, SIG_IGN);
	CHECK(tcsetpgrp(slave, getpid()) == 0);
	FAILS(tcsetpgrp(slave, job), ESRCH);

	job = fork();
	if (job == 0) {
		signal(SIGTTOU, SIG_DFL);
		setpgid(0, 0);
		struct termios t;
		tcgetattr(slave, &t);
		tcsetattr(slave, TCSANOW, &t);
		_exit(9);
	}
	CHECK(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
	kill(job, SIGKILL);
	CHECK(waitpid(job, &status, 0) == job && WIFSIGNALED(status));

	job = fork();
	if (job == 0) {
		char c;
		setpgid(0, 0);
		signal(SIGTTIN, SIG_IGN);
		FAILS(read(slave, &c, 1), EIO);
		_exit(0);
	}
	CHECK(waitpid(job, &status, 0) == job && status == 0);
}
static void background_jobs(void)
{
	CHECK(in_session(background_body) == 0);
}

static int report[2];

static void leader_exits_body(void)
{
	pid_t job = fork();
	CHECK(job >= 0);
	if (job == 0) {
		signal(SIGHUP, on_signal);
		CHECK(write(report[1], "r", 1) == 1);
		wait_for(SIGHUP);
		CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
		put(slave, "x"); /* the terminal itself lives on */
		CHECK(write(report[1], "d", 1) == 1);
		_exit(0);
	}
	char c;
	CHECK(read(report[0], &c, 1) == 1);
}
static void leader_exits(void)
{
	CHECK(pipe(report) == 0);
	CHECK(in_session(leader_exits_body) == 0);
	char c;
	CHECK(read(report[0], &c, 1) == 1 && c == 'd');
}

static void master_closes(void)
{
	open_pair();
	CHECK(pipe(report) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGHUP, on_signal);
		close(master);
		CHECK(setsid() == getpid() && ioctl(slave, TIOCSCTTY, 0) == 0);
		CHECK(write(report[1], "r", 1) == 1);
		wait_for(SIGHUP);
		char c;
		CHECK(read(slave, &c, 1) == 0);
		FAILS(write(slave, "x", 1), EIO);
		struct pollfd p = { .fd = slave, .events = POLLIN };
		CHECK(poll(&p, 1, 0) == 1 && (p.revents & POLLHUP));
		_exit(0);
	}
	char c;
	CHECK(read(report[0], &c, 1) == 1);
	close(master);
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void last_slave_closes(void)
{
	open_pair();
	put(slave, "last words");
	close(slave);
	char buffer[32];
	CHECK(read(master, buffer, sizeof buffer) == 10);
	FAILS(read(master, buffer, sizeof buffer), EIO);
	struct pollfd p = { .fd = master, .events = POLLIN };
	CHECK(poll(&p, 1, 0) == 1 && (p.revents & POLLHUP));
	CHECK((slave = open(ptsname(master), O_RDWR | O_NOCTTY)) >= 0);
	put(slave, "again");
	SHOWN("again");
}

static void orphaned_group(void)
{
	/* A stopped child of a session's only link outside its group: SIGHUP and SIGCONT when that link goes. */
	CHECK(pipe(report) == 0);
	pid_t leader = fork();
	if (leader == 0) {
		setsid();
		pid_t link = fork();
		if (link == 0) {
			pid_t job = fork();
			if (job == 0) {
				signal(SIGHUP, on_signal);
				setpgid(0, 0);
				raise(SIGSTOP);
				wait_for(SIGHUP);
				CHECK(write(report[1], "h", 1) == 1);
				_exit(0);
			}
			int status;
			CHECK(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status));
			_exit(0);
		}
		int status;
		CHECK(waitpid(link, &status, 0) == link && status == 0);
		char c;
		CHECK(read(report[0], &c, 1) == 1 && c == 'h');
		_exit(0);
	}
	int status;
	CHECK(waitpid(leader, &status, 0) == leader && status == 0);
}

int main(void)
{
	PART(defaults);
	PART(lines_and_editing);
	PART(raw_reads);
	PART(flow_control);
	PART(signals_from_the_keyboard);
	PART(background_jobs);
	PART(leader_exits);
	PART(master_closes);
	PART(last_slave_closes);
	PART(orphaned_group);
	return 0;
}
