/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * store - the LMDB environment: tables, transactions, errors, format version
 *
 * Promises: what store_commit() returned 0 for survives power loss (LMDB's default mode: data
 * synced, then the meta page; no other mode is offered). One process writes: a second one is
 * refused by a lock that the kernel drops when its holder dies. Readers never block the writer.
 * Not here: the meaning of keys and values (each table has its own file; FORMAT.md has them all).
 * Failing: -errno; then the transaction can only be aborted. -ENOSPC is the one that a caller may
 * live with: the disk or the map is full, nothing of the transaction was kept. After any other
 * error of store_commit() what is on disk is unknown: stop acknowledging and exit. A row that this
 * version cannot have written is -EIO, whoever reads it. LMDB's own assertions end the process
 * (exit 76): they mean that the map is not what it was.
 */
#include "proto/base.h"

struct store;
struct txn;

enum {
	STORE_FORMAT = 1, /* written at creation; a store of another format is not touched */
	STORE_KEY_MAX = 511,
};

enum {
	STORE_NOT_FOUND = 1,    /* no such key; at open: no store in this directory */
	STORE_BUSY = 2,         /* open: another process has it open for writing */
	STORE_NEWER_FORMAT = 3, /* open: made by a newer version */
	STORE_DAMAGED = 4,      /* open: not what this version writes; nothing was changed */
	STORE_EXISTS = 5,       /* create: there is one already */
};

/* The named databases. FORMAT.md describes each. */
enum table {
	TABLE_META,        /* name -> bytes: format, own office, parent's address, serials */
	TABLE_OFFICES,     /* office id -> register row */
	TABLE_WORDS,       /* office, who speaks of it, tenure, what of -> body of the office record */
	TABLE_OPLOGS,      /* oplog id -> oplog row: size, frontier, newest head */
	TABLE_RECORDS,     /* arrival -> leaf */
	TABLE_RUNS,        /* oplog number, first -> arrival, length */
	TABLE_HEADS,       /* oplog number, size -> root, signature */
	TABLE_SUBTREES,    /* oplog number, place -> root of so many leaves */
	TABLE_CURSORS,     /* neighbour, oplog id -> size it has acknowledged */
	TABLE_CASES,       /* record id -> case row (petitions, meetings) */
	TABLE_STEPS,       /* case, sequence, office, record id -> arrival */
	TABLE_ESCALATIONS, /* case, record id -> arrival, office */
	TABLE_WAITING,     /* whose, clock, state, time, case -> nothing */
	TABLE_TALLIES,     /* office, period, category, organisation, measure -> count */
	TABLE_CHANGES,     /* number -> change row */
	TABLE_INVITES,     /* office id -> invitation, and what became of it */
	TABLE_PRIVATE,     /* record id -> sealed part, or that it was erased */
	TABLE_DISCLOSURES, /* neighbour, oplog number, index -> nothing: what it is to be told in full */
	TABLE_REQUESTS,    /* request, office, record -> arrival: who asked, who answered */
	TABLE_GRANTS,      /* case, office, record -> arrival: what was granted */
	TABLE_N,
};

enum store_mode {
	STORE_READ,  /* works beside a running node, and on a copy */
	STORE_WRITE, /* one process at a time */
};

/* Makes directory @path (0700) with an empty store in it, synced. 0, STORE_EXISTS or -errno. */
int store_create(const char *path, uint64_t map_size);
/* @map_size: the most the store may grow to, in bytes of address space; used with STORE_WRITE. */
int store_open(const char *path, enum store_mode mode, uint64_t map_size, struct store **ret_store);
struct store *store_close(struct store *store);
void store_closep(struct store **store);

/*
 * Bytes in use and the most there may be: the smaller of the map and what the disk still holds.
 * Pages freed by deletion count as used (LMDB takes those first; to count them costs a walk).
 */
int store_usage(struct store *store, uint64_t *ret_used, uint64_t *ret_max);
/*
 * Pages that LMDB counts as its own, that are not in the file and not on its list of free pages: each
 * was cut off. (A page freed before it was ever written may be beyond the end of a sound file.) Reads
 * the whole list, which no walk over the tables meets. For a store open for reading; 0 or -errno.
 */
int store_cut_off(struct store *store, uint64_t *ret_bytes);
/*
 * Writes the store as it is now into the directory @path, which is made (0700) or empty: a sound store of its
 * own, without free pages, synced. A node may be writing meanwhile. 0 or -errno.
 */
int store_copy(struct store *store, const char *path);
/* Clears reader slots left behind by killed processes. Cheap; the node calls it now and then. */
int store_clear_readers(struct store *store);

int store_begin_write(struct store *store, struct txn **ret_txn);
int store_begin_read(struct store *store, struct txn **ret_txn);
/* Makes a read transaction see the newest state; what was borrowed from it is no longer valid. */
int txn_refresh(struct txn *txn);
/* Commits and consumes @txn, also on failure. 0 or -errno. */
int store_commit(struct txn *txn);
struct txn *store_abort(struct txn *txn);
void store_abortp(struct txn **txn);

/* Values are borrowed until the transaction ends or writes. 0, STORE_NOT_FOUND or -errno. */
int txn_get(struct txn *txn, enum table table, struct span key, struct span *ret_value);
/* Adds or replaces. Keys from txn_next() fill pages to the end. */
int txn_put(struct txn *txn, enum table table, struct span key, struct span value);
/* As txn_put(), but returns room for @len bytes that the caller fills before the next call. */
int txn_reserve(struct txn *txn, enum table table, struct span key, size_t len, uint8_t **ret_room);
int txn_delete(struct txn *txn, enum table table, struct span key); /* 0, STORE_NOT_FOUND, -errno */
int txn_count(struct txn *txn, enum table table, uint64_t *ret_n);
/*
 * The next number of a table whose keys are numbers (u64 big-endian): one more than its last key, 1
 * if it is empty. Each call gives another one, which the caller uses as a key.
 */
int txn_next(struct txn *txn, enum table table, uint64_t *ret_number);
/* Leaves numbers out: the next is @number, which is beyond all that the table has. */
void txn_skip_to(struct txn *txn, enum table table, uint64_t number);

/* The greatest key; the greatest that is at most @key; the least that is at least @key. */
int scan_last(struct txn *txn, enum table table, struct span *ret_key, struct span *ret_value);
int scan_floor(struct txn *txn, enum table table, struct span key, struct span *ret_key,
	struct span *ret_value);
int scan_ceiling(struct txn *txn, enum table table, struct span key, struct span *ret_key,
	struct span *ret_value);

/*
 * Walks a table in key order, from the first key that is at least @from (empty: from the first).
 * Writing to the same table through the same transaction between two calls is allowed: the scan
 * goes on at the first key after the one it gave last. Close it before its transaction ends.
 */
struct scan;
int scan_open(struct txn *txn, enum table table, struct span from, struct scan **ret_scan);
/* 0, STORE_NOT_FOUND at the end, or -errno. */
int scan_next(struct scan *scan, struct span *ret_key, struct span *ret_value);
struct scan *scan_close(struct scan *scan);
void scan_closep(struct scan **scan);

/* Small named values in TABLE_META. */
int meta_get(struct txn *txn, const char *name, struct span *ret_value);
int meta_put(struct txn *txn, const char *name, struct span value);
int meta_delete(struct txn *txn, const char *name); /* 0, STORE_NOT_FOUND or -errno */
