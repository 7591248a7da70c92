/* core(5): who leaves a core file, what wait(2) says of it, what is in it */
#include "check.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static volatile long marker = 0x1122334455667788;
static volatile long *on_heap;

/* the child's wait status; it dies in `folder` with a core limit of `limit` */
static int crash(const char *folder, rlim_t limit, void (*how)(void), pid_t *pid)
{
	int status;
	*pid = fork();
	if (*pid == 0) {
		struct rlimit both = { limit, limit };
		CHECK(chdir(folder) == 0 && setrlimit(RLIMIT_CORE, &both) == 0);
		marker = 0x5566;
		on_heap = malloc(sizeof *on_heap);
		*on_heap = 0x7788;
		how();
		_exit(1);
	}
	CHECK(waitpid(*pid, &status, 0) == *pid && WIFSIGNALED(status));
	return status;
}
static char *folder(void)
{
	static char name[64];
	strcpy(name, "/tmp/coresXXXXXX");
	CHECK(mkdtemp(name) != NULL);
	return name;
}
static void clear(const char *name)
{
	char path[96];
	snprintf(path, sizeof path, "%s/core", name);
	unlink(path);
	CHECK(rmdir(name) == 0);
}

static void aborts(void)
{
	abort();
}
static void undumpable(void)
{
	CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
	abort();
}
static void terminated(void)
{
	raise(SIGTERM);
}
static void *sleeper(void *unused)
{
	pause();
	return unused;
}
static void *spinner(void *unused)
{
	for (volatile long i = 0;; i++)
		;
	return unused;
}
static void with_threads(void)
{
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, sleeper, NULL) == 0 && pthread_create(&thread, NULL, spinner, NULL) == 0);
	*(volatile int *)8 = 1;
}

static void who_leaves_one(void)
{
	char *name = folder(), path[96];
	pid_t pid;
	snprintf(path, sizeof path, "%s/core", name);
	int status = crash(name, 0, aborts, &pid);
	CHECK(WTERMSIG(status) == SIGABRT && !WCOREDUMP(status) && access(path, F_OK) == -1);
	status = crash(name, RLIM_INFINITY, undumpable, &pid);
	CHECK(WTERMSIG(status) == SIGABRT && !WCOREDUMP(status) && access(path, F_OK) == -1);
	status = crash(name, RLIM_INFINITY, terminated, &pid);
	CHECK(WTERMSIG(status) == SIGTERM && !WCOREDUMP(status) && access(path, F_OK) == -1);
	status = crash(name, RLIM_INFINITY, aborts, &pid);
	CHECK(WTERMSIG(status) == SIGABRT && WCOREDUMP(status));
	struct stat st;
	CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_size > 4096 && st.st_uid == getuid());
	/* waitid(2) says so, too */
	CHECK(unlink(path) == 0);
	pid = fork();
	if (pid == 0) {
		struct rlimit both = { RLIM_INFINITY, RLIM_INFINITY };
		CHECK(chdir(name) == 0 && setrlimit(RLIMIT_CORE, &both) == 0);
		abort();
	}
	siginfo_t info;
	CHECK(waitid(P_PID, pid, &info, WEXITED) == 0 && info.si_code == CLD_DUMPED && info.si_status == SIGABRT);
	/* in the place of what is there, whatever that is */
	CHECK(unlink(path) == 0 && symlink("elsewhere", path) == 0);
	status = crash(name, RLIM_INFINITY, aborts, &pid);
	CHECK(WCOREDUMP(status) && lstat(path, &st) == 0 && S_ISREG(st.st_mode));
	/* cut at the limit */
	CHECK(unlink(path) == 0);
	status = crash(name, 8192, aborts, &pid);
	CHECK(WCOREDUMP(status) && stat(path, &st) == 0 && st.st_size <= 8192);
	clear(name);
}

static char *file;
static size_t size;
static Elf64_Phdr *header(int i)
{
	return (Elf64_Phdr *)(file + ((Elf64_Ehdr *)file)->e_phoff) + i;
}
static long memory_at(volatile void *address)
{
	for (int i = 0; i < ((Elf64_Ehdr *)file)->e_phnum; i++) {
		Elf64_Phdr *h = header(i);
		unsigned long at = (unsigned long)address - h->p_vaddr;
		if (h->p_type == PT_LOAD && (unsigned long)address >= h->p_vaddr && at < h->p_filesz) {
			CHECK(h->p_offset + at + 8 <= size);
			return *(long *)(file + h->p_offset + at);
		}
	}
	CHECK(!"not in the file");
	return 0;
}
static void load(const char *name)
{
	char path[96];
	snprintf(path, sizeof path, "%s/core", name);
	int fd = open(path, O_RDONLY);
	struct stat st;
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	size = st.st_size;
	file = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(file != MAP_FAILED);
	close(fd);
}

static void what_is_in_it(void)
{
	char *name = folder();
	pid_t pid;
	int status = crash(name, RLIM_INFINITY, with_threads, &pid);
	CHECK(WTERMSIG(status) == SIGSEGV && WCOREDUMP(status));
	load(name);
	Elf64_Ehdr *elf = (Elf64_Ehdr *)file;
	CHECK(memcmp(elf->e_ident, ELFMAG, SELFMAG) == 0 && elf->e_type == ET_CORE && elf->e_machine == EM_X86_64);
	CHECK(header(0)->p_type == PT_NOTE);
	int threads = 0, infos = 0, files = 0, floats = 0;
	for (size_t at = header(0)->p_offset, end = at + header(0)->p_filesz; at < end;) {
		Elf64_Nhdr *note = (Elf64_Nhdr *)(file + at);
		char *content = (char *)(note + 1) + ((note->n_namesz + 3) & ~3u);
		if (note->n_type == NT_PRSTATUS) {
			struct elf_prstatus *state = (void *)content;
			CHECK(note->n_descsz == sizeof *state);
			if (threads++ == 0)
				CHECK(state->pr_pid == pid && state->pr_cursig == SIGSEGV && state->pr_ppid == getpid());
		} else if (note->n_type == NT_PRPSINFO) {
			struct elf_prpsinfo *info = (void *)content;
			CHECK(info->pr_pid == pid && strcmp(info->pr_fname, "cores") == 0 && strstr(info->pr_psargs, "cores") != NULL);
			infos++;
		} else if (note->n_type == NT_SIGINFO) {
			siginfo_t *info = (void *)content;
			CHECK(info->si_signo == SIGSEGV && info->si_addr == (void *)8);
			infos++;
		} else if (note->n_type == NT_FILE)
			files++;
		else if (note->n_type == NT_FPREGSET)
			floats++;
		at = (size_t)(content - file) + ((note->n_descsz + 3) & ~3u);
	}
	CHECK(threads == 3 && infos == 2 && files == 1 && floats == 3);
	CHECK(memory_at(&marker) == 0x5566);
	long *heap = (long *)memory_at(&on_heap);
	CHECK(memory_at(heap) == 0x7788);
	clear(name);
}

int main(void)
{
	PART(who_leaves_one);
	PART(what_is_in_it);
	return 0;
}
