/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TITLE "lienthong keyring 1\n"

enum {
	TITLE_LEN = 32,
	FILE_AT = TITLE_LEN - 8, /* the number that it is called after; zeros before it */
	BLOCK = 256,    /* keys made at once: a sync each time would cost as much as a commit */
};

struct keyring {
	int folder;
	uint64_t file; /* that was used last */
	int fd;        /* of that; -1: none is open */
	uint64_t made; /* by this process; 0: none */
};

static off_t place(uint32_t number) {
	return TITLE_LEN + (off_t)number * SEAL_KEY_LEN;
}

/* No room for this user is no room. */
static int failed(void) {
	return errno == EDQUOT ? -ENOSPC : -errno;
}

static int write_at(int fd, const uint8_t *bytes, size_t len, off_t at) {
	while (len > 0) {
		ssize_t n = pwrite(fd, bytes, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed();
		bytes += n;
		at += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? failed() : 0;
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

void keyring_name(uint64_t file, char ret_name[KEYRING_NAME_MAX]) {
	snprintf(ret_name, KEYRING_NAME_MAX, "private-%016" PRIx64 ".keys", file);
}

bool keyring_name_parse(const char *name, uint64_t *ret_file) {
	char same[KEYRING_NAME_MAX];
	uint64_t file = 0;

	if (strncmp(name, "private-", 8) != 0 || sscanf(name + 8, "%16" SCNx64, &file) != 1)
		return false;
	keyring_name(file, same);
	*ret_file = file;
	return strcmp(name, same) == 0;
}

static int check_title(int fd, uint64_t file) {
	uint8_t title[TITLE_LEN], want[TITLE_LEN] = TITLE;
	int r;

	put_be64(want + FILE_AT, file);
	r = read_at(fd, title, sizeof(title), 0);
	return r ? r : memcmp(title, want, sizeof(title)) != 0 ? KEYRING_MALFORMED : 0;
}

static void close_file(struct keyring *keyring) {
	if (keyring->fd >= 0)
		(void)close(keyring->fd);
	keyring->fd = -1;
}

static int open_file(struct keyring *keyring, uint64_t file) {
	char name[KEYRING_NAME_MAX];

	keyring_name(file, name);
	keyring->file = file;
	keyring->fd = openat(keyring->folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (keyring->fd >= 0)
		return 0;
	switch (errno) {
	case ENOENT:
		return KEYRING_NO_KEY;
	case EACCES:
	case EPERM:
		return KEYRING_EXPOSED;
	case ELOOP:
	case EISDIR:
		return KEYRING_MALFORMED;
	default:
		return -errno;
	}
}

/* The file as it is now: somebody may have put a copy there since it was used last. */
static int use_file(struct keyring *keyring, uint64_t file, uint32_t *ret_n) {
	struct stat st;
	bool open = keyring->fd >= 0 && keyring->file == file && fstat(keyring->fd, &st) == 0 && st.st_nlink > 0;
	int r = 0;

	if (!open) {
		close_file(keyring);
		r = open_file(keyring, file);
		if (r == 0 && fstat(keyring->fd, &st) < 0)
			r = -errno;
	}
	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_size < TITLE_LEN))
		r = KEYRING_MALFORMED;
	if (r == 0 && (st.st_uid != geteuid() || (st.st_mode & 077)))
		r = KEYRING_EXPOSED;
	if (r == 0 && !open)
		r = check_title(keyring->fd, file);
	if (r) {
		close_file(keyring);
		return r;
	}
	/* a last key that was cut short was never used: the next block begins there */
	*ret_n = (uint32_t)((st.st_size - TITLE_LEN) / SEAL_KEY_LEN);
	return 0;
}

int keyring_open(const char *folder, struct keyring **ret_keyring) {
	struct keyring *keyring = calloc(1, sizeof(*keyring));
	int r;

	if (!keyring)
		return -ENOMEM;
	keyring->fd = -1;
	keyring->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = keyring->folder < 0 ? -errno : 0;
	if (r)
		keyring = keyring_close(keyring);
	*ret_keyring = keyring;
	return r;
}

struct keyring *keyring_close(struct keyring *keyring) {
	if (!keyring)
		return NULL;
	close_file(keyring);
	if (keyring->folder >= 0)
		(void)close(keyring->folder);
	free(keyring);
	return NULL;
}

void keyring_closep(struct keyring **keyring) {
	*keyring = keyring_close(*keyring);
}

static int is_ours(const struct dirent *entry) {
	uint64_t file;

	return keyring_name_parse(entry->d_name, &file);
}

int keyring_each(struct keyring *keyring, int (*fn)(void *userdata, uint64_t file), void *userdata) {
	struct dirent **entries;
	int n = scandirat(keyring->folder, ".", &entries, is_ours, alphasort);
	int r = n < 0 ? -errno : 0;

	for (int i = 0; i < n; i++) {
		uint64_t file;

		if (r == 0 && keyring_name_parse(entries[i]->d_name, &file))
			r = fn(userdata, file);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return r;
}

int keyring_size(struct keyring *keyring, uint64_t file, uint32_t *ret_n) {
	return use_file(keyring, file, ret_n);
}

/* A file with its title, whole or not at all; its name must survive a power cut, too. */
static int make_file(struct keyring *keyring, uint64_t file) {
	static const char part[] = "private.keys.part";
	uint8_t title[TITLE_LEN] = TITLE;
	char name[KEYRING_NAME_MAX];
	int fd, r;

	put_be64(title + FILE_AT, file);
	keyring_name(file, name);
	fd = openat(keyring->folder, part, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed();
	r = write_at(fd, title, sizeof(title), 0);
	(void)close(fd);
	if (r == 0 && (renameat(keyring->folder, part, keyring->folder, name) < 0 || fsync(keyring->folder) < 0))
		r = failed();
	return r;
}

int keyring_begin(struct keyring *keyring, uint64_t but, uint64_t *ret_file) {
	uint64_t file = 0;
	uint32_t n;
	int r;

	/* of a turn that was given up; else a full disk would get another at each try */
	if (keyring->made && keyring->made != but && use_file(keyring, keyring->made, &n) == 0) {
		*ret_file = keyring->made;
		return 0;
	}
	r = random_bytes(&file, sizeof(file));
	if (r == 0)
		r = make_file(keyring, file);
	if (r == 0)
		*ret_file = keyring->made = file;
	return r;
}

int keyring_make(struct keyring *keyring, const struct keyring_key *key) {
	uint8_t block[BLOCK * SEAL_KEY_LEN];
	uint32_t n;
	int r = use_file(keyring, key->file, &n);

	while (r == 0 && key->number >= n) {
		if (n > UINT32_MAX - BLOCK)
			return -ENOSPC;
		r = random_bytes(block, sizeof(block));
		if (!r)
			r = write_at(keyring->fd, block, sizeof(block), place(n));
		n += BLOCK;
	}
	explicit_bzero(block, sizeof(block));
	return r;
}

int keyring_get(struct keyring *keyring, const struct keyring_key *key, uint8_t ret_key[SEAL_KEY_LEN]) {
	static const uint8_t nothing[SEAL_KEY_LEN];
	uint32_t n;
	int r = use_file(keyring, key->file, &n);

	if (r || key->number >= n)
		return r ? r : KEYRING_NO_KEY;
	r = read_at(keyring->fd, ret_key, SEAL_KEY_LEN, place(key->number));
	if (r)
		return r;
	return memcmp(ret_key, nothing, sizeof(nothing)) == 0 ? KEYRING_ERASED : 0;
}

int keyring_erase(struct keyring *keyring, const struct keyring_key *key) {
	static const uint8_t nothing[SEAL_KEY_LEN];
	uint32_t n;
	int r = use_file(keyring, key->file, &n);

	if (r || key->number >= n)
		return r ? r : KEYRING_NO_KEY;
	return write_at(keyring->fd, nothing, sizeof(nothing), place(key->number));
}
