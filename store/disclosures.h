/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * disclosures - records that a neighbour is to have in full, of which it has or will have only the hash
 *
 * A row stands from the transaction that made it due until the neighbour has said that the bytes are on its
 * disk. The bytes themselves are where they always were, in the oplog.
 */
#include "store/store.h"

/* A leaf by the short name of its oplog. */
struct disclosure {
	uint32_t oplog; /* its number in this store */
	uint64_t index;
};

/* 0 or -errno; also where the row is there already. */
int disclosures_put(struct txn *txn, const struct id *neighbour, const struct disclosure *due);
int disclosures_delete(struct txn *txn, const struct id *neighbour, const struct disclosure *due); /* also STORE_NOT_FOUND */
/* The first of @neighbour's that is not before @due. 0, STORE_NOT_FOUND or -errno. */
int disclosures_next(struct txn *txn, const struct id *neighbour, const struct disclosure *due,
	struct disclosure *ret_due);
/* Whether it is due. 0 (no), 1 or -errno. */
int disclosures_has(struct txn *txn, const struct id *neighbour, const struct disclosure *due);
/* Forgets all of them. */
int disclosures_clear(struct txn *txn);
