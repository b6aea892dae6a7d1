/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * merkle - the hash tree of RFC 6962, section 2.1 (the same in RFC 9162, section 2.1)
 *
 * A frontier is what must be kept to append and to give the root: the roots of the full subtrees
 * on the right edge, one for each bit set in the size. Proofs are made from leaf hashes that the
 * caller supplies, since only the caller knows where they are kept.
 */
#include "proto/base.h"

enum {
	MERKLE_DEPTH_MAX = 64,
};

enum {
	MERKLE_BAD_PROOF = 1,
};

struct frontier {
	uint64_t size;                       /* leaves so far */
	struct hash node[MERKLE_DEPTH_MAX];  /* node[i] is in use where bit i of size is set */
};

/* The proof's hashes, from the leaf upward. */
struct merkle_proof {
	size_t n;
	struct hash node[2 * MERKLE_DEPTH_MAX];
};

/* Gives the hash of leaf @index; 0 or an error that is passed back unchanged. */
typedef int (*merkle_leaf_fn)(void *userdata, uint64_t index, struct hash *ret_leaf);

void merkle_leaf(struct span bytes, struct hash *ret_leaf); /* SHA-256(0x00 || bytes) */
void frontier_init(struct frontier *f);
void frontier_append(struct frontier *f, const struct hash *leaf);
/* Appends 2^@level leaves by the root of their tree; the size so far is a multiple of that. */
void frontier_append_subtree(struct frontier *f, unsigned level, const struct hash *root);
/* Whether @leaf, which is appended next, completes 2^@level leaves; then the root of their tree. */
bool frontier_completes(const struct frontier *f, unsigned level, const struct hash *leaf, struct hash *ret_root);
void frontier_root(const struct frontier *f, struct hash *ret_root); /* of nothing: SHA-256("") */

/* A frontier as bytes: size (u64 big-endian), then the nodes in use, highest bit first. */
enum {
	FRONTIER_ENCODED_MAX = 8 + 32 * MERKLE_DEPTH_MAX,
};
size_t frontier_encode(const struct frontier *f, uint8_t ret_bytes[FRONTIER_ENCODED_MAX]);
int frontier_decode(struct span bytes, struct frontier *ret_frontier); /* 0 or MERKLE_BAD_PROOF */

/* That leaf @index is in the tree of the first @size leaves; @index < @size. */
int merkle_inclusion_prove(uint64_t index, uint64_t size, merkle_leaf_fn leaf, void *userdata,
	struct merkle_proof *ret_proof);
int merkle_inclusion_check(uint64_t index, uint64_t size, const struct hash *leaf,
	const struct hash *root, const struct merkle_proof *proof);
/* That the tree of @old_size leaves is the beginning of the one of @new_size; 0 < old <= new. */
int merkle_consistency_prove(uint64_t old_size, uint64_t new_size, merkle_leaf_fn leaf,
	void *userdata, struct merkle_proof *ret_proof);
int merkle_consistency_check(uint64_t old_size, const struct hash *old_root, uint64_t new_size,
	const struct hash *new_root, const struct merkle_proof *proof);
