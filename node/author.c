/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/author.h"

#include <errno.h>

void author_begin(struct author *author) {
	memset(author->loaded, 0, sizeof(author->loaded));
}

static int take_random(struct author *author, void *ret, size_t len) {
	int r;

	if (author->pool_left < len) {
		r = author->random(author->random_userdata, author->pool, sizeof(author->pool));
		if (r)
			return r;
		author->pool_left = sizeof(author->pool);
	}
	author->pool_left -= len;
	memcpy(ret, author->pool + author->pool_left, len);
	return 0;
}

int author_make_id(struct author *author, uint64_t wall_ms, struct id *ret_id) {
	uint8_t random[10];
	uint64_t last_ms = get_be64(author->last_id.b) >> 16;
	int r;

	r = take_random(author, random, sizeof(random));
	if (r)
		return r;
	if (wall_ms > last_ms) {
		record_make_id(wall_ms, random, &author->last_id);
	} else {
		/* In one millisecond the tail counts upward in random strides (RFC 9562, 6.2, method 2). */
		uint64_t tail = get_be64(author->last_id.b + 8);
		uint64_t stride = 1 + (get_be32(random) & 0xffffff);

		if (((tail + stride) >> 62) != 2) /* the variant's two bits: the stretch is used up */
			record_make_id(last_ms + 1, random, &author->last_id);
		else
			put_be64(author->last_id.b + 8, tail + stride);
	}
	*ret_id = author->last_id;
	return 0;
}

static int author_sign(struct author *author, struct txn *txn, struct oplog *oplog) {
	struct head head = { .size = oplog->frontier.size };
	int r;

	if (head.size == oplog->head.size)
		return 0;
	frontier_root(&oplog->frontier, &head.root);
	r = head_sign(author->signer, &oplog->id, &head);
	return r ? r : oplog_put_head(txn, oplog, &head, register_head_stays(author->reg, oplog));
}

static int append(struct author *author, struct txn *txn, enum lane lane, struct span bytes, uint64_t *ret_arrival) {
	const struct leaf leaf = { .bytes = bytes };
	struct oplog *oplog = &author->oplogs[lane];
	struct hash hash;
	int r;

	if (!author->loaded[lane]) {
		r = oplog_load_or_create(txn,
			&(struct oplog_id){ author->office, author->epoch, lane }, oplog);
		if (r)
			return r;
		author->loaded[lane] = true;
	}
	if (oplog->bytes + leaf_weight(&leaf) - oplog->head_bytes > BATCH_BYTES_MAX ||
		oplog->frontier.size - oplog->head.size >= BATCH_LEAVES_MAX) {
		r = author_sign(author, txn, oplog);
		if (r)
			return r;
	}
	leaf_hash(&leaf, &hash);
	return oplog_append(txn, oplog, &leaf, &hash, ret_arrival);
}

int author_write(struct author *author, struct txn *txn, enum lane lane, const struct record *rec,
	const struct id *audience, size_t n_audience, uint64_t *ret_arrival, struct span *ret_bytes) {
	struct writer w;

	writer_init(&w, author->record, sizeof(author->record));
	if (record_encode(rec, audience, n_audience, &w))
		return AUTHOR_TOO_LONG;
	*ret_bytes = writer_span(&w);
	return append(author, txn, lane, *ret_bytes, ret_arrival);
}

int author_append(struct author *author, struct txn *txn, enum lane lane, struct span bytes, uint64_t *ret_arrival) {
	memcpy(author->record, bytes.data, bytes.len); /* the borrowed ones go with the first page written */
	return append(author, txn, lane, (struct span){ author->record, bytes.len }, ret_arrival);
}

int author_seal(struct author *author, struct txn *txn, uint64_t ret_sizes[LANE_N]) {
	for (unsigned lane = 0; lane < LANE_N; lane++) {
		struct oplog oplog;
		int r;

		if (author->loaded[lane]) {
			r = author_sign(author, txn, &author->oplogs[lane]);
			ret_sizes[lane] = author->oplogs[lane].frontier.size;
		} else { /* all of it was signed by the turn that wrote it */
			r = oplog_load(txn, &(struct oplog_id){ author->office, author->epoch, lane }, &oplog);
			ret_sizes[lane] = r == 0 ? oplog.frontier.size : 0;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int author_finish(struct author *author, struct txn *txn,
	int (*grown)(void *userdata, const struct oplog *oplog), void *userdata) {
	for (unsigned lane = 0; lane < LANE_N; lane++) {
		struct oplog *oplog = &author->oplogs[lane];
		int r;

		if (!author->loaded[lane])
			continue;
		r = author_sign(author, txn, oplog);
		if (!r)
			r = oplog_flush(txn, oplog);
		if (!r)
			r = grown(userdata, oplog);
		if (r)
			return r;
	}
	return 0;
}
