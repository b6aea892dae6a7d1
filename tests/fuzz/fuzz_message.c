/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A message has one encoding: what was read, written again, gives the same bytes, but for the
 * elements of a later version that a HELLO may have. So have the leaves of a plain payload.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/record.h"
#include "tests/messages.h"

static void check_values(const struct message *m) {
	if (m->type == MESSAGE_REFUSE)
		assert(refusal_name(m->refuse.reason));
	if (m->type != MESSAGE_BATCH)
		return;
	assert(m->batch.oplog.lane < LANE_N);
	assert(m->batch.n >= 1 && m->batch.n <= BATCH_LEAVES_MAX);
	assert(m->batch.head.size > m->batch.first);
	assert(m->batch.head.size - m->batch.first == m->batch.n);
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
	check_values(&m);
	writer_init(&w, buf, sizeof(buf));
	reencode_message(&m, &w);
	assert(writer_ok(&w));
	if (m.type == MESSAGE_HELLO && w.len < size)
		assert(data[0] > 0x96); /* more than its six elements */
	else
		assert(span_eq(writer_span(&w), in));
	return 0;
}
