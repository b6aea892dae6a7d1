/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * leaf - what an oplog holds under a number: a record, or its hash where it is withheld
 *
 * What the oplog's tree is made of is not the record itself but 33 bytes: how far it travels in full (reach, from
 * its kind) and its SHA-256. So whoever has only these can check the tree, and sees whether the one who passed
 * them on had the right to withhold the rest.
 */
#include "proto/codec.h"
#include "proto/record.h"

struct leaf {
	bool withheld;
	bool disclosed;    /* in a store: the bytes came after the hash, as which it goes on counting and travelling */
	uint8_t reach;     /* where it is withheld: enum reach of the record */
	struct span bytes; /* of the record, where it is not */
	struct hash hash;  /* where it is: SHA-256 of the record */
};

enum {
	LEAF_WITHHELD_LEN = 33, /* reach, hash */
};

/* The leaf's hash in the tree: SHA-256(0x00 || reach || SHA-256(record)). */
void leaf_hash(const struct leaf *leaf, struct hash *ret_hash);
/* The same of a record's bytes. */
void leaf_hash_of(struct span record, struct hash *ret_hash);
/* Leaves nothing in @leaf of a record but reach and hash. */
void leaf_withhold(struct leaf *leaf);
/* What it counts towards BATCH_BYTES_MAX: at least a hash, so that it can also be passed on as one. */
size_t leaf_weight(const struct leaf *leaf);
/* Reach and hash of a withheld leaf as they lie under the tree, and in stores. */
void leaf_withheld_encode(const struct leaf *leaf, uint8_t ret_bytes[LEAF_WITHHELD_LEN]);
void leaf_withheld_decode(const uint8_t bytes[LEAF_WITHHELD_LEN], struct leaf *ret_leaf);

/* The plain payload of a batch: write_array(w, n), then each leaf. */
void leaf_write(struct writer *w, const struct leaf *leaf);
/* Reads one leaf out of a payload's array: enter it with read_array() first. */
void leaf_read(struct reader *r, struct leaf *ret_leaf);
