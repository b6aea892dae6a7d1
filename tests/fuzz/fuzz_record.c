/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A record has one encoding: what was read, written again, gives the same bytes. Elements that
 * only a newer node knows are the exception; without them the rest reads the same.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/record.h"

static void encode(const struct record *rec, struct writer *w) {
	struct id audience[RECORD_AUDIENCE_MAX];

	for (size_t i = 0; i < rec->n_audience; i++)
		record_audience(rec, i, &audience[i]);
	assert(record_encode(rec, audience, rec->n_audience, w) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	uint8_t buf[2][RECORD_MAX];
	struct span in = { data, size };
	struct record rec, again;
	struct writer w, w2;
	struct reader r;

	record_kind(in);
	if (record_decode(in, &rec) != 0)
		return 0;
	assert(rec.kind != 0 && record_kind(in) == rec.kind);
	writer_init(&w, buf[0], sizeof(buf[0]));
	encode(&rec, &w);

	reader_init(&r, in);
	if (read_array(&r, RECORD_FIELDS, UINT64_MAX) <= RECORD_FIELDS + 1) {
		assert(span_eq(writer_span(&w), in));
		return 0;
	}
	assert(w.len < size);
	assert(record_decode(writer_span(&w), &again) == 0);
	writer_init(&w2, buf[1], sizeof(buf[1]));
	encode(&again, &w2);
	assert(span_eq(writer_span(&w2), writer_span(&w)));
	return 0;
}
