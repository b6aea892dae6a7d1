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

	if (!history->leaves || index < history->first)
		return oplog_leaf_hash(&(struct oplog_leaves){ history->txn, history->held }, index, ret_leaf);
	*ret_leaf = history->leaves[index - history->first];
	return 0;
}

/* The root of the first @size leaves of a history. */
static int root_of(const struct history *history, uint64_t size, struct hash *ret_root) {
	uint64_t shared = history->leaves && history->first < size ? history->first : size;
	struct frontier frontier;
	int r = oplog_frontier(history->txn, history->held, shared, &frontier);

	for (uint64_t i = shared; r == 0 && i < size; i++)
		frontier_append(&frontier, &history->leaves[i - history->first]);
	if (r == 0)
		frontier_root(&frontier, ret_root);
	return r;
}

/* Whether a history gives the root that a head signs. 0 (no), 1 or -errno. */
static int gives_root(const struct history *history, const struct head *head) {
	struct hash root;
	int r = root_of(history, head->size, &root);

	return r ? r : memcmp(root.b, head->root.b, sizeof(root.b)) == 0;
}

/* That the history of @large had something else than @small signs. */
static int prove(struct history *history, const struct head *small, const struct head *large, struct fork *ret_fork) {
	int r;

	*ret_fork = (struct fork){ .oplog = history->held->id, .state = FORK_FOUND, .small = *small, .large = *large };
	r = root_of(history, small->size, &ret_fork->other);
	if (r)
		return r;
	if (memcmp(ret_fork->other.b, small->root.b, sizeof(small->root.b)) == 0)
		return EVIDENCE_NONE; /* it fits after all */
	return merkle_consistency_prove(small->size, large->size, leaf_of, history, &ret_fork->path);
}

/* The newest head of what is held that counts: where the oplog ended, none beyond does. 0, EVIDENCE_NONE or -errno. */
static int last_head(const struct history *ours, uint64_t limit, struct head *ret_head) {
	int r = STORE_NOT_FOUND;

	*ret_head = ours->held->head;
	if (ret_head->size <= limit)
		return 0;
	if (limit > 0)
		r = oplog_next_head(ours->txn, ours->held, limit - 1, ret_head);
	return r < 0 ? r : r > 0 || ret_head->size != limit ? EVIDENCE_NONE : 0;
}

int evidence_of_head(struct txn *txn, const struct oplog *held, uint64_t limit, const struct head *head,
	struct fork *ret_fork) {
	struct history ours = { txn, held, 0, NULL };
	struct head last;
	int r = last_head(&ours, limit, &last);

	return r ? r : prove(&ours, head, &last, ret_fork);
}

int evidence_find(struct txn *txn, const struct oplog *held, uint64_t limit, uint64_t first, const struct hash *leaves,
	const struct head *head, struct fork *ret_fork, uint64_t *ret_at) {
	struct history ours = { txn, held, 0, NULL }, theirs = { txn, held, first, leaves };
	struct head last;
	uint64_t end;
	int r = last_head(&ours, limit, &last);

	if (r == 0)
		r = gives_root(&theirs, head);
	else if (r > 0)
		return r;
	if (r < 0)
		return r;
	end = last.size < head->size ? last.size : head->size;
	if (r == 0) {
		*ret_at = first > STEP_BACK_MIN ? first / 2 : 0;
		return first > 0 ? EVIDENCE_EARLIER : EVIDENCE_NONE;
	}
	for (*ret_at = first; *ret_at < end; ++*ret_at) {
		struct hash leaf;

		r = leaf_of(&ours, *ret_at, &leaf);
		if (r)
			return r;
		if (memcmp(leaf.b, leaves[*ret_at - first].b, sizeof(leaf.b)) != 0)
			break;
	}
	return head->size < last.size ? prove(&ours, head, &last, ret_fork) : prove(&theirs, &last, head, ret_fork);
}
