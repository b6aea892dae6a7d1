/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/keyfile.h"
#include "proto/text.h"

/* What is neither file nor directory: see file_error(). 0 or -errno. */
static int check_regular(const struct stat *st) {
	return S_ISREG(st->st_mode) ? 0 : S_ISDIR(st->st_mode) ? -EISDIR : -ENOTSUP;
}

/* A pipe of that name must not make us wait. 0 or -errno. */
int file_open(const char *path, FILE **ret_file) {
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		r = -errno;
	else
		r = check_regular(&st);
	if (r == 0 && !(*ret_file = fdopen(fd, "r")))
		r = -errno;
	if (r && fd >= 0)
		(void)close(fd);
	return r;
}

int file_read(const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_len) {
	FILE *file = stdin;
	uint8_t *bytes = NULL;
	size_t len = 0;
	size_t cap = 0;
	int r = strcmp(path, "-") == 0 ? 0 : file_open(path, &file);

	if (r)
		return r;
	do {
		if (len == cap) {
			uint8_t *grown = realloc(bytes, cap ? 2 * cap : 4096);

			if (!grown) {
				r = -ENOMEM;
				break;
			}
			bytes = grown;
			cap = cap ? 2 * cap : 4096;
		}
		errno = 0;
		len += fread(bytes + len, 1, cap - len, file);
		if (len > max)
			r = -EFBIG;
		else if (ferror(file))
			r = errno ? -errno : -EIO;
	} while (r == 0 && !feof(file));
	if (file != stdin)
		(void)fclose(file);
	if (r) {
		free(bytes);
		return r;
	}
	*ret_bytes = bytes;
	*ret_len = len;
	return 0;
}

int file_begin(const char *path, struct file_new *ret_file) {
	struct file_new file = { .path = path };
	struct stat st;
	int r = lstat(path, &st) == 0 ? check_regular(&st) : 0; /* a device would be gone, not written to */

	if (r)
		return r;
	if (asprintf(&file.temporary, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	file.fd = mkostemp(file.temporary, O_CLOEXEC);
	if (file.fd < 0) {
		r = -errno;
		free(file.temporary);
		return r;
	}
	*ret_file = file;
	return 0;
}

int file_append(struct file_new *file, struct span bytes) {
	return keyfile_write_all(file->fd, bytes);
}

int file_end(struct file_new *file, int r, mode_t mode) {
	if (r == 0 && (fsync(file->fd) < 0 || fchmod(file->fd, mode) < 0))
		r = -errno;
	if (close(file->fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(file->temporary, file->path) < 0)
		r = -errno;
	if (r == 0)
		r = keyfile_sync_folder(file->path);
	if (r)
		(void)unlink(file->temporary);
	free(file->temporary);
	return r;
}

int file_write(const char *path, struct span bytes, mode_t mode) {
	struct file_new file;
	int r;

	if (strcmp(path, "-") == 0)
		return fwrite(bytes.data, 1, bytes.len, stdout) == bytes.len ? 0 : -errno;
	r = file_begin(path, &file);
	return r ? r : file_end(&file, file_append(&file, bytes), mode);
}

const char *file_error(int r) {
	switch (r) {
	case -ENOTSUP:
		return _("it is a pipe, a device or a link, and not a file");
	case -ENOSPC:
	case -EDQUOT:
		return _("the disk is full, or this user's share of it");
	default:
		return strerror(-r);
	}
}
