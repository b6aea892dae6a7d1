/* SPDX-License-Identifier: AGPL-3.0-or-later */
#undef _FILE_OFFSET_BITS /* with it, open() here would be open64() alone, and LMDB calls open() */
#include "tests/faults/calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	DISKS_MAX = 16,
};

static struct disk *disks[DISKS_MAX];
static size_t n_disks;
static bool watching;
static uint64_t random_state;

static struct {
	enum call call;
	uint64_t n, seen;
	int error;
	bool lasts, armed, failed;
} failing;

__attribute__((noreturn)) static void give_up(const char *why) {
	fprintf(stderr, "calls: %s\n", why);
	abort();
}

/* Failing */

const struct calls_kind calls_kinds[CALLS_KINDS] = {
	{ "malloc", CALL_MALLOC, ENOMEM, false },
	{ "write-full", CALL_WRITE, ENOSPC, false },
	{ "disk-full", CALL_WRITE, ENOSPC, true },
	{ "write-failed", CALL_WRITE, EIO, false },
	{ "write-short", CALL_WRITE, CALLS_SHORT, false },
	{ "sync-failed", CALL_SYNC, EIO, false },
	{ "sync-full", CALL_SYNC, ENOSPC, false },
	{ "truncate", CALL_TRUNCATE, ENOSPC, false },
	{ "map", CALL_MAP, ENOMEM, false },
	{ "open", CALL_OPEN, EMFILE, false },
	{ "rename", CALL_RENAME, EIO, false },
	{ "read", CALL_READ, EIO, false },
	{ "send", CALL_SEND, EAGAIN, false },
};

void calls_fail(enum call call, uint64_t n, int error, bool lasts) {
	failing.call = call;
	failing.n = n;
	failing.seen = 0;
	failing.error = error;
	failing.lasts = lasts;
	failing.failed = false;
}

void calls_mend(void) {
	failing.call = CALL_NONE;
}

void calls_arm(void) {
	failing.armed = true;
}

bool calls_disarm(void) {
	bool was = failing.armed;

	failing.armed = false;
	return was;
}

bool calls_failed(void) {
	return failing.failed;
}

uint64_t calls_seen(void) {
	return failing.seen;
}

bool calls_now(enum call call) {
	if (!failing.armed || failing.call != call)
		return false;
	failing.seen++;
	if (failing.seen != failing.n && !(failing.lasts && failing.seen > failing.n))
		return false;
	failing.failed = true;
	if (failing.error > 0)
		errno = failing.error;
	return true;
}

/* Of a write: how much of it is to be written; 0: it fails. */
static size_t write_len(size_t len) {
	if (!calls_now(CALL_WRITE))
		return len;
	return failing.error == CALLS_SHORT ? len / 2 : 0;
}

#ifdef CALLS_MODULE
__attribute__((constructor)) static void fail_as_told(void) {
	const char *told = getenv("LIENTHONG_FAIL"), *dot = told ? strchr(told, '.') : NULL;

	for (size_t i = 0; dot && i < CALLS_KINDS; i++)
		if (strlen(calls_kinds[i].name) == (size_t)(dot - told) &&
			strncmp(calls_kinds[i].name, told, (size_t)(dot - told)) == 0)
			calls_fail(calls_kinds[i].call, strtoull(dot + 1, NULL, 10), calls_kinds[i].error,
				calls_kinds[i].lasts);
	calls_arm();
	if (getenv("LIENTHONG_NOTES"))
		(void)disk_new(getenv("LIENTHONG_DISK"));
}

/* Not known beyond the tests: whether it came to that. */
__attribute__((destructor)) static void say_failed(void) {
	const char *path = getenv("LIENTHONG_FAILED");
	int fd = failing.failed && path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd >= 0)
		close(fd);
	if (n_disks > 0)
		disk_save(disks[0], getenv("LIENTHONG_NOTES"));
}
#endif

#if defined(__SANITIZE_ADDRESS__)
#define REAL(name) __interceptor_##name
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REAL(name) __interceptor_##name
#endif
#endif
#ifndef REAL
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t len);
void *REAL(calloc)(size_t n, size_t len);
void *REAL(realloc)(void *old, size_t len);

#ifndef CALLS_MODULE
void *malloc(size_t len) {
	return calls_now(CALL_MALLOC) ? NULL : REAL(malloc)(len);
}

void *calloc(size_t n, size_t len) {
	return calls_now(CALL_MALLOC) ? NULL : REAL(calloc)(n, len);
}

void *realloc(void *old, size_t len) {
	return calls_now(CALL_MALLOC) ? NULL : REAL(realloc)(old, len);
}
#endif

/* Disks */

static struct disk *find(const struct stat *st, uint32_t *ret_file) {
	for (size_t i = 0; i < n_disks; i++)
		for (uint32_t file = 0; !disks[i]->closed && file < disks[i]->n_files; file++)
			if (disks[i]->files[file].inode == st->st_ino && disks[i]->files[file].device == st->st_dev) {
				*ret_file = file;
				return disks[i];
			}
	return NULL;
}

static struct disk *find_fd(int fd, uint32_t *ret_file) {
	struct stat st;

	return n_disks > 0 && fstat(fd, &st) == 0 ? find(&st, ret_file) : NULL;
}

static struct disk_step *add_step(struct disk *disk, enum disk_step_kind kind, uint32_t file) {
	if (disk->n_steps == disk->cap_steps) {
		disk->cap_steps = disk->cap_steps ? 2 * disk->cap_steps : 1024;
		disk->steps = REAL(realloc)(disk->steps, disk->cap_steps * sizeof(*disk->steps));
		if (!disk->steps)
			give_up("no memory");
	}
	disk->steps[disk->n_steps] = (struct disk_step){ .kind = kind, .file = file, .target = DISK_NONE,
		.from_dir = DISK_NONE };
	return &disk->steps[disk->n_steps++];
}

static void copy_name(char to[DISK_NAME_MAX], const char *name) {
	if (strlen(name) >= DISK_NAME_MAX)
		give_up("a long name");
	strcpy(to, name);
}

static uint32_t add_file(struct disk *disk, const struct stat *st) {
	uint32_t file;
	struct disk *old = find(st, &file);

	if (old) /* the system uses the number of one that is gone again */
		old->files[file].inode = 0;
	if (disk->n_files == DISK_FILES_MAX)
		give_up("many files");
	disk->files[disk->n_files] = (struct disk_file){ .device = st->st_dev, .inode = st->st_ino,
		.is_dir = S_ISDIR(st->st_mode) };
	return disk->n_files++;
}

static void note_name(struct disk *disk, uint32_t dir, const char *name, uint32_t target) {
	struct disk_step *step = add_step(disk, DISK_NAME, dir);

	copy_name(step->name, name);
	step->target = target;
	if (target != DISK_NONE) {
		disk->files[target].is_lock |= strcmp(name, "lock.mdb") == 0;
		disk->files[target].is_keys |= strncmp(name, "private", 7) == 0;
	}
}

/* The directory of a path, where it is one of ours, and what the path is called in it. */
static struct disk *find_dir(int dir_fd, const char *path, uint32_t *ret_dir, const char **ret_name) {
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX] = ".";
	struct stat st;

	if (n_disks == 0)
		return NULL;
	*ret_name = slash ? slash + 1 : path;
	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return fstatat(dir_fd, dir, &st, 0) == 0 ? find(&st, ret_dir) : NULL;
}

static void note_new(int dir_fd, const char *path) {
	uint32_t dir;
	const char *name;
	struct disk *disk = find_dir(dir_fd, path, &dir, &name);
	struct stat st;

	if (disk && fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		note_name(disk, dir, name, add_file(disk, &st));
}

static void note_write(int fd, const void *bytes, size_t len, uint64_t at) {
	uint32_t file;
	struct disk *disk = find_fd(fd, &file);
	struct disk_step *step;

	if (!disk)
		return;
	step = add_step(disk, DISK_WRITE, file);
	step->at = at;
	step->len = len;
	step->bytes = REAL(malloc)(len);
	if (!step->bytes)
		give_up("no memory");
	memcpy(step->bytes, bytes, len);
	step->synced = fcntl(fd, F_GETFL) & O_DSYNC;
}

static void take_file(struct disk *disk, uint32_t dir, int dir_fd, const char *name) {
	struct disk_step *step;
	struct stat st;
	uint32_t file;
	ssize_t n;
	int fd;

	fd = (int)syscall(SYS_openat, dir_fd, name, O_RDONLY | O_NOFOLLOW, 0);
	if (fd < 0 || fstat(fd, &st) < 0)
		give_up(name);
	file = add_file(disk, &st);
	note_name(disk, dir, name, file);
	if (S_ISDIR(st.st_mode)) {
		DIR *entries = fdopendir(fd);
		struct dirent *entry;

		while (entries && (entry = readdir(entries)))
			if (entry->d_name[0] != '.')
				take_file(disk, file, fd, entry->d_name);
		closedir(entries);
	} else {
		step = add_step(disk, DISK_WRITE, file);
		step->len = (size_t)st.st_size;
		step->bytes = REAL(malloc)(step->len + 1);
		n = pread(fd, step->bytes, step->len, 0);
		if (n != st.st_size)
			give_up(name);
		close(fd);
	}
	add_step(disk, DISK_SYNC, file);
}

struct disk *disk_new(const char *root) {
	struct disk *disk = REAL(calloc)(1, sizeof(*disk));
	struct dirent *entry;
	struct stat st;
	DIR *entries;

	if (!disk || n_disks == DISKS_MAX || stat(root, &st) < 0)
		give_up(root);
	snprintf(disk->root, sizeof(disk->root), "%s", root);
	disks[n_disks++] = disk;
	(void)add_file(disk, &st);
	entries = opendir(root);
	while (entries && (entry = readdir(entries)))
		if (entry->d_name[0] != '.')
			take_file(disk, 0, dirfd(entries), entry->d_name);
	closedir(entries);
	add_step(disk, DISK_SYNC, 0);
	disk->n_first = disk->n_steps;
	return disk;
}

struct disk *disk_of(const char *root) {
	for (size_t i = 0; i < n_disks; i++)
		if (!disks[i]->closed && strcmp(disks[i]->root, root) == 0)
			return disks[i];
	return NULL;
}

void disk_watch(bool on) {
	watching = on;
}

void disk_close(struct disk *disk) {
	disk->closed = true;
}

void disk_free(struct disk *disk) {
	for (size_t i = 0; i < n_disks; i++)
		if (disks[i] == disk)
			disks[i--] = disks[--n_disks];
	for (size_t i = 0; i < disk->n_steps; i++)
		free(disk->steps[i].bytes);
	free(disk->steps);
	free(disk);
}

static void put_all(FILE *file, const void *bytes, size_t len) {
	if (len > 0 && fwrite(bytes, len, 1, file) != 1)
		give_up("cannot write the notes");
}

void disk_save(const struct disk *disk, const char *path) {
	FILE *file = fopen(path, "we");

	if (!file)
		give_up(path);
	put_all(file, disk, sizeof(*disk));
	for (size_t i = 0; i < disk->n_steps; i++) {
		put_all(file, &disk->steps[i], sizeof(disk->steps[i]));
		put_all(file, disk->steps[i].bytes, disk->steps[i].len);
	}
	if (fclose(file) != 0)
		give_up(path);
}

static void get_all(FILE *file, void *bytes, size_t len) {
	if (len > 0 && fread(bytes, len, 1, file) != 1)
		give_up("cannot read the notes");
}

struct disk *disk_load(const char *path) {
	struct disk *disk = REAL(calloc)(1, sizeof(*disk));
	FILE *file = fopen(path, "re");

	if (!file || !disk)
		give_up(path);
	get_all(file, disk, sizeof(*disk));
	disk->cap_steps = disk->n_steps;
	disk->steps = REAL(calloc)(disk->n_steps + 1, sizeof(*disk->steps));
	for (size_t i = 0; disk->steps && i < disk->n_steps; i++) {
		struct disk_step *step = &disk->steps[i];

		get_all(file, step, sizeof(*step));
		step->bytes = REAL(malloc)(step->len + 1);
		if (!step->bytes)
			give_up("no memory");
		get_all(file, step->bytes, step->len);
	}
	fclose(file);
	return disk;
}

/* What the names mean to everybody in this program. */

static int do_open(int dir_fd, const char *path, int flags, mode_t mode) {
	bool made = (flags & O_CREAT) && faccessat(dir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
	bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	struct disk *disk;
	struct stat st;
	uint32_t file;
	int fd;

	if (calls_now(CALL_OPEN))
		return -1;
	fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
	if (fd < 0 || n_disks == 0)
		return fd;
	if (unnamed) {
		if (fstatat(dir_fd, path, &st, 0) == 0 && (disk = find(&st, &file)) && fstat(fd, &st) == 0)
			(void)add_file(disk, &st);
	} else if (made) {
		note_new(dir_fd, path);
	} else if ((flags & O_TRUNC) && (disk = find_fd(fd, &file))) {
		add_step(disk, DISK_TRUNCATE, file);
	}
	return fd;
}

static mode_t mode_of(int flags, va_list args) {
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int openat(int dir_fd, const char *path, int flags, ...) {
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return do_open(dir_fd, path, flags, mode);
}

int openat64(int dir_fd, const char *path, int flags, ...) __attribute__((alias("openat")));

int mkdirat(int dir_fd, const char *path, mode_t mode) {
	int r;

	if (calls_now(CALL_OPEN))
		return -1;
	r = (int)syscall(SYS_mkdirat, dir_fd, path, mode);
	if (r == 0)
		note_new(dir_fd, path);
	return r;
}

int mkdir(const char *path, mode_t mode) {
	return mkdirat(AT_FDCWD, path, mode);
}

/* In place of the last six letters of a path. */
static void draw_name(char *path) {
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char *at = path + strlen(path) - 6;
	uint8_t random[6];

	(void)syscall(SYS_getrandom, random, sizeof(random), 0);
	for (size_t i = 0; i < sizeof(random); i++)
		at[i] = letters[random[i] % 36];
}

int mkostemp(char *path, int flags) {
	int fd;

	do {
		draw_name(path);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
	} while (fd < 0 && errno == EEXIST);
	return fd;
}

int mkostemp64(char *path, int flags) __attribute__((alias("mkostemp")));

char *mkdtemp(char *path) {
	const char *name;
	uint32_t dir;

	do {
		draw_name(path);
		if (mkdir(path, 0700) == 0) {
			if (watching && !find_dir(AT_FDCWD, path, &dir, &name))
				(void)disk_new(path);
			return path;
		}
	} while (errno == EEXIST);
	return NULL;
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags) {
	const char *name, *from_name;
	uint32_t dir, from_dir, file;
	struct disk *disk;
	struct stat st;
	int r;

	if (calls_now(CALL_RENAME))
		return -1;
	disk = find_dir(to_fd, to, &dir, &name);
	if (disk && (find_dir(from_fd, from, &from_dir, &from_name) != disk ||
			    fstatat(from_fd, from, &st, AT_SYMLINK_NOFOLLOW) < 0 || find(&st, &file) != disk))
		disk = NULL;
	r = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
	if (r == 0 && disk) {
		struct disk_step *step;

		note_name(disk, dir, name, file);
		step = &disk->steps[disk->n_steps - 1];
		step->from_dir = from_dir;
		copy_name(step->from, from_name);
	}
	return r;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
	return renameat2(from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to) {
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
	uint32_t dir, file;
	struct disk *disk;
	const char *name;
	struct stat st;
	int r;

	if (calls_now(CALL_RENAME))
		return -1;
	disk = find_dir(to_fd, to, &dir, &name);
	r = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
	if (r == 0 && disk && fstatat(to_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0 && find(&st, &file) == disk)
		note_name(disk, dir, name, file);
	return r;
}

int link(const char *from, const char *to) {
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir_fd, const char *path, int flags) {
	const char *name;
	uint32_t dir;
	struct disk *disk;
	int r;

	if (calls_now(CALL_RENAME))
		return -1;
	disk = find_dir(dir_fd, path, &dir, &name);
	r = (int)syscall(SYS_unlinkat, dir_fd, path, flags);
	if (r == 0 && disk)
		note_name(disk, dir, name, DISK_NONE);
	return r;
}

int unlink(const char *path) {
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path) {
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

static bool is_regular(int fd) {
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
	size_t to_write = write_len(len);
	ssize_t n;

	if (to_write == 0 && len > 0)
		return -1;
	n = syscall(SYS_pwrite64, fd, bytes, to_write, at);
	if (n > 0)
		note_write(fd, bytes, (size_t)n, (uint64_t)at);
	return n;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at) __attribute__((alias("pwrite")));

ssize_t write(int fd, const void *bytes, size_t len) {
	size_t to_write;
	off_t at;
	ssize_t n;

	if (!is_regular(fd)) /* what is said to people */
		return syscall(SYS_write, fd, bytes, len);
	to_write = write_len(len);
	if (to_write == 0 && len > 0)
		return -1;
	at = lseek(fd, 0, SEEK_CUR);
	n = syscall(SYS_write, fd, bytes, to_write);
	if (n > 0)
		note_write(fd, bytes, (size_t)n, (uint64_t)at);
	return n;
}

ssize_t writev(int fd, const struct iovec *parts, int n_parts) {
	size_t len = 0, left;
	uint8_t *all;
	ssize_t n;

	for (int i = 0; i < n_parts; i++)
		len += parts[i].iov_len;
	if (!is_regular(fd))
		return syscall(SYS_writev, fd, parts, n_parts);
	all = REAL(malloc)(len + 1);
	if (!all)
		give_up("no memory");
	left = 0;
	for (int i = 0; i < n_parts; i++) {
		memcpy(all + left, parts[i].iov_base, parts[i].iov_len);
		left += parts[i].iov_len;
	}
	n = write(fd, all, len);
	free(all);
	return n;
}

ssize_t sendfile(int to_fd, int from_fd, off_t *at, size_t len) {
	uint8_t chunk[4096];
	ssize_t n, sent = 0;

	do {
		n = syscall(SYS_read, from_fd, chunk, len < sizeof(chunk) ? len : sizeof(chunk));
		n = n > 0 ? write(to_fd, chunk, (size_t)n) : n;
		sent += n > 0 ? n : 0;
	} while (!at && n == sizeof(chunk) && (len -= (size_t)n) > 0);
	return n < 0 ? n : sent;
}

ssize_t sendfile64(int to_fd, int from_fd, off_t *at, size_t len) __attribute__((alias("sendfile")));

static int do_sync(int fd, long number) {
	struct disk *disk;
	uint32_t file;
	int r;

	if (calls_now(CALL_SYNC))
		return -1;
	r = (int)syscall(number, fd);
	disk = r == 0 ? find_fd(fd, &file) : NULL;
	if (disk)
		add_step(disk, DISK_SYNC, file);
	return r;
}

int fsync(int fd) {
	return do_sync(fd, SYS_fsync);
}

int fdatasync(int fd) {
	return do_sync(fd, SYS_fdatasync);
}

int msync(void *at, size_t len, int flags) {
	give_up("msync: what is written through a map is not seen");
}

int ftruncate(int fd, off_t len) {
	struct disk *disk;
	uint32_t file;
	int r;

	if (calls_now(CALL_TRUNCATE))
		return -1;
	r = (int)syscall(SYS_ftruncate, fd, len);
	disk = r == 0 ? find_fd(fd, &file) : NULL;
	if (disk)
		add_step(disk, DISK_TRUNCATE, file)->at = (uint64_t)len;
	return r;
}

int ftruncate64(int fd, off_t len) __attribute__((alias("ftruncate")));

ssize_t pread(int fd, void *bytes, size_t len, off_t at) {
	return calls_now(CALL_READ) ? -1 : syscall(SYS_pread64, fd, bytes, len, at);
}

ssize_t pread64(int fd, void *bytes, size_t len, off_t at) __attribute__((alias("pread")));

void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset) {
	return calls_now(CALL_MAP) ? MAP_FAILED : (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset) __attribute__((alias("mmap")));

void calls_seed(uint64_t seed) {
	random_state = seed;
}

ssize_t getrandom(void *bytes, size_t len, unsigned flags) {
	if (!random_state)
		return syscall(SYS_getrandom, bytes, len, flags);
	for (size_t i = 0; i < len; i++) {
		random_state ^= random_state >> 12;
		random_state ^= random_state << 25;
		random_state ^= random_state >> 27;
		((uint8_t *)bytes)[i] = (uint8_t)(random_state * 0x2545f4914f6cdd1dULL >> 56);
	}
	return (ssize_t)len;
}
