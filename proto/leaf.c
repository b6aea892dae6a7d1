/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/leaf.h"

#include "proto/merkle.h"
#include "proto/sign.h"

enum {
	WITHHELD_FIELDS = 2,
};

void leaf_withhold(struct leaf *leaf) {
	leaf->withheld = true;
	leaf->disclosed = false;
	leaf->reach = record_reach(leaf->bytes);
	sha256(leaf->bytes, &leaf->hash);
	leaf->bytes = (struct span){ 0 };
}

void leaf_withheld_encode(const struct leaf *leaf, uint8_t ret_bytes[LEAF_WITHHELD_LEN]) {
	ret_bytes[0] = leaf->reach;
	memcpy(ret_bytes + 1, leaf->hash.b, sizeof(leaf->hash.b));
}

void leaf_withheld_decode(const uint8_t bytes[LEAF_WITHHELD_LEN], struct leaf *ret_leaf) {
	*ret_leaf = (struct leaf){ .withheld = true, .reach = bytes[0] };
	memcpy(ret_leaf->hash.b, bytes + 1, sizeof(ret_leaf->hash.b));
}

void leaf_hash(const struct leaf *leaf, struct hash *ret_hash) {
	uint8_t bytes[LEAF_WITHHELD_LEN];
	struct leaf withheld = *leaf;

	if (!withheld.withheld)
		leaf_withhold(&withheld);
	leaf_withheld_encode(&withheld, bytes);
	merkle_leaf((struct span){ bytes, sizeof(bytes) }, ret_hash);
}

void leaf_hash_of(struct span record, struct hash *ret_hash) {
	leaf_hash(&(struct leaf){ .bytes = record }, ret_hash);
}

size_t leaf_weight(const struct leaf *leaf) {
	return leaf->withheld || leaf->disclosed || leaf->bytes.len < sizeof(leaf->hash.b) ? sizeof(leaf->hash.b)
											     : leaf->bytes.len;
}

void leaf_write(struct writer *w, const struct leaf *leaf) {
	if (!leaf->withheld) {
		write_bin(w, leaf->bytes);
		return;
	}
	write_array(w, WITHHELD_FIELDS);
	write_uint(w, leaf->reach);
	write_hash(w, &leaf->hash);
}

void leaf_read(struct reader *r, struct leaf *ret_leaf) {
	struct leaf leaf = { .withheld = reader_peek(r) == VALUE_ARRAY };

	if (leaf.withheld) {
		read_array(r, WITHHELD_FIELDS, WITHHELD_FIELDS);
		leaf.reach = read_uint(r, REACH_N - 1);
		read_hash(r, &leaf.hash);
		read_end(r);
	} else {
		leaf.bytes = read_bin(r, 1, RECORD_MAX);
	}
	*ret_leaf = leaf;
}
