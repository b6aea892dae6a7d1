/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * oplog - the append-only logs of every origin that this office holds
 *
 * Promises: no gap, never two leaves with one number. Leaves of all oplogs stand in one table in
 * the order in which they arrived (its pages fill to the end, whatever number of oplogs comes in
 * turn); a run says which stretch of an oplog stands where. Heads are kept so that no more than
 * BATCH_BYTES_MAX of leaves lie between two of them; a head that is not needed for that goes.
 * Not here: whether a head may be believed. Callers verify before they append.
 * Failing: -errno as in store.h.
 */
#include "proto/head.h"
#include "proto/merkle.h"
#include "proto/message.h"
#include "store/store.h"

enum {
	OPLOG_KEY_LEN = 21,
	OPLOG_SUBTREE_LEVEL = 10, /* the root of every full subtree of 2^10 leaves is kept */
};

/* A stretch of an oplog whose leaves arrived one after the other. */
struct oplog_run {
	uint64_t first;
	uint64_t arrival; /* of that leaf */
	uint64_t length;  /* 0: none yet */
};

/*
 * A working copy of an oplog's row: loaded, appended to, and written back once a turn. Two working
 * copies of one oplog must not be in use at a time. The run at the end and the newest head stand in
 * the row alone, so that an append dirties no page of their tables.
 */
struct oplog {
	struct oplog_id id;
	uint32_t number;           /* this store's short name for it, never reused */
	uint64_t bytes;            /* of leaves, by leaf_weight() */
	struct frontier frontier;  /* its size is the oplog's size */
	struct head head;          /* the newest; size 0: none yet */
	uint64_t head_bytes;       /* what bytes was at the newest head */
	uint64_t kept_bytes;       /* what bytes was at the newest head but one */
	uint64_t kept_size;        /* and its size */
	struct oplog_run run;      /* the one at the end */
	bool dirty;
};

/* 0, STORE_NOT_FOUND or -errno. */
int oplog_load(struct txn *txn, const struct oplog_id *id, struct oplog *ret_oplog);
/* Loads, or makes an empty one with the next number. 0 or -errno. */
int oplog_load_or_create(struct txn *txn, const struct oplog_id *id, struct oplog *ret_oplog);
/* Appends one leaf and its hash to the frontier. @hash is leaf_hash() of it. */
int oplog_append(struct txn *txn, struct oplog *oplog, const struct leaf *leaf,
	const struct hash *hash, uint64_t *ret_arrival);
/*
 * Keeps a head of the present size, whose signature the caller has verified. The head before it goes
 * if a batch can reach from the one before that to this, unless it is to stay.
 */
int oplog_put_head(struct txn *txn, struct oplog *oplog, const struct head *head, bool last_stays);
/* Keeps a head among those that are kept already, of fewer leaves than the newest. */
int oplog_insert_head(struct txn *txn, const struct oplog *oplog, const struct head *head);
/* Writes the working copy back if it changed. */
int oplog_flush(struct txn *txn, struct oplog *oplog);

/*
 * Puts the record's bytes where the leaf that arrived at @arrival has only their hash; the caller has compared
 * them. Nothing else changes: to sizes, heads and batches the leaf is what it was. 0 or -errno.
 */
int oplog_disclose(struct txn *txn, uint64_t arrival, struct span bytes);
/* The number of the leaf of @oplog that arrived at @arrival. 0, STORE_NOT_FOUND (it is of another) or -errno. */
int oplog_index_of(struct txn *txn, const struct oplog *oplog, uint64_t arrival, uint64_t *ret_index);

/*
 * The frontier of the first @size leaves, which are there: reads a row for every 1,024 of them, and what leaves are
 * left. 0 or -errno.
 */
int oplog_frontier(struct txn *txn, const struct oplog *oplog, uint64_t size, struct frontier *ret_frontier);
/* Its root. */
int oplog_root(struct txn *txn, const struct oplog *oplog, uint64_t size, struct hash *ret_root);

enum {
	OPLOG_DIFFERS = 2, /* the head is of another history */
	OPLOG_SHORTER = 3, /* not all that it covers is held */
};

/* Compares what is held with a head, whoever signed it. 0 (it is of the same history), one of these, or -errno. */
int oplog_compare(struct txn *txn, const struct oplog *oplog, const struct head *head);
/* The root of the subtree over the 2^OPLOG_SUBTREE_LEVEL leaves at place @i. 0, STORE_NOT_FOUND or -errno. */
int oplog_subtree(struct txn *txn, const struct oplog *oplog, uint64_t i, struct hash *ret_root);

/* One leaf by its number, or by its arrival. Spans are borrowed from the store. */
int oplog_leaf(struct txn *txn, const struct oplog *oplog, uint64_t index, struct leaf *ret_leaf,
	uint64_t *ret_arrival);
int oplog_leaf_at(struct txn *txn, uint64_t arrival, struct leaf *ret_leaf);
/* The hashes of an oplog's leaves, as merkle.h asks for them. */
struct oplog_leaves {
	struct txn *txn;
	const struct oplog *oplog;
};
int oplog_leaf_hash(void *leaves, uint64_t index, struct hash *ret_hash);
/* Where an arrival stands: a search of all runs; for listings, not for the hot path. */
int oplog_locate(struct txn *txn, uint64_t arrival, struct oplog_id *ret_oplog, uint64_t *ret_index);

/* Calls @fn for every leaf in order of arrival; stops at its first non-zero, which is returned. */
typedef int (*leaf_fn)(void *userdata, const struct oplog_id *oplog, uint64_t index,
	uint64_t arrival, const struct leaf *leaf);
int oplog_each_leaf(struct txn *txn, leaf_fn fn, void *userdata);

/* Walks the leaves of an oplog from @first on. */
struct oplog_walk;
int oplog_walk_open(struct txn *txn, const struct oplog *oplog, uint64_t first,
	struct oplog_walk **ret_walk);
int oplog_walk_next(struct oplog_walk *walk, uint64_t *ret_index, struct leaf *ret_leaf,
	uint64_t *ret_arrival); /* 0, STORE_NOT_FOUND at the end, or -errno */
struct oplog_walk *oplog_walk_close(struct oplog_walk *walk);
void oplog_walk_closep(struct oplog_walk **walk);

/*
 * The farthest head beyond @from, of at most @until leaves, that leaves at most BATCH_BYTES_MAX bytes and
 * BATCH_LEAVES_MAX leaves between; if none does, the next head. 0, STORE_NOT_FOUND (no head so far), or -errno.
 */
int oplog_head_after(struct txn *txn, const struct oplog *oplog, uint64_t from, uint64_t until,
	struct head *ret_head);
/* The heads of an oplog in rising order of size, for a verifier: the first beyond @from. */
int oplog_next_head(struct txn *txn, const struct oplog *oplog, uint64_t from,
	struct head *ret_head);

/* Calls @fn for every oplog, in key order (office, epoch, lane); stops at its first non-zero, which is returned. */
typedef int (*oplog_fn)(void *userdata, const struct oplog *oplog);
int oplog_each(struct txn *txn, oplog_fn fn, void *userdata);
/* Only those of one office. */
int oplog_each_of(struct txn *txn, const struct id *office, oplog_fn fn, void *userdata);

/* Office, epoch, lane: bytes in the order of oplog ids, for keys. */
void oplog_key(const struct oplog_id *id, uint8_t ret_key[OPLOG_KEY_LEN]);
