/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/merkle.h"

#include <assert.h>

#include "proto/sign.h"

static struct span hash_span(const struct hash *hash) {
	return (struct span){ hash->b, sizeof(hash->b) };
}

/* SHA-256(0x01 || left || right). @ret_node may be one of the two. */
static void node_hash(const struct hash *left, const struct hash *right, struct hash *ret_node) {
	sha256_prefixed(0x01, hash_span(left), hash_span(right), ret_node);
}

static bool hash_eq(const struct hash *a, const struct hash *b) {
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

void merkle_leaf(struct span bytes, struct hash *ret_leaf) {
	sha256_prefixed(0x00, bytes, (struct span){ 0 }, ret_leaf);
}

void frontier_init(struct frontier *f) {
	f->size = 0;
}

void frontier_append_subtree(struct frontier *f, unsigned level, const struct hash *root) {
	const uint64_t n = UINT64_C(1) << level;
	struct hash node = *root;
	unsigned i;

	assert(f->size % n == 0 && f->size <= UINT64_MAX - n);
	for (i = level; f->size >> i & 1; i++) /* as a carry runs through the size */
		node_hash(&f->node[i], &node, &node);
	f->node[i] = node;
	f->size += n;
}

void frontier_append(struct frontier *f, const struct hash *leaf) {
	frontier_append_subtree(f, 0, leaf);
}

bool frontier_completes(const struct frontier *f, unsigned level, const struct hash *leaf, struct hash *ret_root) {
	const uint64_t n = UINT64_C(1) << level;
	struct hash node = *leaf;

	if (f->size % n != n - 1)
		return false;
	for (unsigned i = 0; i < level; i++)
		node_hash(&f->node[i], &node, &node);
	*ret_root = node;
	return true;
}

void frontier_root(const struct frontier *f, struct hash *ret_root) {
	struct hash root;
	unsigned i;

	if (f->size == 0) {
		sha256((struct span){ 0 }, ret_root);
		return;
	}
	i = __builtin_ctzll(f->size);
	root = f->node[i];
	for (i++; i < MERKLE_DEPTH_MAX; i++)
		if (f->size >> i & 1)
			node_hash(&f->node[i], &root, &root);
	*ret_root = root;
}

size_t frontier_encode(const struct frontier *f, uint8_t ret_bytes[FRONTIER_ENCODED_MAX]) {
	uint8_t *pos = ret_bytes + sizeof(f->size);

	put_be64(ret_bytes, f->size);
	for (unsigned i = MERKLE_DEPTH_MAX; i-- > 0;)
		if (f->size >> i & 1) {
			memcpy(pos, f->node[i].b, sizeof(f->node[i].b));
			pos += sizeof(f->node[i].b);
		}
	return (size_t)(pos - ret_bytes);
}

int frontier_decode(struct span bytes, struct frontier *ret_frontier) {
	const uint8_t *pos;
	uint64_t size;

	if (bytes.len < sizeof(size))
		return MERKLE_BAD_PROOF;
	size = get_be64(bytes.data);
	pos = bytes.data + sizeof(size);
	if (size == UINT64_MAX || /* nothing could be appended to it */
		bytes.len - sizeof(size) != sizeof(struct hash) * __builtin_popcountll(size))
		return MERKLE_BAD_PROOF;
	ret_frontier->size = size;
	for (unsigned i = MERKLE_DEPTH_MAX; i-- > 0;)
		if (size >> i & 1) {
			memcpy(ret_frontier->node[i].b, pos, sizeof(struct hash));
			pos += sizeof(struct hash);
		}
	return 0;
}

/* The subtree over @n leaves from @first on. */
struct range {
	uint64_t first;
	uint64_t n;
};

static int range_root(struct range range, merkle_leaf_fn leaf, void *userdata,
	struct hash *ret_root) {
	struct frontier f;
	struct hash hash;
	int r;

	frontier_init(&f);
	for (uint64_t i = 0; i < range.n; i++) {
		r = leaf(userdata, range.first + i, &hash);
		if (r)
			return r;
		frontier_append(&f, &hash);
	}
	frontier_root(&f, ret_root);
	return 0;
}

/* Where a tree of @n > 1 leaves is split: the largest power of two below @n. */
static uint64_t split(uint64_t n) {
	return 1ULL << (63 - __builtin_clzll(n - 1));
}

/* The proof's hashes are those of @ranges, which were found from the root downward. */
static int prove(const struct range *ranges, size_t n, merkle_leaf_fn leaf, void *userdata,
	struct merkle_proof *ret_proof) {
	struct merkle_proof proof = { .n = n };

	for (size_t i = 0; i < n; i++) {
		int r = range_root(ranges[n - 1 - i], leaf, userdata, &proof.node[i]);

		if (r)
			return r;
	}
	*ret_proof = proof;
	return 0;
}

/* RFC 6962, 2.1.1: PATH(index, D[size]). */
int merkle_inclusion_prove(uint64_t index, uint64_t size, merkle_leaf_fn leaf, void *userdata,
	struct merkle_proof *ret_proof) {
	struct range siblings[MERKLE_DEPTH_MAX];
	struct range tree = { 0, size };
	size_t n = 0;

	assert(index < size);
	while (tree.n > 1) {
		uint64_t k = split(tree.n);
		struct range left = { tree.first, k };
		struct range right = { tree.first + k, tree.n - k };
		bool is_left = index < right.first;

		siblings[n++] = is_left ? right : left;
		tree = is_left ? left : right;
	}
	return prove(siblings, n, leaf, userdata, ret_proof);
}

/* RFC 6962, 2.1.2: PROOF(old_size, D[new_size]). */
int merkle_consistency_prove(uint64_t old_size, uint64_t new_size, merkle_leaf_fn leaf,
	void *userdata, struct merkle_proof *ret_proof) {
	struct range ranges[MERKLE_DEPTH_MAX + 1];
	struct range tree = { 0, new_size };
	size_t n = 0;

	assert(0 < old_size && old_size <= new_size);
	while (tree.first + tree.n != old_size) {
		uint64_t k = split(tree.n);
		struct range left = { tree.first, k };
		struct range right = { tree.first + k, tree.n - k };
		bool is_left = old_size <= right.first;

		ranges[n++] = is_left ? right : left;
		tree = is_left ? left : right;
	}
	if (tree.first > 0) /* else it is the old tree itself, whose root the other side knows */
		ranges[n++] = tree;
	return prove(ranges, n, leaf, userdata, ret_proof);
}

/* RFC 9162, 2.1.3.2, whose names fn and sn are @at and @last here. */
int merkle_inclusion_check(uint64_t index, uint64_t size, const struct hash *leaf,
	const struct hash *root, const struct merkle_proof *proof) {
	uint64_t at = index, last = size - 1;
	struct hash hash = *leaf;

	if (index >= size)
		return MERKLE_BAD_PROOF;
	for (size_t i = 0; i < proof->n; i++) {
		if (last == 0) /* after 64 hashes at the latest, whatever the proof's n says */
			return MERKLE_BAD_PROOF;
		if (at & 1 || at == last) {
			node_hash(&proof->node[i], &hash, &hash);
			while (!(at & 1) && at != 0) { /* a left edge without siblings */
				at >>= 1;
				last >>= 1;
			}
		} else {
			node_hash(&hash, &proof->node[i], &hash);
		}
		at >>= 1;
		last >>= 1;
	}
	return last == 0 && hash_eq(&hash, root) ? 0 : MERKLE_BAD_PROOF;
}

/* RFC 9162, 2.1.4.2: both roots are built from the one proof. */
int merkle_consistency_check(uint64_t old_size, const struct hash *old_root, uint64_t new_size,
	const struct hash *new_root, const struct merkle_proof *proof) {
	uint64_t at = old_size - 1, last = new_size - 1;
	struct hash old, new;
	size_t i = 0;

	if (old_size == 0 || old_size > new_size)
		return MERKLE_BAD_PROOF;
	if (old_size == new_size)
		return proof->n == 0 && hash_eq(old_root, new_root) ? 0 : MERKLE_BAD_PROOF;
	while (at & 1) {
		at >>= 1;
		last >>= 1;
	}
	if (at == 0) { /* a full tree is a node of the new one */
		old = *old_root;
	} else {
		if (proof->n == 0)
			return MERKLE_BAD_PROOF;
		old = proof->node[i++];
	}
	new = old;
	for (; i < proof->n; i++) {
		const struct hash *node = &proof->node[i];

		if (last == 0)
			return MERKLE_BAD_PROOF;
		if (at & 1 || at == last) {
			node_hash(node, &old, &old);
			node_hash(node, &new, &new);
			while (!(at & 1) && at != 0) {
				at >>= 1;
				last >>= 1;
			}
		} else {
			node_hash(&new, node, &new);
		}
		at >>= 1;
		last >>= 1;
	}
	return last == 0 && hash_eq(&old, old_root) && hash_eq(&new, new_root) ? 0 : MERKLE_BAD_PROOF;
}
