/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * For a leaf and a tree there is one proof that holds: the one that was made. The input is four
 * bytes (size, place, and two for where the good proof is changed) and the hashes of a proof of
 * its own; with these the largest sizes are tried too.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/merkle.h"

enum {
	LEAVES_MAX = 67,
	PARAMETERS = 4,
};

static int leaf_at(void *userdata, uint64_t index, struct hash *ret_leaf) {
	uint8_t byte = index;

	merkle_leaf((struct span){ &byte, 1 }, ret_leaf);
	return 0;
}

static void tree_root(uint64_t size, struct hash *ret_root) {
	struct frontier f;
	struct hash leaf;

	frontier_init(&f);
	for (uint64_t i = 0; i < size; i++) {
		leaf_at(NULL, i, &leaf);
		frontier_append(&f, &leaf);
	}
	frontier_root(&f, ret_root);
}

static bool proof_eq(const struct merkle_proof *a, const struct merkle_proof *b) {
	return a->n == b->n && memcmp(a->node, b->node, a->n * sizeof(a->node[0])) == 0;
}

/* Both kinds of proof about the same tree; @place is a leaf's index, and an old size less one. */
static void check(uint64_t place, uint64_t size, const struct merkle_proof *theirs, uint16_t change) {
	struct hash root, leaf, old_root;
	struct merkle_proof path, subproof;

	tree_root(size, &root);
	tree_root(place + 1, &old_root);
	leaf_at(NULL, place, &leaf);
	assert(merkle_inclusion_prove(place, size, leaf_at, NULL, &path) == 0);
	assert(merkle_consistency_prove(place + 1, size, leaf_at, NULL, &subproof) == 0);
	assert(merkle_inclusion_check(place, size, &leaf, &root, &path) == 0);
	assert(merkle_consistency_check(place + 1, &old_root, size, &root, &subproof) == 0);

	assert((merkle_inclusion_check(place, size, &leaf, &root, theirs) == 0) ==
		proof_eq(theirs, &path));
	assert((merkle_consistency_check(place + 1, &old_root, size, &root, theirs) == 0) ==
		proof_eq(theirs, &subproof));

	if (path.n > 0) {
		change %= 256 * path.n;
		path.node[change / 256].b[change % 256 / 8] ^= 1 << change % 8;
		assert(merkle_inclusion_check(place, size, &leaf, &root, &path) != 0);
	}
	if (subproof.n > 0) {
		change %= 256 * subproof.n;
		subproof.node[change / 256].b[change % 256 / 8] ^= 1 << change % 8;
		assert(merkle_consistency_check(place + 1, &old_root, size, &root, &subproof) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct merkle_proof theirs;
	struct hash some = { { 0 } };
	struct frontier f;
	uint64_t n, place;

	if (frontier_decode((struct span){ data, size }, &f) == 0) {
		uint8_t again[FRONTIER_ENCODED_MAX];

		assert(frontier_encode(&f, again) == size && memcmp(again, data, size) == 0);
		frontier_append(&f, &some);
		frontier_root(&f, &some);
	}
	if (size < PARAMETERS)
		return 0;
	n = 1 + data[0] % LEAVES_MAX;
	place = data[1] % n;
	theirs.n = (size - PARAMETERS) / sizeof(struct hash);
	if (theirs.n > N_ELEMENTS(theirs.node))
		theirs.n = N_ELEMENTS(theirs.node);
	memcpy(theirs.node, data + PARAMETERS, theirs.n * sizeof(struct hash));
	check(place, n, &theirs, get_be16(data + 2));

	for (unsigned shift = 0; shift < 64; shift++) { /* nothing holds of what was made up */
		uint64_t big = UINT64_MAX >> shift;

		assert(merkle_inclusion_check(big - place, big, &some, &(struct hash){ { 1 } }, &theirs));
		assert(merkle_consistency_check(big - place, &some, big, &(struct hash){ { 1 } }, &theirs));
	}
	return 0;
}
