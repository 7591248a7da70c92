/*
 * Guest tests: each program runs on the host's Linux first and then in the sandbox, with the same assertions. CHECK ends the
 * program with the place and the errno; a program that reaches the end of main prints "ok" lines and exits 0.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                                          \
	do {                                                                                                      \
		if (!(condition)) {                                                                               \
			fprintf(stderr, "%s:%d: %s (errno %d %s)\n", __FILE__, __LINE__, #condition, errno, strerror(errno)); \
			_exit(1);                                                                                 \
		}                                                                                                 \
	} while (0)

/* expression fails with this errno */
#define FAILS(expression, expected)                                                                               \
	do {                                                                                                      \
		errno = 0;                                                                                        \
		long result_ = (long)(expression);                                                                \
		if (result_ != -1 || errno != (expected)) {                                                       \
			fprintf(stderr, "%s:%d: %s gave %ld, errno %d %s, not %s\n", __FILE__, __LINE__, #expression, result_, errno, \
				strerror(errno), #expected);                                                      \
			_exit(1);                                                                                 \
		}                                                                                                 \
	} while (0)

/* Runs one named part in a child process, so that its signals, limits and descriptors stay its own. */
#define PART(function)                                                                                            \
	do {                                                                                                      \
		fflush(stdout);                                                                                   \
		pid_t pid_ = fork();                                                                              \
		CHECK(pid_ >= 0);                                                                                 \
		if (pid_ == 0) {                                                                                  \
			function();                                                                               \
			_exit(0);                                                                                 \
		}                                                                                                 \
		int status_;                                                                                      \
		CHECK(waitpid(pid_, &status_, 0) == pid_);                                                        \
		if (status_ != 0) {                                                                               \
			fprintf(stderr, "%s: status 0x%x\n", #function, status_);                                 \
			_exit(1);                                                                                 \
		}                                                                                                 \
		printf("ok %s\n", #function);                                                                     \
	} while (0)

#endif
