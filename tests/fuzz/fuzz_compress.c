/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Whatever comes, at most plain_max bytes come out of it, with and without a batch before; and
 * what a compressor makes of the same bytes is always given back.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "proto/compress.h"

enum {
	PLAIN_MAX = 4096,
};

static void unpack(struct decompressor *d, struct span in) {
	struct span plain;
	int r = decompressor_run(d, in, &plain);

	assert(r == 0 || r == COMPRESS_MALFORMED);
	if (r != 0)
		return;
	assert(plain.len <= PLAIN_MAX);
	for (size_t i = 0; i < plain.len; i++) /* all of it can be read */
		assert(plain.data[i] == ((volatile const uint8_t *)plain.data)[i]);
}

static void there_and_back(struct compressor *c, struct decompressor *d, struct span plain) {
	struct span wire, again;
	int r;

	assert(compressor_run(c, plain, &wire) == 0);
	assert(wire.len <= plain.len + 1);
	r = decompressor_run(d, wire, &again);
	assert(plain.len > PLAIN_MAX ? r == COMPRESS_MALFORMED : r == 0 && span_eq(again, plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct span in = { data, size };
	struct span half = { data, size / 2 };
	static struct compress_work *work;
	struct compressor *c;
	struct decompressor *d;

	if (!work)
		assert(compress_work_new(3, &work) == 0);
	assert(compressor_new(work, &c) == 0);
	assert(decompressor_new(work, PLAIN_MAX, &d) == 0);
	unpack(d, in);
	unpack(d, in);
	decompressor_reset(d);
	there_and_back(c, d, half);
	if (half.len <= PLAIN_MAX) /* else the two sides are no longer in step */
		there_and_back(c, d, in);
	unpack(d, in);
	compressor_free(c);
	decompressor_free(d);
	return 0;
}
