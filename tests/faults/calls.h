/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * calls - stands between a program, with its libraries, and the system: notes what a disk is told, and fails a call
 *
 * A program that has calls.c linked in has its own pwrite(), fsync(), malloc() and so on, which LMDB calls too. As a
 * module that is loaded before a program, it fails there what LIENTHONG_FAIL says: the name of a kind and a number
 * (sync-failed.3); of memory nothing, since libzmq ends the process where there is none. Or it notes what the disk
 * LIENTHONG_DISK is told, into the file LIENTHONG_NOTES.
 *
 * A disk is a directory and all below it. Each write, change of a name and sync becomes a step, in their order. What
 * is written through a map is not seen: LMDB so writes lock.mdb, whose content nobody relies on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Disks */

enum {
	DISK_NAME_MAX = 64,
	DISK_FILES_MAX = 256,
	DISK_NONE = UINT32_MAX,
};

enum disk_step_kind {
	DISK_WRITE,
	DISK_TRUNCATE, /* to @at bytes */
	DISK_NAME,     /* in directory @file, @name is @target from now on (DISK_NONE: nothing), and @from, in @from_dir, nothing */
	DISK_SYNC,     /* of a file's bytes, or of a directory's names */
};

struct disk_step {
	enum disk_step_kind kind;
	uint32_t file;
	uint64_t at;
	size_t len;
	uint8_t *bytes;
	bool synced; /* WRITE: by itself (O_DSYNC) */
	uint32_t target, from_dir;
	char name[DISK_NAME_MAX], from[DISK_NAME_MAX];
};

struct disk_file {
	uint64_t device, inode; /* for the system; 0: it is gone */
	bool is_dir;
	bool is_lock; /* LMDB's lock.mdb */
	bool is_keys; /* of private parts */
};

struct disk {
	char root[256];
	struct disk_file files[DISK_FILES_MAX]; /* 0: the root */
	uint32_t n_files;
	struct disk_step *steps;
	size_t n_steps, cap_steps;
	size_t n_first; /* of them were there from the beginning */
	bool closed;
};

/* Begins to note what @root is told; what is there is taken as synced. */
struct disk *disk_new(const char *root);
/* The disk that @root is, or NULL. */
struct disk *disk_of(const char *root);
/* From now on each directory that mkdtemp() makes elsewhere is a new disk. */
void disk_watch(bool on);
/* No more of it is noted. */
void disk_close(struct disk *disk);
void disk_free(struct disk *disk);
/* Into a file and back. */
void disk_save(const struct disk *disk, const char *path);
struct disk *disk_load(const char *path);

/* Random numbers of the system are those of a seed from now on; 0: the system's. */
void calls_seed(uint64_t seed);

/* Failing */

enum call {
	CALL_NONE,
	CALL_MALLOC,   /* also calloc, realloc, posix_memalign */
	CALL_WRITE,    /* pwrite, write, writev */
	CALL_SYNC,     /* fsync, fdatasync; what is written with O_DSYNC is CALL_WRITE */
	CALL_TRUNCATE,
	CALL_MAP,
	CALL_OPEN,     /* also mkdir */
	CALL_RENAME,   /* also link, unlink */
	CALL_READ,     /* pread, read */
	CALL_SEND,     /* of a frame: counted by whoever sends */
	CALL_N,
};

enum {
	CALLS_SHORT = -1, /* an error: half of it is written */
};

/* Each kind of failure, by its name. */
struct calls_kind {
	const char *name;
	enum call call;
	int error;
	bool lasts;
};
enum {
	CALLS_KINDS = 13,
};
extern const struct calls_kind calls_kinds[CALLS_KINDS];

/* The @n-th call from now on fails with @error; all after it too where @lasts, until calls_mend(). */
void calls_fail(enum call call, uint64_t n, int error, bool lasts);
void calls_mend(void);
/* Only what is called between these counts. */
void calls_arm(void);
bool calls_disarm(void); /* whether it was */
/* Whether the call has failed. */
bool calls_failed(void);
/* How many there were. */
uint64_t calls_seen(void);
/* Counts one, and says whether it fails now. */
bool calls_now(enum call call);
