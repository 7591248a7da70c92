#ifndef TSVISOR_KVM_MACHINE_H
#define TSVISOR_KVM_MACHINE_H

#include "kvm_run.h"

struct machine_options {
	int kvm_fd, vcpu_limit, pagemap_fd;
	enum entry entry;
	enum paging paging;
	char *vdso_host; /* data pages, then code from vdso_code on */
	uint64_t vdso_length, vdso_code, vdso_place;
};

int machine_open(const struct machine_options *o);
void machine_close(void);
const char *machine_lacks(int kvm_fd);

/* kvm_probe.c */
struct probe {
	enum entry entry;
	enum paging paging;
	bool same_clock;      /* the guest's time stamp counter is the host's */
	double round_trip_ns; /* of a system call, both ways */
	double trap_ns;       /* of a signal to oneself: what the host's own traps cost */
	char message[160];    /* why not, if entry is ENTRY_NONE */
};
void kvm_probe(int kvm_fd, struct probe *p);

#endif
