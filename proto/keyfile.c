/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define TITLE "lienthong keys 1\n"

enum {
	TITLE_LEN = sizeof(TITLE) - 1,
	HEX_LEN = 2 * 32,
};
_Static_assert(KEYFILE_LEN == TITLE_LEN + 2 * (HEX_LEN + 1), "the title and two lines");

static const char digits[] = "0123456789abcdef";

void keyfile_forbid_dumps(void) {
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	(void)prctl(PR_SET_DUMPABLE, 0); /* a core that goes to a program knows no limit */
}

static void closep(int *fd) {
	if (*fd >= 0)
		(void)close(*fd);
}

static void write_line(char *text, const uint8_t key[32]) {
	for (size_t i = 0; i < 32; i++) {
		*text++ = digits[key[i] >> 4];
		*text++ = digits[key[i] & 15];
	}
	*text = '\n';
}

static bool read_line_of(const char *text, uint8_t ret_key[32]) {
	for (size_t i = 0; i < HEX_LEN; i++) {
		const char *digit = memchr(digits, text[i], 16);

		if (!digit)
			return false;
		ret_key[i / 2] = (uint8_t)(ret_key[i / 2] << 4 | (digit - digits));
	}
	return text[HEX_LEN] == '\n';
}

void keyfile_encode(const struct keyfile *keys, char ret_text[KEYFILE_LEN]) {
	memcpy(ret_text, TITLE, TITLE_LEN);
	write_line(ret_text + TITLE_LEN, keys->seed);
	write_line(ret_text + TITLE_LEN + HEX_LEN + 1, keys->curve_secret);
}

int keyfile_decode(struct span text, struct keyfile *ret_keys) {
	const char *at = (const char *)text.data;
	struct keyfile keys = { 0 };
	int r = KEYFILE_MALFORMED;

	if (text.len == KEYFILE_LEN && memcmp(at, TITLE, TITLE_LEN) == 0 &&
		read_line_of(at + TITLE_LEN, keys.seed) &&
		read_line_of(at + TITLE_LEN + HEX_LEN + 1, keys.curve_secret)) {
		*ret_keys = keys;
		r = 0;
	}
	explicit_bzero(&keys, sizeof(keys));
	return r;
}

int keyfile_write_all(int fd, struct span bytes) {
	while (bytes.len > 0) { /* a disk that becomes full takes a part first, and then says so */
		ssize_t n = write(fd, bytes.data, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes.data += n;
		bytes.len -= (size_t)n;
	}
	return 0;
}

int keyfile_check_folder(const char *path) {
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return st.st_uid != geteuid() || (st.st_mode & 022) ? KEYFILE_EXPOSED : 0;
}

/* The directory of @path. */
static int open_folder(const char *path, int flags) {
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	int fd;

	if (len >= sizeof(folder))
		return -ENAMETOOLONG;
	memcpy(folder, path, len);
	folder[len] = '\0';
	fd = open(len ? folder : slash ? "/" : ".", flags | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int keyfile_sync_folder(const char *path) {
	_cleanup_(closep) int fd = open_folder(path, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return fd;
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_synced(int fd, const char *text, size_t len) {
	int r = keyfile_write_all(fd, (struct span){ (const uint8_t *)text, len });

	return r ? r : fsync(fd) < 0 ? -errno : 0;
}

/* Without a name until it is whole, so that whatever ends us leaves nothing behind. */
static int write_unnamed(const char *path, const char *text, size_t len) {
	_cleanup_(closep) int fd = open_folder(path, O_WRONLY | O_TMPFILE);
	char name[32];
	int r;

	if (fd < 0)
		return fd;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	r = fchmod(fd, 0600) < 0 ? -errno : write_synced(fd, text, len);
	/* and not renamed: keys that are there already are never replaced */
	return r ? r : linkat(AT_FDCWD, name, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* Some know links, and the FAT of a stick only this. */
static int rename_new(const char *from, const char *to) {
	if (link(from, to) == 0)
		return 0;
	if (errno != EPERM && errno != EOPNOTSUPP)
		return -errno;
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

/* Where the file system knows no files without a name. */
static int write_named(const char *path, const char *text, size_t len) {
	_cleanup_(closep) int fd = -1;
	char temporary[PATH_MAX];
	int n, r;

	n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC); /* 0600, whatever the umask */
	if (fd < 0)
		return -errno;
	r = write_synced(fd, text, len);
	if (!r)
		r = rename_new(temporary, path);
	(void)unlink(temporary);
	return r;
}

int keyfile_write_text(const char *path, const char *text, size_t len) {
	int r = write_unnamed(path, text, len);

	if (r == -EOPNOTSUPP || r == -EISDIR || r == -ENOENT)
		r = write_named(path, text, len);
	return r ? r : keyfile_sync_folder(path);
}

int keyfile_write(const char *path, const struct keyfile *keys) {
	char text[KEYFILE_LEN];
	int r;

	keyfile_encode(keys, text);
	r = keyfile_write_text(path, text, sizeof(text));
	explicit_bzero(text, sizeof(text));
	return r;
}

int keyfile_replace(const char *path, const char *next) {
	return rename(next, path) < 0 ? -errno : keyfile_sync_folder(path);
}

int keyfile_read(const char *path, struct keyfile *ret_keys) {
	_cleanup_(closep) int fd = -1;
	char text[KEYFILE_LEN + 1];
	size_t len = 0;
	struct stat st;
	ssize_t n;
	int r;

	/* not through a symbolic link; and a pipe of that name must not make us wait */
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? KEYFILE_MISSING : errno == ELOOP ? KEYFILE_MALFORMED : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return KEYFILE_MALFORMED;
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return KEYFILE_EXPOSED;

	do {
		n = read(fd, text + len, sizeof(text) - len);
		if (n < 0 && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
	} while (n != 0 && len < sizeof(text));
	r = n < 0 ? -errno : keyfile_decode((struct span){ (const uint8_t *)text, len }, ret_keys);
	explicit_bzero(text, sizeof(text));
	return r;
}
