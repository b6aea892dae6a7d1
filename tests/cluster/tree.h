/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * tree - a tree of daemons, and what must hold in it once it has come to rest
 *
 * It reads the stores beside the running daemons. What does not hold is said on stderr, and counted.
 */
#include "store/oplog.h"
#include "store/tallies.h"
#include "tests/cluster/proc.h"

enum {
	TREE_MAX = 8,
};

struct tree {
	struct proc *procs[TREE_MAX];
	int parent[TREE_MAX];           /* place of each one's parent; -1: the topmost */
	size_t n;
	struct store *stores[TREE_MAX]; /* tree_open() */
	struct txn *txns[TREE_MAX];
};

/* Adds a daemon that is made here, starts it, and enrols it. Returns its place. */
size_t tree_add(struct tree *tree, const char *name, uint32_t code, uint8_t code_digits, int parent,
	bool listens);
void tree_done(struct tree *tree);

/* Opens the stores; from here on nothing may be forked that does not exec. */
void tree_open(struct tree *tree);
void tree_close(struct tree *tree);
/* Makes the transactions see the newest. */
void tree_refresh(struct tree *tree);
/* The newest of it: whether every office holds all that its neighbours have for it. */
bool tree_at_rest(struct tree *tree);
/* Waits for that. */
bool tree_wait(struct tree *tree, unsigned timeout_ms);
/* What @at counts for @of, over everything. */
uint64_t tree_count(const struct tree *tree, size_t at, size_t of, uint8_t measure);
/* How many petitions taken in by @of stand in the store of @at. */
uint64_t tree_petitions(const struct tree *tree, size_t at, size_t of);
/* Leaves of an oplog of @of at @at. */
uint64_t tree_size(const struct tree *tree, size_t at, size_t of, enum lane lane);

/*
 * That every oplog is whole, fits its heads and their signatures, and is the same in every store;
 * that everything derived is what the oplogs give; that each office's own counts are what those above
 * it know. Returns the number of faults.
 */
unsigned tree_verify(struct tree *tree);
