/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A message has one encoding: what was read, written again, gives the same bytes, but for the
 * elements of a later version that a HELLO may have. So have the leaves of a plain payload.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/message.h"
#include "proto/record.h"

/* The entries of a HEADS or ACK, of which there are as many as it says. */
static size_t take_held(struct message *m, struct held held[MESSAGE_HELD_MAX]) {
	size_t n = 0;

	assert(m->n_held <= MESSAGE_HELD_MAX);
	while (n < m->n_held) {
		assert(message_held_next(m, &held[n]));
		assert(held[n].oplog.lane < LANE_N);
		n++;
	}
	assert(!message_held_next(m, &(struct held){ 0 }));
	return n;
}

static void write_again(struct message *m, struct writer *w) {
	struct held held[MESSAGE_HELD_MAX];
	size_t n;

	switch (m->type) {
	case MESSAGE_HELLO:
		message_write_hello(w, &m->hello);
		break;
	case MESSAGE_HEADS:
		n = take_held(m, held);
		message_write_heads(w, m->more, held, n);
		break;
	case MESSAGE_BATCH:
		assert(m->batch.n >= 1 && m->batch.n <= BATCH_LEAVES_MAX);
		assert(m->batch.head.size > m->batch.first);
		assert(m->batch.head.size - m->batch.first == m->batch.n);
		message_write_batch(w, &m->batch);
		break;
	case MESSAGE_ACK:
		n = take_held(m, held);
		message_write_ack(w, held, n);
		break;
	case MESSAGE_REFUSE:
		assert(refusal_name(m->refuse.reason));
		message_write_refuse(w, &m->refuse);
		break;
	}
	assert(writer_ok(w));
}

static void check_leaves(struct span plain) {
	uint8_t buf[BATCH_PLAIN_MAX];
	struct writer w;
	struct reader r;
	uint64_t n;

	if (plain.len > sizeof(buf))
		return;
	reader_init(&r, plain);
	n = read_array(&r, 1, BATCH_LEAVES_MAX);
	writer_init(&w, buf, sizeof(buf));
	write_array(&w, n);
	for (uint64_t i = 0; i < n && !r.failed; i++) {
		struct leaf leaf;

		leaf_read(&r, &leaf);
		assert(leaf.bytes.len <= RECORD_MAX);
		leaf_write(&w, &leaf);
	}
	read_end(&r);
	if (reader_done(&r) == 0)
		assert(writer_ok(&w) && span_eq(writer_span(&w), plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	uint8_t buf[MESSAGE_MAX];
	struct span in = { data, size };
	struct message m;
	struct writer w;

	check_leaves(in);
	if (message_decode(in, &m) != 0)
		return 0;
	assert(size <= MESSAGE_MAX);
	if (m.type == MESSAGE_BATCH && m.batch.payload.data[0] == 0)
		check_leaves((struct span){ m.batch.payload.data + 1, m.batch.payload.len - 1 });
	writer_init(&w, buf, sizeof(buf));
	write_again(&m, &w);
	if (m.type == MESSAGE_HELLO && w.len < size)
		assert(data[0] > 0x96); /* more than its six elements */
	else
		assert(span_eq(writer_span(&w), in));
	return 0;
}
