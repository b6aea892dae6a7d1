/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * evidence - whether an office has signed two histories, when a batch does not fit what is held
 *
 * The head of the batch is known to be the office's. That its leaves do not fit may be the fault of whoever
 * passed it on; only where the leaves held before the batch and those in it give the root that was signed
 * has the office signed something else than it did before.
 */
#include "proto/kinds/fork.h"
#include "store/oplog.h"

enum {
	EVIDENCE_NONE = 1,    /* the leaves are not what the head signs */
	EVIDENCE_EARLIER = 2, /* or the histories part before this batch: see it from @ret_at on */
};

/*
 * @held: what this office has, @limit: how far of it counts; @leaves: the leaf hashes of the batch, which begins at
 * @first, not beyond @held's size, and ends at @head. 0 with the proof, @ret_at being the first number of which there are two
 * records; an outcome, or -errno.
 */
int evidence_find(struct txn *txn, const struct oplog *held, uint64_t limit, uint64_t first, const struct hash *leaves,
	const struct head *head, struct fork *ret_fork, uint64_t *ret_at);
/*
 * The proof that @head, of at most @held's size and @limit, is of another history than @held; the caller knows that the office
 * signed @head. 0, EVIDENCE_NONE or -errno.
 */
int evidence_of_head(struct txn *txn, const struct oplog *held, uint64_t limit, const struct head *head,
	struct fork *ret_fork);
