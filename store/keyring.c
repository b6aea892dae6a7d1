/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TITLE "lienthong keyring 1\n"

enum {
	TITLE_LEN = 32, /* filled with zeros */
	BLOCK = 256,    /* keys made at once: a sync each time would cost as much as a commit */
};

struct keyring {
	int fd;
	uint32_t n; /* keys on disk, destroyed ones too */
};

static off_t place(uint32_t number) {
	return TITLE_LEN + (off_t)number * SEAL_KEY_LEN;
}

static int write_at(int fd, const uint8_t *bytes, size_t len, off_t at) {
	while (len > 0) {
		ssize_t n = pwrite(fd, bytes, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		at += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int read_at(int fd, uint8_t *ret_bytes, size_t len, off_t at) {
	while (len > 0) {
		ssize_t n = pread(fd, ret_bytes, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		ret_bytes += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The name in the directory must survive a power cut as well as the file. */
static int sync_folder(const char *path) {
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int fd, r;

	if (!folder)
		return -ENOMEM;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		(void)close(fd);
	free(folder);
	return r;
}

/* A file that was just made, or whose making was cut short, gets its title. */
static int begin_file(struct keyring *keyring, const char *path) {
	static const uint8_t title[TITLE_LEN] = TITLE;
	int r = write_at(keyring->fd, title, sizeof(title), 0);

	return r ? r : sync_folder(path);
}

static int check_file(struct keyring *keyring, const char *path) {
	uint8_t title[TITLE_LEN];
	struct stat st;
	int r;

	if (fstat(keyring->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return KEYRING_MALFORMED;
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return KEYRING_EXPOSED;
	if (st.st_size < TITLE_LEN)
		return begin_file(keyring, path);
	r = read_at(keyring->fd, title, sizeof(title), 0);
	if (r)
		return r;
	if (memcmp(title, TITLE, sizeof(TITLE) - 1) != 0)
		return KEYRING_MALFORMED;
	/* a last key that was cut short was never used: the next block begins there */
	keyring->n = (uint32_t)((st.st_size - TITLE_LEN) / SEAL_KEY_LEN);
	return 0;
}

int keyring_open(const char *path, struct keyring **ret_keyring) {
	_cleanup_(keyring_closep) struct keyring *keyring = calloc(1, sizeof(*keyring));
	int r;

	if (!keyring)
		return -ENOMEM;
	keyring->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (keyring->fd < 0)
		return errno == ELOOP ? KEYRING_MALFORMED : -errno;
	r = check_file(keyring, path);
	if (r)
		return r;
	*ret_keyring = TAKE(keyring);
	return 0;
}

struct keyring *keyring_close(struct keyring *keyring) {
	if (keyring && keyring->fd >= 0)
		(void)close(keyring->fd);
	free(keyring);
	return NULL;
}

void keyring_closep(struct keyring **keyring) {
	*keyring = keyring_close(*keyring);
}

int keyring_make(struct keyring *keyring, uint32_t number) {
	uint8_t block[BLOCK * SEAL_KEY_LEN];
	int r = 0;

	while (r == 0 && number >= keyring->n) {
		if (keyring->n > UINT32_MAX - BLOCK)
			return -ENOSPC;
		r = random_bytes(block, sizeof(block));
		if (!r)
			r = write_at(keyring->fd, block, sizeof(block), place(keyring->n));
		if (!r)
			keyring->n += BLOCK;
	}
	explicit_bzero(block, sizeof(block));
	return r;
}

int keyring_get(struct keyring *keyring, uint32_t number, uint8_t ret_key[SEAL_KEY_LEN]) {
	static const uint8_t nothing[SEAL_KEY_LEN];
	int r;

	if (number >= keyring->n)
		return KEYRING_NO_KEY;
	r = read_at(keyring->fd, ret_key, SEAL_KEY_LEN, place(number));
	if (r)
		return r;
	return memcmp(ret_key, nothing, sizeof(nothing)) == 0 ? KEYRING_ERASED : 0;
}

int keyring_erase(struct keyring *keyring, uint32_t number) {
	static const uint8_t nothing[SEAL_KEY_LEN];

	return number < keyring->n ? write_at(keyring->fd, nothing, sizeof(nothing), place(number)) : 0;
}
