/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Loaded before the command line: the signal LIENTHONG_CUT_BY comes at the call, of those below, that
 * LIENTHONG_CUT_AT counts to from 1, and finds what writes with only a part written.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PART = 100, /* bytes */
};

static int n_calls;

static bool is_now(void) {
	const char *at = getenv("LIENTHONG_CUT_AT");

	return at && __atomic_add_fetch(&n_calls, 1, __ATOMIC_SEQ_CST) == atoi(at);
}

static void cut(void) {
	(void)kill(getpid(), atoi(getenv("LIENTHONG_CUT_BY")));
}

/* What the name means to everybody else. */
static void *next_of(const char *name) {
	return dlsym(RTLD_NEXT, name);
}

int mkdir(const char *path, mode_t mode) {
	int (*next)(const char *, mode_t);

	*(void **)&next = next_of("mkdir");
	if (is_now())
		cut();
	return next(path, mode);
}

int mkdirat(int fd, const char *path, mode_t mode) {
	int (*next)(int, const char *, mode_t);

	*(void **)&next = next_of("mkdirat");
	if (is_now())
		cut();
	return next(fd, path, mode);
}

int unlinkat(int fd, const char *path, int flags) {
	int (*next)(int, const char *, int);

	*(void **)&next = next_of("unlinkat");
	if (is_now())
		cut();
	return next(fd, path, flags);
}

int rename(const char *from, const char *to) {
	int (*next)(const char *, const char *);

	*(void **)&next = next_of("rename");
	if (is_now())
		cut();
	return next(from, to);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
	int (*next)(int, const char *, int, const char *);

	*(void **)&next = next_of("renameat");
	if (is_now())
		cut();
	return next(from_fd, from, to_fd, to);
}

int rmdir(const char *path) {
	int (*next)(const char *);

	*(void **)&next = next_of("rmdir");
	if (is_now())
		cut();
	return next(path);
}

int fsync(int fd) {
	int (*next)(int);

	*(void **)&next = next_of("fsync");
	if (is_now())
		cut();
	return next(fd);
}

int fdatasync(int fd) {
	int (*next)(int);

	*(void **)&next = next_of("fdatasync");
	if (is_now())
		cut();
	return next(fd);
}

ssize_t write(int fd, const void *bytes, size_t len) {
	ssize_t (*next)(int, const void *, size_t);

	*(void **)&next = next_of("write");
	if (!is_now())
		return next(fd, bytes, len);
	len = (size_t)next(fd, bytes, len < PART ? len : PART);
	cut();
	return (ssize_t)len;
}

ssize_t sendfile(int to_fd, int from_fd, off_t *at, size_t len) {
	ssize_t (*next)(int, int, off_t *, size_t);

	*(void **)&next = next_of("sendfile");
	if (!is_now())
		return next(to_fd, from_fd, at, len);
	len = (size_t)next(to_fd, from_fd, at, len < PART ? len : PART);
	cut();
	return (ssize_t)len;
}
