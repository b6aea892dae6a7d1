/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/evidence.h"

#include <errno.h>

enum {
	STEP_BACK_MIN = 4096, /* leaves: nearer than that the whole log is as quick */
};

/* One of the histories: what is held, up to where the batch begins (NULL: to its end), then the batch. */
struct history {
	struct txn *txn;
	const struct oplog *held;
	uint64_t first;
	const struct hash *leaves;
};

static int leaf_of(void *userdata, uint64_t index, struct hash *ret_leaf) {
	const struct history *history = userdata;
	uint64_t arrival;
	struct leaf leaf;
	int r;

	if (history->leaves && index >= history->first) {
		*ret_leaf = history->leaves[index - history->first];
		return 0;
	}
	r = oplog_leaf(history->txn, history->held, index, &leaf, &arrival);
	if (r)
		return r < 0 ? r : -EIO;
	leaf_hash(&leaf, ret_leaf);
	return 0;
}

/* Whether the leaves held before the batch and those in it are what the head signs. 0 (no), 1 or -errno. */
static int gives_root(struct history *history, const struct head *head) {
	struct frontier frontier;
	struct hash leaf, root;
	int r = 0;

	frontier_init(&frontier);
	for (uint64_t i = 0; r == 0 && i < head->size; i++) {
		r = leaf_of(history, i, &leaf);
		frontier_append(&frontier, &leaf);
	}
	frontier_root(&frontier, &root);
	return r ? r : memcmp(root.b, head->root.b, sizeof(root.b)) == 0;
}

static int prove_side(struct history *history, uint64_t index, const struct head *head, struct fork_side *ret_side) {
	int r;

	ret_side->head = *head;
	r = leaf_of(history, index, &ret_side->leaf);
	return r ? r : merkle_inclusion_prove(index, head->size, leaf_of, history, &ret_side->path);
}

int evidence_find(struct txn *txn, const struct oplog *held, uint64_t first, const struct hash *leaves,
	const struct head *head, struct fork *ret_fork, uint64_t *ret_from) {
	struct history ours = { txn, held, 0, NULL }, theirs = { txn, held, first, leaves };
	uint64_t end = held->head.size < head->size ? held->head.size : head->size;
	int r = gives_root(&theirs, head);

	if (r < 0)
		return r;
	if (r == 0) {
		*ret_from = first > STEP_BACK_MIN ? first / 2 : 0;
		return first > 0 ? EVIDENCE_EARLIER : EVIDENCE_NONE;
	}
	for (uint64_t i = first; i < end; i++) {
		struct hash leaf;

		r = leaf_of(&ours, i, &leaf);
		if (r)
			return r;
		if (memcmp(leaf.b, leaves[i - first].b, sizeof(leaf.b)) == 0)
			continue;
		*ret_fork = (struct fork){ .oplog = held->id, .index = i, .state = FORK_FOUND };
		r = prove_side(&ours, i, &held->head, &ret_fork->sides[0]);
		return r ? r : prove_side(&theirs, i, head, &ret_fork->sides[1]);
	}
	return EVIDENCE_NONE; /* it fits after all */
}
