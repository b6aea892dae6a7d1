/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>

#include "proto/merkle.h"
#include "proto/sign.h"
#include "tests/unit/hex.h"

enum {
	SIZE_MAX_TRIED = 70, /* past 64, where the tree gets a level */
	SIZE_MAX_FLIPPED = 33,
};

/* The reference tree of the Certificate Transparency project's tests. */
static const char *const reference_leaves[] = { "", "00", "10", "2021", "3031", "40414243",
	"5051525354555657", "606162636465666768696a6b6c6d6e6f" };
static const char *const reference_roots[] = {
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

/* Leaf @index of the trees that have no reference. */
static int leaf_at(void *userdata, uint64_t index, struct hash *ret_leaf) {
	uint8_t bytes[8];

	put_be64(bytes, index);
	merkle_leaf((struct span){ bytes, sizeof(bytes) }, ret_leaf);
	return 0;
}

static int broken_leaf(void *userdata, uint64_t index, struct hash *ret_leaf) {
	return index == 5 ? -5 : leaf_at(NULL, index, ret_leaf);
}

/* RFC 6962, 2.1, as it is written there: MTH(D[first:first + n]). */
static struct hash naive_root(uint64_t first, uint64_t n) {
	struct hash left, right, root;
	uint64_t k = 1;

	if (n == 0) {
		sha256((struct span){ 0 }, &root);
		return root;
	}
	if (n == 1) {
		leaf_at(NULL, first, &root);
		return root;
	}
	while (k * 2 < n)
		k *= 2;
	left = naive_root(first, k);
	right = naive_root(first + k, n - k);
	sha256_prefixed(0x01, (struct span){ left.b, 32 }, (struct span){ right.b, 32 }, &root);
	return root;
}

/* 2.1.1, PATH(m, D[first:first + n]). */
static void naive_path(uint64_t m, uint64_t first, uint64_t n, struct merkle_proof *proof) {
	uint64_t k = 1;

	if (n == 1)
		return;
	while (k * 2 < n)
		k *= 2;
	if (m < k) {
		naive_path(m, first, k, proof);
		proof->node[proof->n++] = naive_root(first + k, n - k);
	} else {
		naive_path(m - k, first + k, n - k, proof);
		proof->node[proof->n++] = naive_root(first, k);
	}
}

/* 2.1.2, SUBPROOF(m, D[first:first + n], b). */
static void naive_subproof(uint64_t m, uint64_t first, uint64_t n, bool b,
	struct merkle_proof *proof) {
	uint64_t k = 1;

	if (m == n) {
		if (!b)
			proof->node[proof->n++] = naive_root(first, n);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	if (m <= k) {
		naive_subproof(m, first, k, b, proof);
		proof->node[proof->n++] = naive_root(first + k, n - k);
	} else {
		naive_subproof(m - k, first + k, n - k, false, proof);
		proof->node[proof->n++] = naive_root(first, k);
	}
}

static bool same_proof(const struct merkle_proof *a, const struct merkle_proof *b) {
	return a->n == b->n && memcmp(a->node, b->node, a->n * sizeof(a->node[0])) == 0;
}

Test(merkle, gives_the_roots_of_the_reference_tree) {
	struct frontier f;
	struct hash root, want, leaf;

	frontier_init(&f);
	for (size_t i = 0; i < N_ELEMENTS(reference_roots); i++) {
		uint8_t bytes[16];
		size_t len;

		frontier_root(&f, &root);
		from_hex(reference_roots[i], want.b, sizeof(want.b));
		cr_expect_arr_eq(root.b, want.b, sizeof(root.b), "size %zu", i);
		if (i == N_ELEMENTS(reference_leaves))
			break;
		len = from_hex(reference_leaves[i], bytes, sizeof(bytes));
		merkle_leaf((struct span){ bytes, len }, &leaf);
		frontier_append(&f, &leaf);
		cr_expect_eq(f.size, i + 1);
	}
}

Test(merkle, a_frontier_gives_the_same_root_as_the_whole_tree) {
	struct frontier f;

	frontier_init(&f);
	for (uint64_t n = 0; n <= 300; n++) {
		struct hash want = naive_root(0, n), root, leaf;

		frontier_root(&f, &root);
		cr_expect_arr_eq(root.b, want.b, sizeof(root.b), "size %u", (unsigned)n);
		leaf_at(NULL, n, &leaf);
		frontier_append(&f, &leaf);
	}
}

Test(merkle, a_frontier_comes_back_from_its_bytes) {
	struct frontier f, again;
	uint8_t bytes[FRONTIER_ENCODED_MAX + 1];

	frontier_init(&f);
	for (uint64_t n = 0; n <= SIZE_MAX_TRIED; n++) {
		size_t len = frontier_encode(&f, bytes);
		struct hash want, root, leaf;

		cr_expect_eq(len, 8 + 32 * __builtin_popcountll(n));
		memset(&again, 0xee, sizeof(again));
		cr_assert_eq(frontier_decode((struct span){ bytes, len }, &again), 0);
		cr_expect_eq(again.size, n);
		leaf_at(NULL, n, &leaf);
		frontier_append(&f, &leaf);
		frontier_append(&again, &leaf);
		frontier_root(&f, &want);
		frontier_root(&again, &root);
		cr_expect_arr_eq(root.b, want.b, sizeof(root.b));
		cr_expect_eq(frontier_decode((struct span){ bytes, len + 1 }, &again), MERKLE_BAD_PROOF);
		for (size_t cut = 0; cut < len; cut++)
			cr_expect_eq(frontier_decode((struct span){ bytes, cut }, &again), MERKLE_BAD_PROOF);
	}
}

Test(merkle, a_frontier_may_be_as_large_as_its_numbers) {
	uint8_t bytes[FRONTIER_ENCODED_MAX] = { 0 };
	struct frontier f;
	struct hash leaf, root;

	put_be64(bytes, UINT64_MAX);
	cr_expect_eq(frontier_decode((struct span){ bytes, sizeof(bytes) }, &f), MERKLE_BAD_PROOF);
	put_be64(bytes, UINT64_MAX - 1);
	cr_assert_eq(frontier_decode((struct span){ bytes, sizeof(bytes) - 32 }, &f), 0);
	leaf_at(NULL, 0, &leaf);
	frontier_append(&f, &leaf);
	frontier_root(&f, &root);
	cr_expect_eq(f.size, UINT64_MAX);
	cr_expect_eq(frontier_encode(&f, bytes), FRONTIER_ENCODED_MAX);
}

Test(merkle, inclusion_proofs_are_those_of_the_definition) {
	for (uint64_t size = 1; size <= SIZE_MAX_TRIED; size++) {
		struct hash root = naive_root(0, size);

		for (uint64_t index = 0; index < size; index++) {
			struct merkle_proof proof, want = { 0 };
			struct hash leaf;

			naive_path(index, 0, size, &want);
			leaf_at(NULL, index, &leaf);
			cr_assert_eq(merkle_inclusion_prove(index, size, leaf_at, NULL, &proof), 0);
			cr_assert(same_proof(&proof, &want), "%u in %u", (unsigned)index, (unsigned)size);
			cr_assert_eq(merkle_inclusion_check(index, size, &leaf, &root, &proof), 0,
				"%u in %u", (unsigned)index, (unsigned)size);
		}
	}
}

Test(merkle, consistency_proofs_are_those_of_the_definition) {
	for (uint64_t size = 1; size <= SIZE_MAX_TRIED; size++) {
		struct hash root = naive_root(0, size);

		for (uint64_t old = 1; old <= size; old++) {
			struct hash old_root = naive_root(0, old);
			struct merkle_proof proof, want = { 0 };

			naive_subproof(old, 0, size, true, &want);
			cr_assert_eq(merkle_consistency_prove(old, size, leaf_at, NULL, &proof), 0);
			cr_assert(same_proof(&proof, &want), "%u in %u", (unsigned)old, (unsigned)size);
			cr_assert_eq(merkle_consistency_check(old, &old_root, size, &root, &proof), 0,
				"%u in %u", (unsigned)old, (unsigned)size);
		}
	}
}

/* A proof and what it is about; merkle_inclusion_check() or merkle_consistency_check(). */
struct claim {
	bool consistency;
	uint64_t at, size;
	struct hash from, root;
	struct merkle_proof proof;
};

static bool holds(const struct claim *c) {
	int r = c->consistency
		? merkle_consistency_check(c->at, &c->from, c->size, &c->root, &c->proof)
		: merkle_inclusion_check(c->at, c->size, &c->from, &c->root, &c->proof);

	return r == 0;
}

/* In how many ways the proof can be changed, shortened or lengthened and still hold. */
static unsigned count_unseen(struct claim *c) {
	struct merkle_proof *proof = &c->proof;
	unsigned unseen = 0;
	size_t n = proof->n;

	for (size_t i = 0; i < n; i++)
		for (size_t bit = 0; bit < 256; bit++) {
			proof->node[i].b[bit / 8] ^= 1 << bit % 8;
			unseen += holds(c);
			proof->node[i].b[bit / 8] ^= 1 << bit % 8;
		}
	for (proof->n = 0; proof->n < n; proof->n++)
		unseen += holds(c);
	proof->node[n] = c->root;
	for (proof->n = n + 1; proof->n <= N_ELEMENTS(proof->node) + 1; proof->n++)
		unseen += holds(c);
	proof->n = SIZE_MAX;
	unseen += holds(c);
	return unseen;
}

Test(merkle, every_change_of_a_proof_is_seen, .timeout = 60) {
	for (uint64_t size = 1; size <= SIZE_MAX_FLIPPED; size++)
		for (uint64_t at = 0; at < size; at++) {
			struct claim c = { false, at, size, .root = naive_root(0, size) };

			leaf_at(NULL, at, &c.from);
			cr_assert_eq(merkle_inclusion_prove(at, size, leaf_at, NULL, &c.proof), 0);
			cr_expect(holds(&c));
			cr_expect_eq(count_unseen(&c), 0, "%u in %u", (unsigned)at, (unsigned)size);

			c.consistency = true;
			c.at = at + 1;
			c.from = naive_root(0, c.at);
			cr_assert_eq(merkle_consistency_prove(c.at, size, leaf_at, NULL, &c.proof), 0);
			cr_expect(holds(&c));
			cr_expect_eq(count_unseen(&c), 0, "%u of %u", (unsigned)c.at, (unsigned)size);
		}
}

Test(merkle, a_proof_serves_for_no_other_place_size_leaf_or_root) {
	struct hash root = naive_root(0, 21), old_root = naive_root(0, 13), leaf, other;
	struct merkle_proof path, subproof;

	leaf_at(NULL, 12, &leaf);
	leaf_at(NULL, 99, &other);
	cr_assert_eq(merkle_inclusion_prove(12, 21, leaf_at, NULL, &path), 0);
	cr_assert_eq(merkle_consistency_prove(13, 21, leaf_at, NULL, &subproof), 0);
	for (uint64_t at = 0; at < 40; at++) {
		cr_expect(at == 12 || merkle_inclusion_check(at, 21, &leaf, &root, &path) != 0);
		cr_expect(at == 13 ||
			merkle_consistency_check(at, &old_root, 21, &root, &subproof) != 0);
	}
	/* The size is not bound by the path alone, but its shape is: these have another. */
	cr_expect_eq(merkle_inclusion_check(12, 16, &leaf, &root, &path), MERKLE_BAD_PROOF);
	cr_expect_eq(merkle_inclusion_check(12, 33, &leaf, &root, &path), MERKLE_BAD_PROOF);
	cr_expect_eq(merkle_inclusion_check(12, 0, &leaf, &root, &path), MERKLE_BAD_PROOF);
	cr_expect_eq(merkle_inclusion_check(UINT64_MAX, UINT64_MAX, &leaf, &root, &path),
		MERKLE_BAD_PROOF);
	cr_expect_eq(merkle_inclusion_check(12, UINT64_MAX, &leaf, &root, &path), MERKLE_BAD_PROOF);
	cr_expect_eq(merkle_inclusion_check(12, 21, &other, &root, &path), MERKLE_BAD_PROOF);
	cr_expect_eq(merkle_inclusion_check(12, 21, &leaf, &other, &path), MERKLE_BAD_PROOF);
	cr_expect_eq(merkle_consistency_check(13, &other, 21, &root, &subproof), MERKLE_BAD_PROOF);
	cr_expect_eq(merkle_consistency_check(13, &old_root, 21, &other, &subproof), MERKLE_BAD_PROOF);
	cr_expect_eq(merkle_consistency_check(21, &old_root, 13, &root, &subproof), MERKLE_BAD_PROOF);
	cr_expect_eq(merkle_consistency_check(0, &old_root, 21, &root, &subproof), MERKLE_BAD_PROOF);
}

Test(merkle, a_failing_leaf_ends_a_proof_with_its_own_error) {
	struct merkle_proof proof = { .n = 77 };

	cr_expect_eq(merkle_inclusion_prove(0, 8, broken_leaf, NULL, &proof), -5);
	cr_expect_eq(merkle_consistency_prove(3, 8, broken_leaf, NULL, &proof), -5);
	cr_expect_eq(proof.n, 77, "untouched on failure");
}
