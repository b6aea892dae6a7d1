/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/keyfile.h"
#include "tools/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/keyring.h"

enum {
	COPY_CHUNK = 1 << 20,
	HASH_TEXT = 2 * sizeof(struct hash),
	LINE_MAX_LEN = HASH_TEXT + 2 + PART_NAME_MAX, /* as sha256sum(1) writes it */
	COMPLETE_MAX = 64 + PARTS_MAX * LINE_MAX_LEN,
};

static const char title[] = "lienthong backup 1\n";

static const struct {
	const char *name;
	bool optional;
	off_t max;
} fixed[] = {
	{ PART_STORE, false, (off_t)16 << 40 }, /* the largest store_size */
	{ PART_KEYS, false, 4096 },
	{ "request", true, 16384 },
	{ "lienthong.yaml", true, 65536 },
	{ "denunciation.key", true, 4096 }, /* the half that seals */
};

static const off_t keyring_max = (off_t)256 << 30; /* more than it can have keys */

bool parts_known(const char *name, off_t *ret_max) {
	uint64_t file;

	for (size_t i = 0; i < N_ELEMENTS(fixed); i++) {
		if (strcmp(name, fixed[i].name) == 0) {
			*ret_max = fixed[i].max;
			return true;
		}
	}
	*ret_max = strcmp(name, PART_COMPLETE) == 0 ? COMPLETE_MAX : keyring_max;
	return strcmp(name, PART_COMPLETE) == 0 || keyring_name_parse(name, &file);
}

static int add(struct parts *parts, const char *name) {
	struct part *part = &parts->list[parts->n];
	uint64_t file;

	if (parts->n == PARTS_MAX)
		return -E2BIG;
	*part = (struct part){ .private = keyring_name_parse(name, &file), .fd = -1 };
	snprintf(part->name, sizeof(part->name), "%s", name);
	parts->n++;
	return 0;
}

static int add_keyring(void *userdata, uint64_t file) {
	char name[KEYRING_NAME_MAX];

	keyring_name(file, name);
	return add(userdata, name);
}

int parts_find(const char *folder, struct parts *ret_parts) {
	_cleanup_(keyring_closep) struct keyring *keyring = NULL;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	ret_parts->n = 0;
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(fixed); i++) {
		if (faccessat(fd, fixed[i].name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			r = add(ret_parts, fixed[i].name);
		else if (errno != ENOENT || !fixed[i].optional)
			r = -errno;
	}
	if (fd >= 0)
		(void)close(fd);
	if (r == 0)
		r = keyring_open(folder, &keyring);
	return r ? r : keyring_each(keyring, add_keyring, ret_parts);
}

int part_write(int dir_fd, const char *name, int from_fd, const char *text) {
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t n = 0;
	int r;

	if (fd < 0)
		return -errno;
	if (!text)
		while ((n = sendfile(fd, from_fd, NULL, COPY_CHUNK)) > 0)
			;
	r = n < 0 ? -errno : text ? keyfile_write_all(fd, span_str(text)) : 0;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

static int hash_file(int fd, struct hash *ret_hash) {
	struct stat st;
	void *bytes = NULL;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > 0) {
		bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (bytes == MAP_FAILED)
			return -errno;
		(void)madvise(bytes, (size_t)st.st_size, MADV_SEQUENTIAL);
	}
	sha256((struct span){ bytes, (size_t)st.st_size }, ret_hash);
	if (bytes)
		(void)munmap(bytes, (size_t)st.st_size);
	return 0;
}

static int open_part(int dir_fd, const char *name) {
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int write_line(FILE *f, int dir_fd, const char *name) {
	int fd = open_part(dir_fd, name);
	char text[HASH_TEXT + 1];
	struct hash hash;
	int r = fd < 0 ? fd : hash_file(fd, &hash);

	if (r == 0) {
		hex_format((struct span){ hash.b, sizeof(hash.b) }, text);
		fprintf(f, "%s  %s\n", text, name);
	}
	if (fd >= 0)
		(void)close(fd);
	return r;
}

int parts_complete(const char *folder) {
	int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct parts parts;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int r = dir_fd < 0 ? -errno : !f ? -ENOMEM : parts_find(folder, &parts);

	if (r == 0)
		fputs(title, f);
	for (size_t i = 0; r == 0 && i < parts.n; i++)
		r = write_line(f, dir_fd, parts.list[i].name);
	if (f && fclose(f) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0)
		r = part_write(dir_fd, PART_COMPLETE, -1, text);
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (dir_fd >= 0)
		(void)close(dir_fd);
	free(text);
	return r;
}

/* The text of "complete", with a zero behind it. 0, PARTS_INCOMPLETE or -errno. */
static int read_complete(int dir_fd, char text[COMPLETE_MAX + 1]) {
	int fd = open_part(dir_fd, PART_COMPLETE);
	ssize_t n = fd < 0 ? 0 : pread(fd, text, COMPLETE_MAX, 0);
	int r = fd == -ENOENT ? PARTS_INCOMPLETE : fd < 0 ? fd : n < 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return r ? r : strncmp(text, title, strlen(title)) == 0 ? 0 : PARTS_INCOMPLETE;
}

/* Opens the part that a line names, if it is what the line says. 0, an outcome or -errno. */
static int open_line(int dir_fd, const char *line, struct parts *parts) {
	const char *name = strlen(line) > HASH_TEXT + 2 ? line + HASH_TEXT + 2 : "";
	char text[HASH_TEXT + 1];
	struct hash hash;
	off_t max;
	int r;

	if (!parts_known(name, &max) || strcmp(name, PART_COMPLETE) == 0)
		return PARTS_INCOMPLETE;
	r = add(parts, name);
	if (r)
		return r;
	parts->list[parts->n - 1].fd = r = open_part(dir_fd, name);
	if (r < 0)
		return r == -ENOENT ? PARTS_ALTERED : r;
	r = hash_file(r, &hash);
	if (r)
		return r;
	hex_format((struct span){ hash.b, sizeof(hash.b) }, text);
	return memcmp(text, line, HASH_TEXT) == 0 ? 0 : PARTS_ALTERED;
}

/* That it is whole: each required part is there, the store first, and none twice. */
static bool has_all(const struct parts *parts) {
	size_t n_required = 0, n_found = 0;

	for (size_t i = 0; i < N_ELEMENTS(fixed); i++)
		n_required += !fixed[i].optional;
	for (size_t i = 0; i < parts->n; i++) {
		for (size_t k = 0; k < i; k++)
			if (strcmp(parts->list[i].name, parts->list[k].name) == 0)
				return false;
		for (size_t k = 0; k < N_ELEMENTS(fixed); k++)
			n_found += !fixed[k].optional && strcmp(parts->list[i].name, fixed[k].name) == 0;
	}
	return n_found == n_required && strcmp(parts->list[0].name, PART_STORE) == 0;
}

int parts_open(const char *folder, struct parts *ret_parts, char ret_name[PART_NAME_MAX]) {
	int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[COMPLETE_MAX + 1], *rest = text, *line;
	int r = dir_fd < 0 ? -errno : read_complete(dir_fd, text);

	ret_parts->n = 0;
	if (r == 0)
		rest += strlen(title);
	while (r == 0 && (line = strsep(&rest, "\n"))) {
		if (!rest) /* behind the end of the last line there is nothing */
			r = *line ? PARTS_INCOMPLETE : 0;
		else
			r = open_line(dir_fd, line, ret_parts);
	}
	if (r == 0 && !has_all(ret_parts))
		r = PARTS_INCOMPLETE;
	if (r == PARTS_ALTERED)
		memcpy(ret_name, ret_parts->list[ret_parts->n - 1].name, PART_NAME_MAX);
	if (dir_fd >= 0)
		(void)close(dir_fd);
	return r;
}

void parts_close(struct parts *parts) {
	for (size_t i = 0; i < parts->n; i++)
		if (parts->list[i].fd >= 0)
			(void)close(parts->list[i].fd);
	parts->n = 0;
}

static int remove_keyring(void *userdata, uint64_t file) {
	char name[KEYRING_NAME_MAX];

	keyring_name(file, name);
	(void)unlinkat(*(int *)userdata, name, 0);
	return 0;
}

void parts_remove(const char *folder) {
	_cleanup_(keyring_closep) struct keyring *keyring = NULL;
	static const char *const others[] = { PART_COMPLETE, "store/owner", "store/lock.mdb" };
	int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir_fd < 0)
		return;
	for (size_t i = 0; i < N_ELEMENTS(fixed); i++)
		(void)unlinkat(dir_fd, fixed[i].name, 0);
	for (size_t i = 0; i < N_ELEMENTS(others); i++)
		(void)unlinkat(dir_fd, others[i], 0);
	if (keyring_open(folder, &keyring) == 0)
		(void)keyring_each(keyring, remove_keyring, &dir_fd);
	(void)unlinkat(dir_fd, "store", AT_REMOVEDIR);
	(void)close(dir_fd);
	(void)rmdir(folder);
}
