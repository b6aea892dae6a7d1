/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/oplog.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
	LEAF_RECORD = 0, /* the first byte of a row of TABLE_RECORDS: the record follows */
	LEAF_WITHHELD = 1, /* its reach and hash follow */
	LEAF_DISCLOSED = 2, /* the record follows; what came of it was its hash, as which it counts */

	NUMBERED_KEY_LEN = 12, /* oplog number, then first (runs) or size (heads) */
	RUN_VALUE_LEN = 16,
	HEAD_VALUE_LEN = 32 + SIGN_SIGNATURE_LEN + 8,

	/* Offsets in a row of TABLE_OPLOGS; the frontier follows the rest. */
	ROW_NUMBER = 0,
	ROW_BYTES = 4,
	ROW_HEAD_SIZE = 12,
	ROW_HEAD_ROOT = 20,
	ROW_HEAD_SIGNATURE = 52,
	ROW_HEAD_BYTES = 116,
	ROW_KEPT_SIZE = 124,
	ROW_KEPT_BYTES = 132,
	ROW_RUN_FIRST = 140,
	ROW_RUN_ARRIVAL = 148,
	ROW_RUN_LENGTH = 156,
	ROW_FRONTIER = 164,
};

struct oplog_walk {
	struct txn *txn;
	uint32_t number;
	struct oplog_run last; /* the run at the end, which only the oplog's row has */
	uint64_t index;        /* the next leaf */
	uint64_t arrival;      /* and its arrival */
	uint64_t end;          /* of the run it is in */
};

/* A run and whose it is. */
struct placed_run {
	uint32_t number; /* of the oplog */
	struct oplog_run run;
};

struct head_row {
	struct head head;
	uint64_t bytes; /* of leaves below the head */
};

void oplog_key(const struct oplog_id *id, uint8_t ret_key[OPLOG_KEY_LEN]) {
	memcpy(ret_key, id->office.b, 16);
	put_be32(ret_key + 16, id->epoch);
	ret_key[20] = id->lane;
}

static void numbered_key(uint32_t number, uint64_t rest, uint8_t ret_key[NUMBERED_KEY_LEN]) {
	put_be32(ret_key, number);
	put_be64(ret_key + 4, rest);
}

/* The oplog's row */

static int decode_row(struct span key, struct span value, struct oplog *ret_oplog) {
	const uint8_t *p = value.data;

	if (key.len != OPLOG_KEY_LEN || value.len < ROW_FRONTIER ||
		frontier_decode((struct span){ p + ROW_FRONTIER, value.len - ROW_FRONTIER },
			&ret_oplog->frontier) != 0)
		return -EIO;
	memcpy(ret_oplog->id.office.b, key.data, 16);
	ret_oplog->id.epoch = get_be32(key.data + 16);
	ret_oplog->id.lane = key.data[20];
	ret_oplog->number = get_be32(p + ROW_NUMBER);
	ret_oplog->bytes = get_be64(p + ROW_BYTES);
	ret_oplog->head.size = get_be64(p + ROW_HEAD_SIZE);
	memcpy(ret_oplog->head.root.b, p + ROW_HEAD_ROOT, 32);
	memcpy(ret_oplog->head.signature, p + ROW_HEAD_SIGNATURE, SIGN_SIGNATURE_LEN);
	ret_oplog->head_bytes = get_be64(p + ROW_HEAD_BYTES);
	ret_oplog->kept_size = get_be64(p + ROW_KEPT_SIZE);
	ret_oplog->kept_bytes = get_be64(p + ROW_KEPT_BYTES);
	ret_oplog->run.first = get_be64(p + ROW_RUN_FIRST);
	ret_oplog->run.arrival = get_be64(p + ROW_RUN_ARRIVAL);
	ret_oplog->run.length = get_be64(p + ROW_RUN_LENGTH);
	ret_oplog->dirty = false;
	return 0;
}

static int put_row(struct txn *txn, const struct oplog *oplog) {
	uint8_t key[OPLOG_KEY_LEN], value[ROW_FRONTIER + FRONTIER_ENCODED_MAX];
	size_t len;

	oplog_key(&oplog->id, key);
	put_be32(value + ROW_NUMBER, oplog->number);
	put_be64(value + ROW_BYTES, oplog->bytes);
	put_be64(value + ROW_HEAD_SIZE, oplog->head.size);
	memcpy(value + ROW_HEAD_ROOT, oplog->head.root.b, 32);
	memcpy(value + ROW_HEAD_SIGNATURE, oplog->head.signature, SIGN_SIGNATURE_LEN);
	put_be64(value + ROW_HEAD_BYTES, oplog->head_bytes);
	put_be64(value + ROW_KEPT_SIZE, oplog->kept_size);
	put_be64(value + ROW_KEPT_BYTES, oplog->kept_bytes);
	put_be64(value + ROW_RUN_FIRST, oplog->run.first);
	put_be64(value + ROW_RUN_ARRIVAL, oplog->run.arrival);
	put_be64(value + ROW_RUN_LENGTH, oplog->run.length);
	len = ROW_FRONTIER + frontier_encode(&oplog->frontier, value + ROW_FRONTIER);
	return txn_put(txn, TABLE_OPLOGS, (struct span){ key, sizeof(key) },
		(struct span){ value, len });
}

int oplog_load(struct txn *txn, const struct oplog_id *id, struct oplog *ret_oplog) {
	uint8_t bytes[OPLOG_KEY_LEN];
	const struct span key = { bytes, sizeof(bytes) };
	struct span value;
	int r;

	oplog_key(id, bytes);
	r = txn_get(txn, TABLE_OPLOGS, key, &value);
	return r ? r : decode_row(key, value, ret_oplog);
}

int oplog_load_or_create(struct txn *txn, const struct oplog_id *id, struct oplog *ret_oplog) {
	uint64_t n;
	int r;

	r = oplog_load(txn, id, ret_oplog);
	if (r != STORE_NOT_FOUND)
		return r;
	r = txn_count(txn, TABLE_OPLOGS, &n); /* no row ever goes, so none has this number */
	if (r)
		return r;
	*ret_oplog = (struct oplog){ .id = *id, .number = n + 1 };
	frontier_init(&ret_oplog->frontier);
	return put_row(txn, ret_oplog);
}

/* Those whose key begins with @prefix. */
static int each_within(struct txn *txn, struct span prefix, oplog_fn fn, void *userdata) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	int r;

	r = scan_open(txn, TABLE_OPLOGS, prefix, &scan);
	if (r)
		return r;
	while ((r = scan_next(scan, &key, &value)) == 0) {
		struct oplog oplog;

		r = decode_row(key, value, &oplog);
		if (r)
			return r;
		if (prefix.len > 0 && memcmp(key.data, prefix.data, prefix.len) != 0)
			return 0;
		r = fn(userdata, &oplog);
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

int oplog_each(struct txn *txn, oplog_fn fn, void *userdata) {
	return each_within(txn, (struct span){ 0 }, fn, userdata);
}

int oplog_each_of(struct txn *txn, const struct id *office, oplog_fn fn, void *userdata) {
	return each_within(txn, (struct span){ office->b, sizeof(office->b) }, fn, userdata);
}

/* Leaves and runs */

/* Keeps the run at the end, which is complete now: another begins. */
static int put_run(struct txn *txn, const struct oplog *oplog) {
	uint8_t key[NUMBERED_KEY_LEN], value[RUN_VALUE_LEN];

	numbered_key(oplog->number, oplog->run.first, key);
	put_be64(value, oplog->run.arrival);
	put_be64(value + 8, oplog->run.length);
	return txn_put(txn, TABLE_RUNS, (struct span){ key, sizeof(key) },
		(struct span){ value, sizeof(value) });
}

int oplog_subtree(struct txn *txn, const struct oplog *oplog, uint64_t i, struct hash *ret_root) {
	uint8_t key[NUMBERED_KEY_LEN];
	struct span value;
	int r;

	numbered_key(oplog->number, i, key);
	r = txn_get(txn, TABLE_SUBTREES, (struct span){ key, sizeof(key) }, &value);
	if (r)
		return r;
	if (value.len != sizeof(ret_root->b))
		return -EIO;
	memcpy(ret_root->b, value.data, value.len);
	return 0;
}

/* Keeps the subtree that @hash completes, if it does. */
static int put_subtree(struct txn *txn, const struct oplog *oplog, const struct hash *hash) {
	uint8_t key[NUMBERED_KEY_LEN];
	struct hash root;

	if (!frontier_completes(&oplog->frontier, OPLOG_SUBTREE_LEVEL, hash, &root))
		return 0;
	numbered_key(oplog->number, oplog->frontier.size >> OPLOG_SUBTREE_LEVEL, key);
	return txn_put(txn, TABLE_SUBTREES, (struct span){ key, sizeof(key) },
		(struct span){ root.b, sizeof(root.b) });
}

int oplog_append(struct txn *txn, struct oplog *oplog, const struct leaf *leaf,
	const struct hash *hash, uint64_t *ret_arrival) {
	uint8_t withheld[LEAF_WITHHELD_LEN], key[8];
	const struct span bytes = leaf->withheld ? (struct span){ withheld, sizeof(withheld) } : leaf->bytes;
	uint64_t arrival;
	uint8_t *room;
	int r;

	r = txn_next(txn, TABLE_RECORDS, &arrival);
	if (r)
		return r;
	put_be64(key, arrival);
	r = txn_reserve(txn, TABLE_RECORDS, (struct span){ key, sizeof(key) }, 1 + bytes.len, &room);
	if (r)
		return r;
	if (leaf->withheld)
		leaf_withheld_encode(leaf, withheld);
	room[0] = leaf->withheld ? LEAF_WITHHELD : LEAF_RECORD;
	if (bytes.len > 0)
		memcpy(room + 1, bytes.data, bytes.len);

	if (oplog->run.length == 0 || arrival != oplog->run.arrival + oplog->run.length) {
		if (oplog->run.length > 0) {
			r = put_run(txn, oplog);
			if (r)
				return r;
		}
		oplog->run = (struct oplog_run){ oplog->frontier.size, arrival, 0 };
	}
	r = put_subtree(txn, oplog, hash);
	if (r)
		return r;
	oplog->run.length++;
	oplog->bytes += leaf_weight(leaf);
	frontier_append(&oplog->frontier, hash);
	oplog->dirty = true;
	*ret_arrival = arrival;
	return 0;
}

int oplog_flush(struct txn *txn, struct oplog *oplog) {
	int r;

	if (!oplog->dirty)
		return 0;
	r = put_row(txn, oplog);
	if (!r)
		oplog->dirty = false;
	return r;
}

static int decode_run(struct span key, struct span value, struct placed_run *ret_placed) {
	if (key.len != NUMBERED_KEY_LEN || value.len != RUN_VALUE_LEN)
		return -EIO;
	ret_placed->number = get_be32(key.data);
	ret_placed->run.first = get_be64(key.data + 4);
	ret_placed->run.arrival = get_be64(value.data);
	ret_placed->run.length = get_be64(value.data + 8);
	return 0;
}

/* The run that leaf @index is in; @last: the oplog's run at the end. 0, STORE_NOT_FOUND or -errno. */
static int find_run(struct txn *txn, uint32_t number, const struct oplog_run *last, uint64_t index,
	struct oplog_run *ret_run) {
	uint8_t bytes[NUMBERED_KEY_LEN];
	struct placed_run placed;
	struct span key, value;
	int r;

	if (index - last->first < last->length) {
		*ret_run = *last;
		return 0;
	}
	numbered_key(number, index, bytes);
	r = scan_floor(txn, TABLE_RUNS, (struct span){ bytes, sizeof(bytes) }, &key, &value);
	if (!r)
		r = decode_run(key, value, &placed);
	if (r)
		return r;
	if (placed.number != number || index - placed.run.first >= placed.run.length)
		return STORE_NOT_FOUND;
	*ret_run = placed.run;
	return 0;
}

int oplog_leaf_at(struct txn *txn, uint64_t arrival, struct leaf *ret_leaf) {
	struct span value;
	uint8_t key[8];
	int r;

	put_be64(key, arrival);
	r = txn_get(txn, TABLE_RECORDS, (struct span){ key, sizeof(key) }, &value);
	if (r)
		return r;
	if (value.len > 0 && (value.data[0] == LEAF_RECORD || value.data[0] == LEAF_DISCLOSED)) {
		*ret_leaf = (struct leaf){ .disclosed = value.data[0] == LEAF_DISCLOSED,
			.bytes = { value.data + 1, value.len - 1 } };
	} else if (value.len == 1 + LEAF_WITHHELD_LEN && value.data[0] == LEAF_WITHHELD) {
		leaf_withheld_decode(value.data + 1, ret_leaf);
	} else {
		return -EIO;
	}
	return 0;
}

int oplog_leaf(struct txn *txn, const struct oplog *oplog, uint64_t index, struct leaf *ret_leaf,
	uint64_t *ret_arrival) {
	struct oplog_run run;
	int r;

	r = find_run(txn, oplog->number, &oplog->run, index, &run);
	if (r)
		return r;
	r = oplog_leaf_at(txn, run.arrival + (index - run.first), ret_leaf);
	if (r)
		return r == STORE_NOT_FOUND ? -EIO : r; /* a run without its leaves */
	*ret_arrival = run.arrival + (index - run.first);
	return 0;
}

int oplog_disclose(struct txn *txn, uint64_t arrival, struct span bytes) {
	uint8_t key[8], *room;
	int r;

	put_be64(key, arrival);
	r = txn_reserve(txn, TABLE_RECORDS, (struct span){ key, sizeof(key) }, 1 + bytes.len, &room);
	if (r)
		return r;
	room[0] = LEAF_DISCLOSED;
	memcpy(room + 1, bytes.data, bytes.len);
	return 0;
}

/* Within an oplog, a later leaf arrived later. */
int oplog_index_of(struct txn *txn, const struct oplog *oplog, uint64_t arrival, uint64_t *ret_index) {
	uint64_t low = 0, high = oplog->frontier.size;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;
		struct oplog_run run;
		int r = find_run(txn, oplog->number, &oplog->run, mid, &run);

		if (r)
			return r < 0 ? r : -EIO;
		if (arrival < run.arrival) {
			high = run.first;
		} else if (arrival - run.arrival >= run.length) {
			low = run.first + run.length;
		} else {
			*ret_index = run.first + (arrival - run.arrival);
			return 0;
		}
	}
	return STORE_NOT_FOUND;
}

static void freep(void *ptr) {
	free(*(void **)ptr);
}

static int by_arrival(const void *a, const void *b) {
	const uint64_t x = ((const struct placed_run *)a)->run.arrival;
	const uint64_t y = ((const struct placed_run *)b)->run.arrival;

	return (x > y) - (x < y);
}

/* Runs as they are listed: those of the table, and the one at the end of each oplog. */
struct run_list {
	struct placed_run *runs;
	size_t n;
	size_t max;
};

static int list_last_run(void *userdata, const struct oplog *oplog) {
	struct run_list *list = userdata;

	if (oplog->run.length == 0)
		return 0;
	if (list->n == list->max)
		return -EIO;
	list->runs[list->n++] = (struct placed_run){ oplog->number, oplog->run };
	return 0;
}

/* Every run there is, in order of arrival. */
static int load_runs(struct txn *txn, struct placed_run **ret_runs, size_t *ret_n) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	_cleanup_(freep) struct placed_run *runs = NULL;
	struct run_list list = { 0 };
	struct span key, value;
	uint64_t n_closed, n_oplogs;
	int r;

	r = txn_count(txn, TABLE_RUNS, &n_closed);
	if (!r)
		r = txn_count(txn, TABLE_OPLOGS, &n_oplogs);
	if (r)
		return r;
	list.max = n_closed + n_oplogs;
	list.runs = runs = calloc(list.max + 1, sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	r = scan_open(txn, TABLE_RUNS, (struct span){ 0 }, &scan);
	if (r)
		return r;
	while (list.n < n_closed) {
		r = scan_next(scan, &key, &value);
		if (!r)
			r = decode_run(key, value, &runs[list.n++]);
		if (r)
			return r < 0 ? r : -EIO;
	}
	r = oplog_each(txn, list_last_run, &list);
	if (r)
		return r;
	qsort(runs, list.n, sizeof(*runs), by_arrival);
	*ret_runs = TAKE(runs);
	*ret_n = list.n;
	return 0;
}

struct id_list {
	struct oplog_id *ids; /* by number, which begin at 1 */
	uint64_t n;
};

static int list_id(void *userdata, const struct oplog *oplog) {
	struct id_list *list = userdata;

	if (oplog->number == 0 || oplog->number > list->n)
		return -EIO;
	list->ids[oplog->number - 1] = oplog->id;
	return 0;
}

/* The ids of all oplogs, by number. @ret_list's ids are freed by the caller. */
static int load_ids(struct txn *txn, struct id_list *ret_list) {
	int r;

	r = txn_count(txn, TABLE_OPLOGS, &ret_list->n);
	if (r)
		return r;
	ret_list->ids = calloc(ret_list->n + 1, sizeof(*ret_list->ids));
	return ret_list->ids ? oplog_each(txn, list_id, ret_list) : -ENOMEM;
}

int oplog_leaf_hash(void *userdata, uint64_t index, struct hash *ret_hash) {
	const struct oplog_leaves *leaves = userdata;
	struct leaf leaf;
	uint64_t arrival;
	int r = oplog_leaf(leaves->txn, leaves->oplog, index, &leaf, &arrival);

	if (r)
		return r < 0 ? r : -EIO;
	leaf_hash(&leaf, ret_hash);
	return 0;
}

int oplog_locate(struct txn *txn, uint64_t arrival, struct oplog_id *ret_oplog, uint64_t *ret_index) {
	_cleanup_(freep) struct oplog_id *ids = NULL;
	_cleanup_(freep) struct placed_run *runs = NULL;
	struct id_list list = { 0 };
	size_t n_runs;
	int r;

	r = load_ids(txn, &list);
	ids = list.ids;
	if (!r)
		r = load_runs(txn, &runs, &n_runs);
	if (r)
		return r;
	for (size_t i = 0; i < n_runs; i++) {
		const struct oplog_run *run = &runs[i].run;

		if (arrival - run->arrival >= run->length)
			continue;
		if (runs[i].number == 0 || runs[i].number > list.n)
			return -EIO;
		*ret_oplog = ids[runs[i].number - 1];
		*ret_index = run->first + (arrival - run->arrival);
		return 0;
	}
	return STORE_NOT_FOUND;
}

int oplog_each_leaf(struct txn *txn, leaf_fn fn, void *userdata) {
	_cleanup_(freep) struct oplog_id *ids = NULL;
	_cleanup_(freep) struct placed_run *runs = NULL;
	struct id_list list = { 0 };
	size_t n_runs;
	int r;

	r = load_ids(txn, &list);
	ids = list.ids;
	if (!r)
		r = load_runs(txn, &runs, &n_runs);
	if (r)
		return r;
	for (size_t i = 0; i < n_runs; i++) {
		const struct oplog_run *run = &runs[i].run;
		const uint32_t number = runs[i].number;

		if (number == 0 || number > list.n)
			return -EIO;
		for (uint64_t at = 0; at < run->length; at++) {
			struct leaf leaf;

			r = oplog_leaf_at(txn, run->arrival + at, &leaf);
			if (r)
				return r == STORE_NOT_FOUND ? -EIO : r;
			r = fn(userdata, &ids[number - 1], run->first + at, run->arrival + at, &leaf);
			if (r)
				return r;
		}
	}
	return 0;
}

int oplog_walk_open(struct txn *txn, const struct oplog *oplog, uint64_t first,
	struct oplog_walk **ret_walk) {
	struct oplog_walk *walk;

	walk = malloc(sizeof(*walk));
	if (!walk)
		return -ENOMEM;
	*walk = (struct oplog_walk){ .txn = txn, .number = oplog->number, .last = oplog->run,
		.index = first, .end = first };
	*ret_walk = walk;
	return 0;
}

int oplog_walk_next(struct oplog_walk *walk, uint64_t *ret_index, struct leaf *ret_leaf,
	uint64_t *ret_arrival) {
	int r;

	if (walk->index == walk->end) {
		struct oplog_run run;

		r = find_run(walk->txn, walk->number, &walk->last, walk->index, &run);
		if (r)
			return r;
		walk->arrival = run.arrival + (walk->index - run.first);
		walk->end = run.first + run.length;
	}
	/* The table's cursor stands on the leaf before: this rarely leaves its page. */
	r = oplog_leaf_at(walk->txn, walk->arrival, ret_leaf);
	if (r)
		return r == STORE_NOT_FOUND ? -EIO : r;
	*ret_index = walk->index++;
	*ret_arrival = walk->arrival++;
	return 0;
}

int oplog_frontier(struct txn *txn, const struct oplog *oplog, uint64_t size, struct frontier *ret_frontier) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	uint64_t index, arrival;
	struct leaf leaf;
	struct hash hash;
	int r = 0;

	frontier_init(ret_frontier);
	for (uint64_t i = 0; r == 0 && i < size >> OPLOG_SUBTREE_LEVEL; i++) {
		r = oplog_subtree(txn, oplog, i, &hash);
		if (r == 0)
			frontier_append_subtree(ret_frontier, OPLOG_SUBTREE_LEVEL, &hash);
	}
	if (r == 0)
		r = oplog_walk_open(txn, oplog, ret_frontier->size, &walk);
	while (r == 0 && ret_frontier->size < size) {
		r = oplog_walk_next(walk, &index, &leaf, &arrival);
		if (r)
			break;
		leaf_hash(&leaf, &hash);
		frontier_append(ret_frontier, &hash);
	}
	return r > 0 ? -EIO : r; /* the store lacks what its own sizes promise */
}

int oplog_root(struct txn *txn, const struct oplog *oplog, uint64_t size, struct hash *ret_root) {
	struct frontier frontier;
	int r = oplog_frontier(txn, oplog, size, &frontier);

	if (r == 0)
		frontier_root(&frontier, ret_root);
	return r;
}

int oplog_compare(struct txn *txn, const struct oplog *oplog, const struct head *head) {
	struct hash root;
	int r;

	if (oplog->frontier.size < head->size)
		return OPLOG_SHORTER;
	r = oplog_root(txn, oplog, head->size, &root);
	return r ? r : memcmp(root.b, head->root.b, sizeof(root.b)) == 0 ? 0 : OPLOG_DIFFERS;
}

struct oplog_walk *oplog_walk_close(struct oplog_walk *walk) {
	free(walk);
	return NULL;
}

void oplog_walk_closep(struct oplog_walk **walk) {
	*walk = oplog_walk_close(*walk);
}

/* Heads */

static int put_head_row(struct txn *txn, uint32_t number, const struct head_row *row) {
	uint8_t key[NUMBERED_KEY_LEN], value[HEAD_VALUE_LEN];

	numbered_key(number, row->head.size, key);
	memcpy(value, row->head.root.b, 32);
	memcpy(value + 32, row->head.signature, SIGN_SIGNATURE_LEN);
	put_be64(value + 96, row->bytes);
	return txn_put(txn, TABLE_HEADS, (struct span){ key, sizeof(key) },
		(struct span){ value, sizeof(value) });
}

/* STORE_NOT_FOUND: the row is another oplog's. */
static int decode_head_row(uint32_t number, struct span key, struct span value,
	struct head_row *ret_row) {
	if (key.len != NUMBERED_KEY_LEN || value.len != HEAD_VALUE_LEN)
		return -EIO;
	if (get_be32(key.data) != number)
		return STORE_NOT_FOUND;
	ret_row->head.size = get_be64(key.data + 4);
	memcpy(ret_row->head.root.b, value.data, 32);
	memcpy(ret_row->head.signature, value.data + 32, SIGN_SIGNATURE_LEN);
	ret_row->bytes = get_be64(value.data + 96);
	return 0;
}

/* The newest head, which only the oplog's row has. */
static struct head_row newest(const struct oplog *oplog) {
	return (struct head_row){ oplog->head, oplog->head_bytes };
}

/* The greatest head of at most @size leaves. */
static int head_floor(struct txn *txn, const struct oplog *oplog, uint64_t size,
	struct head_row *ret_row) {
	uint8_t bytes[NUMBERED_KEY_LEN];
	struct span key, value;
	int r;

	if (oplog->head.size > 0 && oplog->head.size <= size) {
		*ret_row = newest(oplog);
		return 0;
	}
	numbered_key(oplog->number, size, bytes);
	r = scan_floor(txn, TABLE_HEADS, (struct span){ bytes, sizeof(bytes) }, &key, &value);
	return r ? r : decode_head_row(oplog->number, key, value, ret_row);
}

/* The least head of more than @size leaves. */
static int head_beyond(struct txn *txn, const struct oplog *oplog, uint64_t size,
	struct head_row *ret_row) {
	uint8_t bytes[NUMBERED_KEY_LEN];
	struct span key, value;
	int r;

	if (oplog->head.size <= size)
		return STORE_NOT_FOUND;
	numbered_key(oplog->number, size + 1, bytes);
	r = scan_ceiling(txn, TABLE_HEADS, (struct span){ bytes, sizeof(bytes) }, &key, &value);
	if (!r)
		r = decode_head_row(oplog->number, key, value, ret_row);
	if (r == STORE_NOT_FOUND) {
		*ret_row = newest(oplog);
		return 0;
	}
	return r;
}

static bool fits_batch(uint64_t bytes, uint64_t leaves) {
	return bytes <= BATCH_BYTES_MAX && leaves <= BATCH_LEAVES_MAX;
}

/*
 * Between any two heads that stay there is at most a batch, if that was so between the heads as
 * they came: the newest but one is where the last batch that must stay possible ends, and the
 * newest goes only while one batch still leads from there to its successor. Between any head that
 * stays and the next but one there is more than a batch, so there are not many.
 */
int oplog_put_head(struct txn *txn, struct oplog *oplog, const struct head *head, bool last_stays) {
	int r;

	assert(head->size == oplog->frontier.size);
	if (head->size == 0) /* a head over nothing says nothing */
		return 0;
	if (oplog->head.size > 0 && oplog->head.size < head->size &&
		(last_stays ||
			!fits_batch(oplog->bytes - oplog->kept_bytes, head->size - oplog->kept_size))) {
		const struct head_row row = newest(oplog);

		r = put_head_row(txn, oplog->number, &row);
		if (r)
			return r;
		oplog->kept_size = oplog->head.size;
		oplog->kept_bytes = oplog->head_bytes;
	}
	oplog->head = *head;
	oplog->head_bytes = oplog->bytes;
	oplog->dirty = true;
	return 0;
}

/* What bytes was when the oplog had @size leaves, counted from the head before. */
static int bytes_at(struct txn *txn, const struct oplog *oplog, uint64_t size,
	uint64_t *ret_bytes) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct head_row row = { 0 };
	uint64_t index, arrival;
	struct leaf leaf;
	int r;

	r = head_floor(txn, oplog, size, &row);
	if (r < 0)
		return r;
	r = oplog_walk_open(txn, oplog, row.head.size, &walk);
	for (uint64_t at = row.head.size; at < size && !r; at++) {
		r = oplog_walk_next(walk, &index, &leaf, &arrival);
		if (!r)
			row.bytes += leaf_weight(&leaf);
	}
	if (r)
		return r == STORE_NOT_FOUND ? -EIO : r;
	*ret_bytes = row.bytes;
	return 0;
}

int oplog_insert_head(struct txn *txn, const struct oplog *oplog, const struct head *head) {
	struct head_row row = { .head = *head };
	int r = bytes_at(txn, oplog, head->size, &row.bytes);

	assert(head->size > 0 && head->size < oplog->head.size);
	return r ? r : put_head_row(txn, oplog->number, &row);
}

int oplog_head_after(struct txn *txn, const struct oplog *oplog, uint64_t from, uint64_t until,
	struct head *ret_head) {
	struct head_row best, row;
	uint64_t bytes;
	int r;

	r = head_beyond(txn, oplog, from, &best);
	if (r)
		return r;
	if (best.head.size > until)
		return STORE_NOT_FOUND;
	if (best.head.size < oplog->head.size) { /* there are more: which is the farthest? */
		r = bytes_at(txn, oplog, from, &bytes);
		if (r)
			return r;
		row = best;
		while (row.head.size <= until && fits_batch(row.bytes - bytes, row.head.size - from)) {
			best = row;
			r = head_beyond(txn, oplog, best.head.size, &row);
			if (r < 0)
				return r;
			if (r == STORE_NOT_FOUND)
				break;
		}
	}
	*ret_head = best.head;
	return 0;
}

int oplog_next_head(struct txn *txn, const struct oplog *oplog, uint64_t from,
	struct head *ret_head) {
	struct head_row row;
	int r;

	r = head_beyond(txn, oplog, from, &row);
	if (r)
		return r;
	*ret_head = row.head;
	return 0;
}
