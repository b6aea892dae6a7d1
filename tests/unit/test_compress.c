/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/compress.h"

enum {
	PLAIN_MAX = 40000,
	BATCH_LEN = 32000,
};

static void compressor_freep(struct compressor **c) {
	*c = compressor_free(*c);
}

static void decompressor_freep(struct decompressor **d) {
	*d = decompressor_free(*d);
}

/* One for all, as in a node; it ends with the process of the test. */
static struct compress_work *work(void) {
	static struct compress_work *all;

	if (!all)
		cr_assert_eq(compress_work_new(3, &all), 0);
	return all;
}

static struct compressor *make_compressor(void) {
	struct compressor *c;

	cr_assert_eq(compressor_new(work(), &c), 0);
	return c;
}

static struct decompressor *make_decompressor(void) {
	struct decompressor *d;

	cr_assert_eq(decompressor_new(work(), PLAIN_MAX, &d), 0);
	return d;
}

/* Text like that of petitions; another one for each @seed. */
static struct span petitions(unsigned seed, char *buf, size_t len) {
	static const char *const words[] = { "đường liên thôn", "bị sạt lở", "hộ dân", "đề nghị",
		"xã", "sớm khắc phục", "cầu treo", "nước sinh hoạt", "thôn", "phản ánh", "đèn chiếu sáng" };
	size_t at = 0;

	while (at < len) {
		seed = seed * 1103515245 + 12345;
		at += snprintf(buf + at, len - at, "%s %u ", words[seed / 65536 % N_ELEMENTS(words)],
			seed / 65536 % 1000);
	}
	return (struct span){ (uint8_t *)buf, len };
}

static struct span noise(unsigned seed, uint8_t *buf, size_t len) {
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		buf[i] = seed >> 16;
	}
	return (struct span){ buf, len };
}

static size_t expect_same(struct compressor *c, struct decompressor *d, struct span plain) {
	struct span wire, again;

	cr_assert_eq(compressor_run(c, plain, &wire), 0);
	cr_assert_eq(decompressor_run(d, wire, &again), 0);
	cr_expect(span_eq(plain, again));
	return wire.len;
}

Test(compress, gives_back_what_was_put_in) {
	_cleanup_(compressor_freep) struct compressor *c = make_compressor();
	_cleanup_(decompressor_freep) struct decompressor *d = make_decompressor();
	char buf[BATCH_LEN + 1];
	uint8_t random[BATCH_LEN];

	for (unsigned i = 0; i < 20; i++) {
		cr_expect_lt(expect_same(c, d, petitions(i, buf, BATCH_LEN)), BATCH_LEN / 2);
		expect_same(c, d, petitions(i, buf, 200 + i));
		expect_same(c, d, petitions(i, buf, 1));
		expect_same(c, d, (struct span){ 0 });
		expect_same(c, d, noise(i, random, sizeof(random)));
	}
}

Test(compress, learns_from_the_batch_before) {
	_cleanup_(compressor_freep) struct compressor *c = make_compressor();
	_cleanup_(decompressor_freep) struct decompressor *d = make_decompressor();
	uint8_t buf[4000];
	struct span plain = noise(1, buf, sizeof(buf));
	size_t first = expect_same(c, d, plain);

	cr_expect_lt(expect_same(c, d, plain) * 50, first);
	compressor_reset(c);
	decompressor_reset(d);
	cr_expect_eq(expect_same(c, d, plain), first);
}

Test(compress, what_does_not_compress_costs_one_byte) {
	_cleanup_(compressor_freep) struct compressor *c = make_compressor();
	_cleanup_(decompressor_freep) struct decompressor *d = make_decompressor();
	uint8_t buf[5000];

	for (size_t len = 0; len < sizeof(buf); len += 499)
		cr_expect_eq(expect_same(c, d, noise(len, buf, len)), len + 1);
}

Test(compress, what_was_unpacked_is_good_until_the_next_call_but_one) {
	_cleanup_(compressor_freep) struct compressor *c = make_compressor();
	_cleanup_(decompressor_freep) struct decompressor *d = make_decompressor();
	struct span wire, before = { 0 }, now;
	char buf[BATCH_LEN + 1], last[BATCH_LEN + 1];

	for (unsigned i = 0; i < 6; i++) {
		size_t len = 1000 + i * 5000;
		struct span plain = petitions(i, buf, len);

		cr_assert_eq(compressor_run(c, plain, &wire), 0);
		cr_assert_eq(decompressor_run(d, wire, &now), 0);
		cr_expect(before.len == 0 || memcmp(before.data, last, before.len) == 0);
		memcpy(last, buf, len);
		before = now;
	}
	decompressor_reset(d);
	cr_expect_eq(memcmp(before.data, last, before.len), 0);
}

Test(compress, a_batch_after_a_lost_one_is_not_taken_for_another) {
	_cleanup_(compressor_freep) struct compressor *c = make_compressor();
	_cleanup_(decompressor_freep) struct decompressor *d = make_decompressor();
	uint8_t buf[4000];
	struct span plain = noise(1, buf, sizeof(buf)), wire, again = { 0 };
	int r;

	cr_assert_eq(compressor_run(c, plain, &wire), 0); /* lost */
	cr_assert_eq(compressor_run(c, plain, &wire), 0);
	r = decompressor_run(d, wire, &again);
	cr_expect(r == COMPRESS_MALFORMED || (r == 0 && !span_eq(again, plain)));
	decompressor_reset(d);
	compressor_reset(c);
	expect_same(c, d, plain);
}

Test(compress, every_cut_is_malformed_and_leaves_the_session_usable) {
	_cleanup_(compressor_freep) struct compressor *c = make_compressor();
	_cleanup_(decompressor_freep) struct decompressor *d = make_decompressor();
	char buf[2001];
	struct span wire, again;

	expect_same(c, d, petitions(1, buf, 2000));
	cr_assert_eq(compressor_run(c, petitions(2, buf, 2000), &wire), 0);
	for (size_t cut = 0; cut < wire.len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1); /* no longer than it is */

		memcpy(copy, wire.data, cut);
		cr_expect_eq(decompressor_run(d, (struct span){ copy, cut }, &again),
			COMPRESS_MALFORMED, "cut at %zu", cut);
		free(copy);
	}
	cr_assert_eq(decompressor_run(d, wire, &again), 0);
	cr_expect(span_eq(again, (struct span){ (uint8_t *)buf, 2000 }));
}

Test(compress, only_one_whole_frame_that_says_its_size_is_accepted) {
#define RAW_ABC "\x19\0\0abc" /* a last block, stored as it is, of three bytes */
	static const struct {
		const char *name;
		const char *bytes;
		size_t len;
		int want;
	} steps[] = {
#define STEP(name, bytes, want) { name, bytes, sizeof(bytes) - 1, want }
		STEP("a plain batch", "\0abc", 0),
		STEP("an empty plain batch", "\0", 0),
		STEP("a form we do not know", "\2abc", COMPRESS_MALFORMED),
		STEP("one frame", "\1\x28\xb5\x2f\xfd\x20\x03" RAW_ABC, 0),
		STEP("of unknown size", "\1\x28\xb5\x2f\xfd\x00\x00" RAW_ABC, COMPRESS_MALFORMED),
		STEP("with more than it says", "\1\x28\xb5\x2f\xfd\x20\x02" RAW_ABC, COMPRESS_MALFORMED),
		STEP("with less than it says", "\1\x28\xb5\x2f\xfd\x20\x04" RAW_ABC, COMPRESS_MALFORMED),
		STEP("followed by a byte", "\1\x28\xb5\x2f\xfd\x20\x03" RAW_ABC "x", COMPRESS_MALFORMED),
		STEP("followed by an empty frame", "\1\x28\xb5\x2f\xfd\x20\x03" RAW_ABC
			"\x28\xb5\x2f\xfd\x20\x00\x01\0\0", COMPRESS_MALFORMED),
		STEP("followed by a skippable frame", "\1\x28\xb5\x2f\xfd\x20\x03" RAW_ABC
			"\x50\x2a\x4d\x18\0\0\0\0", COMPRESS_MALFORMED),
		STEP("a skippable frame", "\1\x50\x2a\x4d\x18\0\0\0\0", COMPRESS_MALFORMED),
		STEP("a frame of zstd 0.7", "\1\x27\xb5\x2f\xfd\x20\x03" RAW_ABC, COMPRESS_MALFORMED),
		STEP("asking for a dictionary", "\1\x28\xb5\x2f\xfd\x21\x07\x03" RAW_ABC, COMPRESS_MALFORMED),
#undef STEP
	};

	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		_cleanup_(decompressor_freep) struct decompressor *d = make_decompressor();
		struct span in = { (const uint8_t *)steps[i].bytes, steps[i].len }, plain;

		cr_expect_eq(decompressor_run(d, in, &plain), steps[i].want, "%s", steps[i].name);
	}
}

Test(compress, more_than_may_be_is_refused_before_it_is_unpacked) {
	_cleanup_(compressor_freep) struct compressor *c = make_compressor();
	static const uint8_t huge[] = { 1, 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0x7f, 1, 0, 0 };
	static const uint8_t zeroes[PLAIN_MAX + 1];

	for (size_t len = PLAIN_MAX - 1; len <= PLAIN_MAX + 1; len++) {
		_cleanup_(decompressor_freep) struct decompressor *d = make_decompressor();
		uint8_t random[PLAIN_MAX + 2] = { 0 };
		int want = len <= PLAIN_MAX ? 0 : COMPRESS_MALFORMED;
		struct span wire, plain;

		compressor_reset(c);
		cr_assert_eq(compressor_run(c, (struct span){ zeroes, len }, &wire), 0);
		cr_expect_lt(wire.len, 100);
		cr_expect_eq(decompressor_run(d, wire, &plain), want, "%zu", len);
		noise(len, random + 1, len);
		cr_expect_eq(decompressor_run(d, (struct span){ random, len + 1 }, &plain), want);
		cr_expect_eq(decompressor_run(d, (struct span){ huge, sizeof(huge) }, &plain),
			COMPRESS_MALFORMED);
	}
}

Test(compress, what_was_never_used_can_be_freed) {
	struct compressor *c = make_compressor();
	struct decompressor *d = make_decompressor();

	cr_expect_null(compressor_free(c));
	cr_expect_null(decompressor_free(d));
	cr_expect_null(compressor_free(NULL));
	cr_expect_null(decompressor_free(NULL));
}
