/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/keyfile.h"
#include "tools/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tools/parts.h"

enum {
	CHUNK = 1 << 16,
};

static void write_freep(struct archive **archive) {
	if (*archive)
		(void)archive_write_free(*archive);
}

static void read_freep(struct archive **archive) {
	if (*archive)
		(void)archive_read_free(*archive);
}

static void entry_freep(struct archive_entry **entry) {
	if (*entry)
		archive_entry_free(*entry);
}

static void closep(int *fd) {
	if (*fd >= 0)
		(void)close(*fd);
}

/* libarchive has errors of its own beside those of the system. */
static int failed(struct archive *archive) {
	int r = archive_errno(archive);

	return r > 0 ? -r : -EIO;
}

static int write_part(struct archive *archive, struct archive_entry *entry, int dir_fd, const char *name) {
	_cleanup_(closep) int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t chunk[CHUNK];
	struct stat st;
	off_t left;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	archive_entry_clear(entry);
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0600);
	archive_entry_set_mtime(entry, st.st_mtime, 0);
	archive_entry_set_size(entry, st.st_size);
	if (archive_write_header(archive, entry) != ARCHIVE_OK)
		return failed(archive);
	for (left = st.st_size; left > 0;) {
		ssize_t n = read(fd, chunk, left < CHUNK ? (size_t)left : CHUNK);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		if (archive_write_data(archive, chunk, (size_t)n) != n)
			return failed(archive);
		left -= n;
	}
	return archive_write_finish_entry(archive) == ARCHIVE_OK ? 0 : failed(archive);
}

int pack_write(const char *folder, int fd) {
	_cleanup_(write_freep) struct archive *archive = archive_write_new();
	_cleanup_(entry_freep) struct archive_entry *entry = archive_entry_new();
	_cleanup_(closep) int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct parts parts;
	int r;

	if (!archive || !entry)
		return -ENOMEM;
	if (dir_fd < 0)
		return -errno;
	if (archive_write_set_format_pax_restricted(archive) != ARCHIVE_OK ||
		archive_write_add_filter_zstd(archive) != ARCHIVE_OK || archive_write_open_fd(archive, fd) != ARCHIVE_OK)
		return failed(archive);
	r = parts_find(folder, &parts);
	for (size_t i = 0; r == 0 && i < parts.n; i++)
		r = write_part(archive, entry, dir_fd, parts.list[i].name);
	if (r == 0)
		r = write_part(archive, entry, dir_fd, PART_COMPLETE);
	if (r == 0 && archive_write_close(archive) != ARCHIVE_OK)
		r = failed(archive);
	return r;
}

/* That there is room, before anything of it is written. */
static int check_room(int dir_fd, int64_t size) {
	struct statvfs fs;

	if (fstatvfs(dir_fd, &fs) < 0)
		return -errno;
	return (uint64_t)size / fs.f_frsize >= fs.f_bavail ? -ENOSPC : 0;
}

static int read_part(struct archive *archive, struct archive_entry *entry, int dir_fd) {
	_cleanup_(closep) int fd = -1;
	const char *name = archive_entry_pathname(entry);
	int64_t size = archive_entry_size(entry), done = 0;
	uint8_t chunk[CHUNK];
	la_ssize_t n;
	off_t max;
	int r;

	if (!name || !parts_known(name, &max) || archive_entry_filetype(entry) != AE_IFREG ||
		archive_entry_hardlink(entry) || archive_entry_symlink(entry) || !archive_entry_size_is_set(entry) ||
		size < 0 || size > max)
		return PACK_MALFORMED;
	r = check_room(dir_fd, size);
	if (r)
		return r;
	if (strcmp(name, PART_STORE) == 0 && mkdirat(dir_fd, "store", 0700) < 0)
		return errno == EEXIST ? PACK_MALFORMED : -errno;
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? PACK_MALFORMED : -errno;
	while ((n = archive_read_data(archive, chunk, sizeof(chunk))) > 0) {
		done += n;
		if (done > size)
			return PACK_MALFORMED;
		r = keyfile_write_all(fd, (struct span){ chunk, (size_t)n });
		if (r)
			return r;
	}
	if (n < 0 || done != size)
		return PACK_MALFORMED;
	return fsync(fd) < 0 ? -errno : 0;
}

int pack_read(int fd, const char *folder) {
	_cleanup_(read_freep) struct archive *archive = archive_read_new();
	_cleanup_(closep) int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct archive_entry *entry;
	int r = 0, next;

	if (!archive)
		return -ENOMEM;
	if (dir_fd < 0)
		return -errno;
	/* tar may be followed by another one: so it is read to its very end, and one that is cut off is found */
	if (archive_read_support_format_tar(archive) != ARCHIVE_OK ||
		archive_read_support_filter_zstd(archive) != ARCHIVE_OK ||
		archive_read_set_options(archive, "tar:read_concatenated_archives") != ARCHIVE_OK)
		return failed(archive);
	if (archive_read_open_fd(archive, fd, CHUNK) != ARCHIVE_OK)
		return PACK_MALFORMED;
	while (r == 0 && (next = archive_read_next_header(archive, &entry)) == ARCHIVE_OK)
		r = read_part(archive, entry, dir_fd);
	return r ? r : next == ARCHIVE_EOF ? 0 : PACK_MALFORMED;
}
