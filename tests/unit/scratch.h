/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * scratch - stores for tests: in a directory of their own, which goes when its variable does
 *
 * Open them inside the test: LMDB must not be carried across a fork, and every test is one.
 */
#include <criterion/criterion.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store.h"

#define SCRATCH_MAP (64u << 20)

struct scratch {
	char dir[PATH_MAX / 4];
	char path[PATH_MAX / 2]; /* where scratch_store() puts the store, in dir */
};

static inline struct scratch scratch_new(void) {
	const char *tmp = getenv("TMPDIR");
	struct scratch scratch;

	snprintf(scratch.dir, sizeof(scratch.dir), "%s/lienthong-XXXXXX", tmp ? tmp : "/tmp");
	cr_assert_not_null(mkdtemp(scratch.dir));
	snprintf(scratch.path, sizeof(scratch.path), "%s/store", scratch.dir);
	return scratch;
}

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	return remove(path);
}

static inline void scratch_done(struct scratch *scratch) {
	(void)nftw(scratch->dir, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct store *scratch_open(const struct scratch *scratch) {
	struct store *store;

	cr_assert_eq(store_open(scratch->path, STORE_WRITE, SCRATCH_MAP, &store), 0);
	return store;
}

static inline struct store *scratch_store(const struct scratch *scratch) {
	cr_assert_eq(store_create(scratch->path, SCRATCH_MAP), 0);
	return scratch_open(scratch);
}

static inline struct txn *scratch_txn(struct store *store) {
	struct txn *txn;

	cr_assert_eq(store_begin_write(store, &txn), 0);
	return txn;
}

/* An id whose order is that of @n. */
static inline struct id scratch_id(uint64_t n) {
	struct id id = { { 0 } };

	put_be64(id.b, n);
	memcpy(id.b + 8, "\x80scratch", 8);
	return id;
}

/* xorshift64*: the same numbers in every run. */
static inline uint64_t scratch_random(uint64_t *state) {
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL >> 16;
}
