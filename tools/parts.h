/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * parts - the files that a backup of an office consists of, by their names in a home and in a backup
 *
 * A backup has one more, "complete", which is written last: the name and the SHA-256 of each of the others.
 * What is not in it is not put back, and what is not as it says is no backup. That shows damage, not malice:
 * whoever can alter the one can alter the other.
 */
#include <sys/types.h>

#include "proto/base.h"

#define PART_STORE "store/data.mdb"
#define PART_KEYS "keys"
#define PART_COMPLETE "complete"

enum {
	PARTS_MAX = 256, /* all but a few are files of keys to who brought petitions */
	PART_NAME_MAX = 32,
};

struct part {
	char name[PART_NAME_MAX];
	bool private; /* keys to who brought petitions */
	int fd;       /* of parts_open() */
};

struct parts {
	struct part list[PARTS_MAX]; /* the store first */
	size_t n;
};

/* Whether a backup can have a part of that name, also "complete", and how long it is at most. */
bool parts_known(const char *name, off_t *ret_max);
/* Those that are in a directory. 0 or -errno: -ENOENT where one is missing, -E2BIG. */
int parts_find(const char *folder, struct parts *ret_parts);
/* Copies all that is in @from_fd, or what @text says, to a new file, synced. 0 or -errno. */
int part_write(int dir_fd, const char *name, int from_fd, const char *text);
/* Makes "complete" of what is in the directory. 0 or -errno. */
int parts_complete(const char *folder);

enum {
	PARTS_INCOMPLETE = 1, /* "complete" is missing, or not what this version writes */
	PARTS_ALTERED,        /* what it names is missing or another: @ret_name */
};
/* Opens and checks all that "complete" names; parts_close() also after a failure. 0, an outcome or -errno. */
int parts_open(const char *folder, struct parts *ret_parts, char ret_name[PART_NAME_MAX]);
void parts_close(struct parts *parts);
/* Removes a directory with parts, whole or not; what else is in it stays, and so it does. */
void parts_remove(const char *folder);
