/*
 * What a random system call is made with: numbers that kernels stumble over, memory of every kind, paths, vectors, addresses, messages; and
 * what the calls take that are worth more than random numbers.
 */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#define PAGE 4096
#define PAGES 24        /* of the arena; every fourth is special */
#define TREE "/tmp/fuzz"

static char *arena;

struct Random {
  uint64_t state;
};
static uint64_t next(struct Random *r) { /* splitmix64 */
  uint64_t z = r->state += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
static uint64_t below(struct Random *r, uint64_t limit) { return next(r) % limit; }
static int chance(struct Random *r, int percent) { return below(r, 100) < (uint64_t)percent; }

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

/*
 * What the arguments of a call are, by letters: f descriptor, d directory descriptor, b buffer, p path, s size, o offset, i small
 * number, l flags, t timespec, v vector, a socket address, g signal, P process, m page-aligned address, F futex word, x anything.
 */
static const struct Shape {
  short number;
  const char *arguments;
} SHAPES[] = {
    {0, "fbs"},     {1, "fbs"},     {2, "pll"},     {4, "pb"},      {5, "fb"},      {6, "pb"},      {7, "bii"},    {8, "foi"},
    {9, "msllfo"},  {10, "msl"},    {11, "ms"},     {13, "gbbi"},   {14, "ibbi"},   {16, "fIb"},    {17, "fbso"},  {18, "fbso"},
    {19, "fvi"},    {20, "fvi"},    {21, "pl"},     {22, "b"},      {23, "ibbbt"},  {25, "mssl"},   {26, "msl"},   {27, "msb"},
    {28, "msi"},    {29, "isl"},    {30, "iml"},    {31, "iib"},    {33, "ff"},     {35, "tb"},     {38, "ibb"},   {40, "ffbs"},
    {41, "iii"},    {42, "fas"},    {43, "fab"},    {44, "fbslas"}, {45, "fbslab"}, {46, "fMl"},    {47, "fMl"},   {48, "fi"},
    {49, "fai"},    {50, "fi"},     {51, "fab"},    {52, "fab"},    {53, "iiib"},   {54, "fiibi"},  {55, "fiibb"}, {56, "lb"},
    {59, "pbb"},    {61, "Pblb"},   {62, "Pg"},     {64, "iil"},    {65, "ibi"},    {66, "iiib"},   {68, "il"},    {69, "ibsl"},
    {70, "ibsil"},  {71, "iib"},    {72, "fix"},    {73, "fl"},     {74, "f"},      {76, "po"},     {77, "fo"},    {78, "fbs"},
    {79, "bs"},     {80, "p"},      {81, "f"},      {82, "pp"},     {83, "pl"},     {84, "p"},      {85, "pl"},    {86, "pp"},
    {87, "p"},      {88, "pp"},     {89, "pbs"},    {90, "pl"},     {91, "fl"},     {92, "pii"},    {93, "fii"},   {97, "ib"},
    {98, "ib"},     {99, "b"},      {101, "TPbb"}, {101, "TPib"}, {56, "C"}, {435, "bi"},  {103, "ibs"},   {115, "ib"},    {127, "bi"},    {128, "bbti"}, {129, "Pgb"},
    {130, "bi"},    {131, "bb"},    {133, "pli"},   {137, "pb"},    {138, "fb"},    {140, "iP"},    {141, "iPi"},  {149, "ms"},
    {155, "pp"},    {157, "ixxxx"}, {158, "ib"},    {161, "p"},     {165, "pppbb"}, {166, "pl"},    {186, ""},     {187, "fos"},
    {188, "pbbsl"}, {190, "fbbsl"}, {191, "pbbs"},  {193, "fbbs"},  {194, "pbs"},   {196, "fbs"},   {197, "pb"},   {199, "fb"},
    {202, "FiitFi"}, {203, "Psb"},  {204, "Psb"},   {206, "ib"},    {207, "xiibt"}, {208, "xiibt"}, {209, "xib"},  {210, "xbb"},
    {213, "i"},     {216, "mslll"}, {217, "fbs"},   {218, "b"},     {220, "ibit"},  {221, "fosi"},  {222, "ibb"},  {223, "ilbb"},
    {226, "i"},     {228, "ib"},    {229, "ib"},    {230, "iltb"},  {232, "fbii"},  {233, "fifb"},  {234, "PPg"},  {235, "pb"},
    {240, "plib"},  {241, "p"},     {242, "ibsit"}, {243, "ibsbt"}, {244, "ib"},    {245, "ibb"},   {247, "iPbib"}, {253, ""},
    {254, "fpl"},   {255, "fi"},    {257, "dpll"},  {258, "dpl"},   {259, "dpli"},  {260, "dpiil"}, {261, "dpb"},  {262, "dpbl"},
    {263, "dpl"},   {264, "dpdp"},  {265, "dpdpl"}, {266, "pdp"},   {267, "dpbs"},  {268, "dpl"},   {269, "dpl"},  {270, "ibbbtb"},
    {271, "bitbs"}, {272, "l"},     {273, "bs"},    {274, "Pbb"},   {275, "fbfbsl"}, {276, "ffsl"}, {277, "fosl"}, {278, "fvil"},
    {279, "Pibbbl"}, {280, "dptl"}, {281, "fbiibs"}, {282, "fbs"},  {283, "il"},    {284, "il"},    {285, "floo"}, {286, "fltb"},
    {287, "fb"},    {288, "fabl"},  {289, "fbsl"},  {290, "il"},    {291, "l"},     {292, "ffl"},   {293, "bl"},   {294, "l"},
    {295, "fvioo"}, {296, "fvioo"}, {297, "PPgb"},  {299, "fMilt"}, {302, "Pibb"},  {303, "dpbbl"}, {306, "f"},    {307, "fMil"},
    {309, "bbb"},   {310, "PvivIl"}, {311, "Pvivil"}, {314, "Pbl"}, {315, "Pbsl"},  {316, "dpdpl"}, {317, "ilb"},  {318, "bsl"},
    {319, "pl"},    {322, "dpbbl"}, {324, "il"},    {325, "msl"},   {326, "fbfbsl"}, {327, "fviool"}, {328, "fviool"}, {332, "dpllb"},
    {334, "bsil"},  {424, "fgbl"},  {425, "ib"},    {426, "fiilbs"}, {434, "Pl"},   {435, "bs"},    {436, "ffl"},  {437, "dpbs"},
    {438, "ffl"},   {439, "dpll"},  {440, "fvill"}, {448, "fl"}, {441, "fbitbs"}, {444, "bsl"},  {447, "l"},     {449, "biltl"}, {451, "fbbl"},
    {452, "dpll"},
};
#define SHAPE_COUNT (sizeof SHAPES / sizeof SHAPES[0])

static const char *const PATHS[] = {
    "", ".", "..", "/", TREE "/f", TREE "/dir", TREE "/dir/g", TREE "/link", TREE "/loop", TREE "/fifo", TREE "/socket", TREE "/none",
    TREE "/dir/none", TREE "/f/x", "f", "dir", "dir/g", "link", "none", "/proc/self/fd/3", "/proc/self/maps", "/proc/self/mem",
    "/proc/self/status", "/proc/self/fdinfo/5", "/proc/self/exe", "/proc/self", "/proc", "/proc/1/status", "/proc/self/task", "/proc/sys",
    "/proc/self/attr/current", "/proc/self/cwd", "/proc/self/root", "/proc/self/environ", "/proc/self/oom_score_adj",
    "/proc/self/comm", "/proc/self/uid_map", "/proc/self/ns/net", "/proc/self/mountinfo", "/proc/meminfo", "/proc/net/unix", "/dev",
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/ptmx", "/dev/pts/0", "/dev/tty", "/dev/shm", "/dev/shm/s",
    "/dev/mqueue/q", "/sys", "/sys/class/net", "/sys/devices/system/cpu/online", "/proc/self/timerslack_ns", "/proc/self/pagemap",
    "/proc/self/gid_map", "/proc/self/setgroups", "/proc/self/timens_offsets", "/proc/self/ns/user", "/proc/self/ns/time",
    "/proc/self/numa_maps", "/proc/self/timers", "/proc/sys/kernel/core_pattern", TREE "/core",
    "/proc/self/auxv", "/proc/self/smaps", "/proc/self/limits", "/proc/self/io", "/proc/self/cmdline", "/proc/cpuinfo", "/proc/stat",
};
#define PATH_COUNT (sizeof PATHS / sizeof PATHS[0])

static const uint64_t ODD[] = {
    0, 1, 2, 3, 4, 7, 8, 15, 16, 63, 64, 100, 127, 128, 255, 256, 1000, 4095, 4096, 4097, 65535, 65536, 1 << 20, 0x7ffffffe, 0x7fffffff,
    0x80000000, 0xfffffffe, 0xffffffff, 0x100000000, 0x1fffffffffffff, 0x20000000000001, 0x7ffffffff000, 0x7fffffffffff, 0x800000000000,
    0x7ffffffffffffff0, 0x7fffffffffffffff, 0x8000000000000000, 0xffff800000000000, 0xffffffffff600000, 0xfffffffffffff000,
    0xffffffffffffff9c, 0xfffffffffffffffe, 0xffffffffffffffff,
};
#define ODD_COUNT (sizeof ODD / sizeof ODD[0])

static uint64_t odd(struct Random *r) { return ODD[below(r, ODD_COUNT)]; }
static uint64_t flagMix(struct Random *r) {
  if (chance(r, 25)) return 0;
  uint64_t bits = 0;
  for (int n = 1 + below(r, 4); n > 0; n--) bits |= 1ull << below(r, chance(r, 90) ? 22 : 64);
  return bits;
}

/* An address in the arena; the pages are writable, read-only, without any right, or absent. */
static char *place(struct Random *r) {
  char *page = arena + PAGE * below(r, PAGES);
  if (chance(r, 20)) return page + PAGE - 1 - below(r, 24);
  return page + (below(r, PAGE) & ~7ull);
}
static char *writable(struct Random *r) {
  uint64_t page = below(r, PAGES);
  if (page % 4 == 3) page--;
  return arena + PAGE * page + 64 * below(r, 48);
}
static uint64_t word(struct Random *r) {
  switch (below(r, 6)) {
    case 0: return (uint64_t)place(r);
    case 1: return (uint64_t)writable(r);
    case 2: return below(r, 40);
    case 3: return below(r, 1024) | below(r, 64) << 32;
    case 4: return odd(r);
    default: return next(r);
  }
}

/* Fills what a buffer argument points to. */
static char *filled(struct Random *r) {
  if (chance(r, 12)) return place(r);
  uint64_t *at = (uint64_t *)writable(r);
  for (int i = 0; i < 16; i++) at[i] = word(r);
  return (char *)at;
}
static char *path(struct Random *r) {
  if (chance(r, 5)) return place(r);
  char *at = writable(r);
  strcpy(at, PATHS[below(r, PATH_COUNT)]);
  if (chance(r, 3)) memset(at, 'x', 600);
  return at;
}
static char *timespec(struct Random *r) {
  if (chance(r, 30)) return NULL;
  struct timespec *t = (struct timespec *)writable(r);
  t[0].tv_sec = t[1].tv_sec = 0;
  t[0].tv_nsec = t[1].tv_nsec = below(r, 2000000);
  if (chance(r, 20)) t[0].tv_sec = odd(r);
  if (chance(r, 20)) t[below(r, 2)].tv_nsec = odd(r);
  return (char *)t;
}
static char *vector(struct Random *r) {
  uint64_t *at = (uint64_t *)writable(r);
  for (int i = 0; i < 8; i++) {
    at[2 * i] = (uint64_t)(chance(r, 80) ? writable(r) : (char *)word(r));
    at[2 * i + 1] = chance(r, 85) ? below(r, 300) : odd(r);
  }
  return (char *)at;
}
static char *address(struct Random *r) {
  static const short FAMILIES[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNSPEC};
  char *at = filled(r);
  if (at < arena || chance(r, 10)) return at;
  at = writable(r);
  uint64_t *words = (uint64_t *)at;
  for (int i = 0; i < 16; i++) words[i] = chance(r, 50) ? 0 : word(r);
  *(short *)at = FAMILIES[below(r, 6)];
  if (*(short *)at == AF_UNIX) strcpy(at + 2, chance(r, 50) ? TREE "/socket" : TREE "/socket2");
  if (*(short *)at == AF_INET && chance(r, 70)) memcpy(at + 2, "\x1f\x90\x7f\x00\x00\x01", 6);
  return at;
}
static char *message(struct Random *r) {
  struct msghdr *m = (struct msghdr *)writable(r);
  memset(m, 0, sizeof *m);
  if (chance(r, 40)) m->msg_name = address(r), m->msg_namelen = chance(r, 80) ? 16 : odd(r);
  m->msg_iov = (struct iovec *)vector(r);
  m->msg_iovlen = chance(r, 90) ? below(r, 5) : odd(r);
  if (chance(r, 50)) {
    uint64_t *c = (uint64_t *)writable(r);
    c[0] = chance(r, 80) ? 16 + 4 * below(r, 4) : odd(r);
    c[1] = (chance(r, 80) ? 1 : below(r, 300)) | (1 + below(r, 3)) << 32;
    c[2] = below(r, 30) | below(r, 30) << 32;
    c[3] = word(r);
    m->msg_control = c;
    m->msg_controllen = chance(r, 80) ? 24 + 8 * below(r, 3) : odd(r);
  }
  return (char *)m;
}
static uint64_t ioctlRequest(struct Random *r) {
  switch (below(r, 7)) {
    case 5: return 0xb701 + below(r, 4);
    case 6: {
      static const uint32_t LISTENER[] = {0xc0502100, 0xc0182101, 0x40082102, 0x40182103, 0x40082104};
      return LISTENER[below(r, 5)];
    }
    case 0:
    case 1: return 0x5400 + below(r, 0x70);
    case 2: return 0x8900 + below(r, 0x80);
    case 3: return 0x80045430 + below(r, 16);
    default: return chance(r, 50) ? 0x40045431 : next(r) & 0xffffffff;
  }
}

static uint64_t argument(struct Random *r, char kind) {
  if (chance(r, 7)) return word(r);
  switch (kind) {
    case 'f': return chance(r, 96) ? below(r, 40) : odd(r);
    case 'd': return chance(r, 60) ? (uint64_t)AT_FDCWD : below(r, 40);
    case 'b': return (uint64_t)filled(r);
    case 'p': return (uint64_t)path(r);
    case 's': return chance(r, 75) ? below(r, 600) : odd(r);
    case 'o': return chance(r, 75) ? below(r, 20000) : odd(r);
    case 'i': return chance(r, 85) ? below(r, 40) : odd(r);
    case 'l': return flagMix(r);
    case 't': return (uint64_t)timespec(r);
    case 'v': return (uint64_t)vector(r);
    case 'a': return (uint64_t)address(r);
    case 'M': return (uint64_t)message(r);
    case 'g': return chance(r, 90) ? below(r, 66) : odd(r);
    case 'P': return chance(r, 60) ? 0 : chance(r, 50) ? (uint64_t)getpid() : below(r, 60) + 2;
    case 'm': return (uint64_t)arena + PAGE * below(r, PAGES + 4);
    case 'F': return (uint64_t)writable(r) & ~3ull;
    case 'I': return ioctlRequest(r);
    case 'T': return chance(r, 60) ? below(r, 34) : 0x4200 + below(r, 18);
    case 'C': return chance(r, 70) ? flagMix(r) & ~0xffull & ~(uint64_t)CLONE_VM : flagMix(r);
    default: return word(r);
  }
}

#endif
