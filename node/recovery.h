/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * recovery - a store that was put back: what the parent has of this office comes first, then a new life begins
 *
 * Whoever goes on from an old copy would write other records under numbers that were used. So until the parent
 * has said how far it holds this office's oplogs, and all of that is here, nothing is written. Then the next
 * epoch begins with a record that says where the one before ends: where the parent's copy ends, or where it
 * parts from what is here. What is here beyond that was acknowledged to somebody, and is written again.
 *
 * A copy that was not put back that way is known by the parent having more. The parent's word stops it while it is
 * said; a head that this office signed, which is asked for then, until a new life begins.
 */
#include "proto/message.h"
#include "store/store.h"

struct core;
struct link;
struct record;

enum {
	RECOVERY_NAME_LEN = 16,
	RECOVERY_GIVEN_MAX = 64 << 20, /* bytes of records that wait for their batch: twice what a turn takes in */
};

/* Of an oplog of this office: how far the parent holds it, and whether that is what is here. */
struct recovery_oplog {
	struct oplog_id id;
	uint64_t size;
	uint64_t seen_to; /* so far the parent sent leaves that are those that are here */
	uint64_t parted;  /* from there on they are not; UINT64_MAX: nowhere */
};

/* A record of this office that the parent has in full, before the batch that has its hash. */
struct recovery_given {
	struct recovery_given *next;
	struct hash hash; /* of its leaf */
	size_t len;
	uint8_t bytes[];
};

struct recovery {
	bool on;
	uint64_t session;       /* of the link to the parent, to which the next two and the list belong */
	bool told;              /* the parent's HEADS are all here */
	bool later;             /* they show more of this office than is here, though it was not put back */
	bool proven;            /* and a head that it signed shows that, in this session or before */
	struct recovery_oplog *oplogs;
	size_t n, cap;
	struct recovery_given *given, *given_last;
	size_t given_len;       /* bytes of them all */
	uint32_t pulled, hashes, lost; /* leaves from the parent; of those, hashes; petitioners that are not known here */
};

/* How it stands, in the store's meta; see core_recovery_step(). */
extern const char recovery_name[];
extern const char recovered_name[];

/* What the store says of it, also whether anything may be written. 0 or -errno. */
int core_recovery_load(struct core *core, struct txn *txn);
/* Looks at HEADS of the parent. 0 or -errno. */
int core_recovery_heads(struct core *core, struct link *link, struct message message);
/* Whether the parent is asked for this office's own oplogs. */
bool core_recovery_asks(const struct core *core);
/* A batch of an oplog of this office comes from the parent. 0 or -errno. */
int core_recovery_shown(struct core *core, const struct oplog_id *oplog, const struct head *head);
/* A batch of an oplog of this office fits what is here, up to @size. */
void core_recovery_seen(struct core *core, const struct oplog_id *oplog, uint64_t size);
/* It does not, from @at on. */
void core_recovery_parted(struct core *core, const struct oplog_id *oplog, uint64_t at);
/* The parent gives a record of this office in full, whose hash is to come. 0 or -errno. */
int core_recovery_give(struct core *core, struct span record);
/* Takes what was given for a leaf that came as its hash; to be freed. NULL: nothing was. */
struct recovery_given *core_recovery_take(struct core *core, const struct leaf *leaf);
void core_recovery_done(struct core *core);
/* A leaf of this office came back; @rec NULL: as a hash, or not as a record. 0 or -errno. */
int core_recovery_kept(struct core *core, struct txn *txn, const struct record *rec);
/* Begins the new life if all is there. Within the turn's transaction. 0 or -errno. */
int core_recovery_step(struct core *core);
