/*
 * The KVM platform's parts. One virtual machine in a process; docs in platforms/README.md.
 *
 * Guest-physical memory is a window of this process's own memory, in regions: MISC (ring 0 of the guest), TABLES (page tables), PLAIN and
 * HUGE (anonymous memory; HUGE asks the host for huge pages) and FILES (mapped files). All memory state is guarded by vm.lock.
 */
#ifndef TSVISOR_KVM_H
#define TSVISOR_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE 4096ULL
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define BLOCK_SIZE (2ULL << 20)
#define BLOCK_PAGES 512
#define MAX_THREADS 8192
#define MAX_SPACES 8192
#define MAX_VCPUS 64

/* Where system calls leave the guest. */
enum entry {
	ENTRY_NONE,
	ENTRY_HARDWARE, /* LSTAR is a page of ring 0 */
	ENTRY_USER,     /* `syscall` arrives at LSTAR with user rights, and may write a port */
	ENTRY_FAULT,    /* LSTAR is not mapped: the page fault is the call */
};
/* What makes the guest see a changed page table. */
enum paging {
	PAGING_TLB,    /* the processor reads the guest's tables: a flush of its TLB */
	PAGING_SHADOW, /* the host keeps a copy: it must be told page by page, by its own memory's changes */
};

/* Page-table entries (Intel SDM vol. 3, 4.5). */
#define PTE_PRESENT 0x1ULL
#define PTE_WRITE 0x2ULL
#define PTE_USER 0x4ULL
#define PTE_ACCESSED_DIRTY 0x60ULL
#define PTE_LARGE 0x80ULL
#define PTE_HELD 0x200ULL /* ours: not present, but the frame is the page's (PROT_NONE) */
#define PTE_NX (1ULL << 63)
#define PTE_FRAME 0x000ffffffffff000ULL

/* What may be done with memory; PROT_* values. */
#define ACCESS_READ 1
#define ACCESS_WRITE 2
#define ACCESS_EXEC 4

/* A part of the window: [gpa, gpa + size) is backed, up to `limit`. */
struct region {
	uint64_t gpa, size, limit, step;
	char *host;
	int protection;
};

/* A mapped file, by identity. Guarded by vm.lock. */
struct kvm_file {
	struct kvm_file *next;
	uint64_t device, inode;
	bool writable, in_memory; /* its pages are memory that the host cannot write elsewhere */
	int fd;
	size_t references; /* ranges that map it */
	struct file_chunk *chunks;
	size_t chunk_count;
};

#define RANGE_SHARED 1
#define RANGE_DONTFORK 2
#define RANGE_WIPEONFORK 4

/* A mapped range. Ascending, disjoint. */
struct range {
	uint64_t start, end;
	struct kvm_file *file; /* one reference */
	uint64_t offset;       /* of `start`, bytes */
	uint8_t protection, flags;
};

struct space {
	bool used;
	uint64_t id;   /* never used twice */
	uint64_t root; /* guest-physical */
	_Atomic uint64_t generation; /* goes up when translations were taken away (PAGING_TLB) */
	struct range *ranges;
	size_t count, capacity;
	uint64_t anonymous_pages, file_pages;
};

/* What the guest starts from: set by the probe or the platform's options. */
struct guest_layout {
	uint64_t lstar, ring0, vsyscall;
};

/* What applications may still be given, in pages. Negative while copies of the Sentry's own have overdrawn it. */
struct room {
	int64_t pages;
	int64_t zone;  /* the last ones, given one by one */
	int64_t alarm; /* at so few the Sentry is asked */
};

struct vm {
	int kvm_fd, fd, run_size;
	int pagemap_fd; /* of this process, the caller's; -1: none */
	enum entry entry;
	enum paging paging;
	pthread_mutex_t lock;
	struct region misc, tables, plain, huge, files;
	struct room room;
	int next_slot;
	uint64_t vdso_gpa, vdso_length, vdso_entry;
	char *vdso_host;
	uint64_t vdso_place;
	bool running;
	struct space spaces[MAX_SPACES];
};
extern struct vm vm;

/* kvm_window.c */
int window_open(int kvm_fd, int address_bits);
void window_close(void);
int region_grow(struct region *r, uint64_t size);
int window_zap(void);
int window_show(uint64_t gpa, void *host, uint64_t size);
char *window_host(uint64_t gpa);
static inline bool region_has(const struct region *r, uint64_t gpa) { return gpa - r->gpa < r->size; }
static inline bool is_anonymous(uint64_t gpa) { return region_has(&vm.plain, gpa) || region_has(&vm.huge, gpa); }

/* kvm_frames.c: anonymous memory. */
int frames_open(void);
void frames_close(void);
uint64_t block_reserve(bool huge);
void block_unreserve(uint64_t gpa);
void block_keep(uint64_t gpa);
uint64_t block_at(bool huge, uint32_t index, bool *own);
uint64_t frame_take(bool zeroed);
void frame_hold(uint64_t gpa, size_t count);
bool frame_drop(uint64_t gpa);
bool frame_is_small(uint64_t gpa);
void frame_recycle(uint64_t gpa, bool clean);
bool frame_exclusive(uint64_t gpa);
bool frame_unused(uint64_t gpa);
void frames_clean(void);

/* kvm_tables.c: page tables of spaces. */
int tables_open(void);
void tables_close(void);
uint64_t table_take(void);
void table_free(uint64_t gpa);
uint64_t *table_at(uint64_t gpa);
uint64_t *leaf_find(const struct space *s, uint64_t va, int *level);
uint64_t *directory_make(struct space *s, uint64_t va);
uint64_t *leaf_make(struct space *s, uint64_t va);
void leaf_set(uint64_t *leaf, uint64_t value);
unsigned table_used(uint64_t gpa);
uint64_t table_block(uint64_t gpa);
void table_set_block(uint64_t gpa, uint64_t block);
int split_large(uint64_t *directory_entry);
uint64_t next_mapped(const struct space *s, uint64_t va, uint64_t end);

/* kvm_gather.c: taking translations and frames away. */
#define GATHER_RUNS 24
struct gather {
	struct space *space;
	bool dying, changed, zap;
	size_t count;
	struct { uint64_t gpa, length; } runs[GATHER_RUNS];
	uint64_t release_gpa, release_length;
};
void gather_begin(struct gather *g, struct space *s, bool dying);
void gather_flush(struct gather *g, uint64_t gpa, uint64_t length);
void gather_drop(struct gather *g, uint64_t gpa);
void gather_zap(struct gather *g);
void gather_end(struct gather *g);

/* kvm_files.c */
int files_open(void);
void files_close(void);
struct kvm_file *file_get(int fd, bool shared, int protection, int *error);
struct kvm_file *file_hold(struct kvm_file *f);
void file_put(struct kvm_file *f);
uint64_t file_page(struct kvm_file *f, uint64_t offset, int *error);
uint64_t file_size(const struct kvm_file *f);
bool files_touch(uint64_t gpa, uint64_t length);

/* kvm_ranges.c */
size_t range_index(const struct space *s, uint64_t va);
struct range *range_find(const struct space *s, uint64_t va);
int range_add(struct space *s, const struct range *r);
int range_cut(struct space *s, uint64_t start, uint64_t end);
int range_change(struct space *s, uint64_t start, uint64_t end, int protection, int set, int clear);
bool range_covers(const struct space *s, uint64_t start, uint64_t end);

/* kvm_fault.c */
enum fault { FAULT_NONE, FAULT_UNMAPPED, FAULT_FORBIDDEN, FAULT_BUS, FAULT_MEMORY, FAULT_SHORT };
enum fault space_fault(struct space *s, uint64_t va, int access, bool guest, bool forced);
uint64_t leaf_flags(const struct range *r, uint64_t gpa, bool exclusive);
bool drop_beyond_end(struct space *s);

/* kvm_room.c */
void room_open(void);
void room_grant(int64_t pages, int64_t zone);
void room_give_back(int64_t pages);
enum fault room_check(bool guest);

/* kvm_residency.c */
uint64_t space_resident(const struct space *s);
void space_pagemap(const struct space *s, uint64_t va, uint64_t *into, size_t count);
uint64_t memory_trim(void);

/* kvm_space.c, kvm_fork.c, kvm_move.c */
struct space *space_at(int64_t index);
int space_new(void);
void space_free(struct space *s);
int space_map(struct space *s, uint64_t start, uint64_t length, int protection);
int space_map_file(struct space *s, uint64_t start, uint64_t length, int protection, bool shared, int fd, uint64_t offset);
int space_unmap(struct space *s, uint64_t start, uint64_t length);
int space_protect(struct space *s, uint64_t start, uint64_t length, int protection);
int space_advise(struct space *s, uint64_t start, uint64_t length, int advice);
int space_grow(struct space *s, uint64_t start, uint64_t old_length, uint64_t new_length);
int space_move(struct space *s, uint64_t from, uint64_t old_length, uint64_t to, uint64_t new_length, bool keep);
int space_fork(struct space *parent);
void drop_pages(struct gather *g, struct space *s, uint64_t start, uint64_t end);
int isolate_edges(struct gather *g, struct space *s, uint64_t start, uint64_t end);

/* kvm_access.c: the Sentry reads and writes application memory. */
int64_t space_copy(struct space *s, uint64_t va, char *buffer, size_t count, bool write, bool forced);
int space_change_word(struct space *s, uint64_t va, uint32_t operation);

/* kvm_guest.c: the guest's ring 0 and a vCPU's first state. */
struct vcpu_state {
	struct kvm_sregs sregs;
	uint64_t stack_gpa;
};
#define STUB_SIZE 16
#define PORT_CALL 0x11
#define PORT_EXCEPTION 0x12
extern const struct guest_layout guest;
int guest_build(void);
int guest_setup_vcpu(int fd, int index, struct vcpu_state *state);
uint64_t guest_kernel_directory(void);
uint64_t guest_stubs(void);
uint64_t guest_vdso_directory(void);

/* kvm_cpuid.c */
#define CR4_PGE 0x80ULL
#define CR4_FSGSBASE 0x10000ULL
#define CR4_OSXSAVE 0x40000ULL
int cpuid_load(void);
int cpuid_install(int fd, int index);
uint64_t cpuid_cr4(void);
uint64_t cpuid_xcr0(void);
size_t cpuid_xstate_bytes(void);
int cpuid_address_bits(void);

#endif
