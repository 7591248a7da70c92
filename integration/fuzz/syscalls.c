/*
 * A system-call fuzzer, to run inside a sandbox: syscalls SEED COUNT [SECONDS].
 *
 * The first process supervises: it starts workers, replaces those that die, kills those that hang, and says "start", "idle" (when
 * everything is dead and removed again) on its output; then it waits for a line on its input and ends. A worker makes CALLS calls with
 * random arguments; what they are follows from SEED and the worker's number alone. Some workers have threads, some another user.
 */
#define _GNU_SOURCE
#include "arguments.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/filter.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 5
#define CALLS 400       /* by one worker */
#define LIFE 2.0        /* seconds of one worker */
#define HIGHEST_CALL 470

static int supervisor;
static int null;

/* Calls that end or stop the worker, or its random walk, are made rarely. */
static int rare(long number) {
  switch (number) {
    case SYS_exit:
    case SYS_exit_group:
    case SYS_rt_sigreturn:
    case SYS_execve:
    case SYS_execveat:
    case SYS_clone:
    case SYS_clone3:
    case SYS_fork:
    case SYS_vfork:
    case SYS_seccomp:
    case SYS_pause:
    case SYS_rt_sigsuspend:
    case SYS_brk:
    case SYS_chroot:
    case SYS_close_range: return 1;
    default: return 0;
  }
}

/* The supervisor is to stay alive, with its limits; no kernel has to prevent that. */
static int reachesSupervisor(long number, const uint64_t *a) {
  int pid = (int)a[0];
  switch (number) {
    case SYS_tgkill:
    case SYS_rt_tgsigqueueinfo:
      if ((int)a[1] == supervisor) return 1; /* fall through */
    case SYS_kill:
    case SYS_tkill:
    case SYS_rt_sigqueueinfo:
    case SYS_pidfd_open:
    case SYS_prlimit64:
    case SYS_sched_setscheduler:
    case SYS_sched_setaffinity: return pid == supervisor || pid == -supervisor || pid == -1;
    case SYS_clone: return (a[0] & CLONE_PARENT) != 0 && (a[0] & 0xff) == SIGKILL;
    case SYS_ptrace: return (int)a[1] == supervisor;
    default: return 0;
  }
}

static long oneCall(struct Random *r) {
  uint64_t a[6];
  long number;
  if (chance(r, 80)) {
    const struct Shape *shape = &SHAPES[below(r, SHAPE_COUNT)];
    number = shape->number;
    size_t known = strlen(shape->arguments);
    for (size_t i = 0; i < 6; i++) a[i] = i < known ? argument(r, shape->arguments[i]) : 0;
  } else {
    number = below(r, HIGHEST_CALL + 1);
    for (int i = 0; i < 6; i++) a[i] = argument(r, "fbpslix"[below(r, 7)]);
  }
  int forks = number == SYS_clone || number == SYS_clone3 || number == SYS_fork || number == SYS_vfork;
  if (rare(number) && !chance(r, forks ? 25 : 4)) return 0;
  if (reachesSupervisor(number, a)) return 0;
  return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void nothing(int signal) { (void)signal; }
static void arm(void) {
  struct sigaction act = {.sa_handler = nothing};
  struct itimerval every = {{0, 20000}, {0, 20000}};
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  sigaction(SIGALRM, &act, NULL);
  setitimer(ITIMER_REAL, &every, NULL);
}

static void calls(struct Random *r, int count) {
  int self = syscall(SYS_gettid);
  for (int i = 0; i < count; i++) {
    if (i % 8 == 0) arm();
    oneCall(r);
    int now = syscall(SYS_gettid);
    if (now == self) continue;
    /* A child of clone(2): a few calls, then the end. */
    self = now;
    count = i + (count - i) / 4;
  }
}
static void *thread(void *seed) {
  struct Random r = {(uint64_t)seed};
  calls(&r, CALLS / 2);
  return NULL;
}

static void mapArena(void) {
  int rights[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC};
  int how = MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED;
  mmap(arena, PAGE * PAGES, PROT_READ | PROT_WRITE, how, -1, 0);
  for (int page = 3, n = 0; page < PAGES; page += 4, n++) {
    if (n % 4 == 3) munmap(arena + PAGE * page, PAGE);
    else mprotect(arena + PAGE * page, PAGE, rights[n % 4]);
  }
}

/* Descriptors 3 and up: one of everything. */
static void openPool(struct Random *r) {
  int pair[2];
  open("/dev/null", O_RDWR);
  open(TREE "/f", O_RDWR | O_CREAT, 0666);
  open(TREE "/dir/g", O_RDONLY | O_CREAT, 0666);
  open(TREE, O_RDONLY | O_DIRECTORY);
  open(TREE "/dir", O_PATH | O_DIRECTORY);
  open(TREE "/f", O_PATH);
  pipe2(pair, chance(r, 50) ? O_NONBLOCK : 0);
  socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  socketpair(AF_UNIX, chance(r, 50) ? SOCK_DGRAM : SOCK_SEQPACKET, 0, pair);
  socket(AF_UNIX, SOCK_STREAM, 0);
  socket(AF_INET, SOCK_STREAM, 0);
  socket(AF_INET, SOCK_DGRAM, 0);
  socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
  socket(AF_INET6, SOCK_DGRAM, 0);
  socket(AF_NETLINK, SOCK_RAW, 0);
  socket(AF_PACKET, SOCK_RAW, 0);
  socket(AF_INET, SOCK_RAW, 1);
  int epoll = epoll_create1(0);
  int event = eventfd(0, 0);
  struct epoll_event watch = {.events = EPOLLIN | EPOLLET};
  epoll_ctl(epoll, EPOLL_CTL_ADD, event, &watch);
  epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &watch);
  timerfd_create(CLOCK_MONOTONIC, 0);
  sigset_t all;
  sigfillset(&all);
  signalfd(-1, &all, 0);
  int memory = memfd_create("m", MFD_ALLOW_SEALING);
  ftruncate(memory, 10000);
  int notify = inotify_init1(0);
  inotify_add_watch(notify, TREE, IN_ALL_EVENTS);
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  grantpt(terminal);
  unlockpt(terminal);
  open(ptsname(terminal), O_RDWR | O_NOCTTY);
  open("/proc/self/mem", O_RDWR);
  open("/proc/self/maps", O_RDONLY);
  open("/proc", O_RDONLY | O_DIRECTORY);
  open("/proc/self/pagemap", O_RDONLY);
  open("/proc/self/ns/user", O_RDONLY);
  open("/proc/self/timens_offsets", O_RDWR);
  syscall(SYS_pidfd_open, getpid(), 0);
}

static void put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  write(fd, text, strlen(text));
  close(fd);
}
/* Namespaces of its own, of which the user namespace may get maps. */
static void unshareSome(struct Random *r) {
  unshare(CLONE_NEWUSER | (next(r) & (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | 0x80)));
  if (chance(r, 30)) return;
  put("/proc/self/setgroups", "deny");
  put("/proc/self/uid_map", chance(r, 50) ? "0 0 1" : "1000 0 1");
  put("/proc/self/gid_map", "0 0 1");
}
/* A call that asks a supervisor, which is the worker itself: alarms end the wait. */
static void askAboutCall(struct Random *r) {
  struct sock_filter rows[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, below(r, 300), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, chance(r, 80) ? 0x7fc00000 : 0x7ff00000),
      BPF_STMT(BPF_RET | BPF_K, 0x7fff0000),
  };
  struct sock_fprog program = {4, rows};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  syscall(SYS_seccomp, 1, 8 | (chance(r, 30) ? 32 : 0), &program);
}

static void limit(int what, rlim_t value) {
  struct rlimit l = {value, value};
  setrlimit(what, &l);
}

static void worker(uint64_t seed) {
  struct Random r = {seed};
  next(&r);
  limit(RLIMIT_AS, 1ull << 30);
  limit(RLIMIT_FSIZE, 8 << 20);
  limit(RLIMIT_CORE, chance(&r, 25) ? 1 << 20 : 0);
  limit(RLIMIT_NPROC, 200);
  limit(RLIMIT_NOFILE, 256);
  prctl(PR_SET_DUMPABLE, 1);
  for (int fd = 0; fd < 3; fd++) dup2(null, fd);
  close(null);
  chdir(TREE);
  mapArena();
  openPool(&r);
  if (chance(&r, 25)) unshareSome(&r);
  if (chance(&r, 10)) askAboutCall(&r);
  if (chance(&r, 50)) setresgid(1000, 1000, 1000), setresuid(1000, 1000, 1000);
  if (chance(&r, 20)) setsid();
  else setpgid(0, 0);
  if (chance(&r, 35)) {
    pthread_t id;
    for (int n = 0; n < 2; n++) pthread_create(&id, NULL, thread, (void *)next(&r));
  }
  calls(&r, CALLS);
  _exit(0);
}

static int removeOne(const char *name, const struct stat *s, int kind, struct FTW *at) {
  (void)s, (void)kind;
  if (at->level > 0) remove(name);
  return 0;
}
static void clearTree(void) {
  static const char *const PLACES[] = {TREE, "/dev/shm", "/dev/mqueue"};
  for (int i = 0; i < 3; i++) nftw(PLACES[i], removeOne, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
static void makeTree(void) {
  mkdir("/tmp", 01777);
  mkdir(TREE, 0777);
  chmod(TREE, 0777);
  mkdir(TREE "/dir", 0777);
  chmod(TREE "/dir", 0777);
  close(open(TREE "/f", O_CREAT | O_RDWR, 0666));
  symlink("f", TREE "/link");
  symlink("loop", TREE "/loop");
  mkfifo(TREE "/fifo", 0666);
  mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3));
  mknod("/dev/zero", S_IFCHR | 0666, makedev(1, 5));
  mknod("/dev/tty", S_IFCHR | 0666, makedev(5, 0));
  symlink("pts/ptmx", "/dev/ptmx");
}
static void clearIpc(void) {
  struct shmid_ds info;
  int highest = shmctl(0, SHM_INFO, &info);
  for (int i = 0; i <= highest; i++) {
    int id = shmctl(i, SHM_STAT_ANY, &info);
    if (id < 0 || (info.shm_perm.mode & SHM_DEST) != 0) continue;
    pid_t child = fork(); /* only the owner may */
    if (child == 0) {
      if (info.shm_perm.uid != 0) setresuid(info.shm_perm.uid, info.shm_perm.uid, info.shm_perm.uid);
      _exit(shmctl(id, IPC_RMID, NULL) != 0 && (setresuid(info.shm_perm.cuid, info.shm_perm.cuid, info.shm_perm.cuid),
                                                 shmctl(id, IPC_RMID, NULL) != 0));
    }
    int status;
    if (waitpid(child, &status, 0) == child && status != 0) printf("a segment of %d stays\n", info.shm_perm.uid);
  }
}

struct Worker {
  pid_t pid;
  double start;
};
static struct Worker workers[WORKERS];

static int isWorker(pid_t pid) {
  for (int i = 0; i < WORKERS; i++)
    if (workers[i].pid == pid) return 1;
  return 0;
}
/* Kills what is not a worker and lives longer than one should: children of workers. */
static void killStrays(int everything) {
  DIR *folder = opendir("/proc");
  if (folder == NULL) return;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    pid_t pid = atoi(entry->d_name);
    if (pid > 1 && pid != supervisor && (everything || !isWorker(pid))) kill(pid, SIGKILL);
  }
  closedir(folder);
}
static void reapAll(void) {
  for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG | __WALL)) > 0;)
    for (int i = 0; i < WORKERS; i++)
      if (workers[i].pid == pid) workers[i].pid = 0;
}
static void rest(void) {
  struct timespec t = {0, 10000000};
  nanosleep(&t, NULL);
}

/* signal(3) refuses those that the C library uses. */
static void ignore(int signal) {
  uint64_t action[4] = {1 /* SIG_IGN */, 0, 0, 0};
  syscall(SYS_rt_sigaction, signal, action, NULL, 8);
}

int main(int argc, char **argv) {
  if (argc < 3 || strtoull(argv[2], NULL, 10) == 0) return 2;
  uint64_t seed = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
  double end = seconds() + (argc > 3 ? atof(argv[3]) : 1e9), strays = seconds() + 1;
  supervisor = getpid();
  null = open("/dev/null", O_RDWR); /* now: workers remove what they can */
  if (null < 0) return 2;
  /* Workers share our user: without CAP_SYS_PTRACE they cannot reach into a process that is not dumpable. */
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (int n = 1; n < 65; n++)
    if (n != SIGCHLD) ignore(n);
  arena = mmap(NULL, PAGE * (PAGES + 16), PROT_NONE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  makeTree();
  printf("start\n");
  fflush(stdout);

  uint64_t started = 0;
  while (started * CALLS < count && seconds() < end) {
    reapAll();
    for (int i = 0; i < WORKERS; i++) {
      struct Worker *w = &workers[i];
      if (w->pid != 0 && seconds() - w->start > LIFE) kill(w->pid, SIGKILL);
      if (w->pid != 0) continue;
      if (started % 16 == 0) makeTree();
      uint64_t own = seed * 1000003 + started++;
      w->start = seconds();
      w->pid = fork();
      if (w->pid < 0) w->pid = 0;
      else if (w->pid == 0) {
        for (int n = 1; n < 65; n++) signal(n, SIG_DFL); /* but for 32 and 33 */
        worker(own);
      }
    }
    if (seconds() > strays) killStrays(0), strays = seconds() + 1;
    rest();
  }
  for (int i = 0; i < 20; i++) killStrays(1), reapAll(), rest();
  clearTree();
  clearIpc();
  printf("idle %llu\n", (unsigned long long)(started * CALLS));
  fflush(stdout);
  char line[16];
  if (read(0, line, sizeof line) < 0) return 1;
  return 0;
}
