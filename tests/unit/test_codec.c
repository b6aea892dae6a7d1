/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/codec.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct span bytes(const char *data, size_t len) {
	return (struct span){ (const uint8_t *)data, len };
}

#define BYTES(literal) bytes(literal, sizeof(literal) - 1)

/* One strict value of any shape, and nothing else. */
static bool accepts(struct span in) {
	struct reader r;

	reader_init(&r, in);
	read_raw(&r);
	return reader_done(&r) == 0;
}

Test(codec, writes_and_reads_integers_in_their_shortest_form) {
	static const struct {
		uint64_t value;
		const char *encoded;
		size_t len;
	} cases[] = {
		{ 0, "\x00", 1 },
		{ 127, "\x7f", 1 },
		{ 128, "\xcc\x80", 2 },
		{ 255, "\xcc\xff", 2 },
		{ 256, "\xcd\x01\x00", 3 },
		{ 65535, "\xcd\xff\xff", 3 },
		{ 65536, "\xce\x00\x01\x00\x00", 5 },
		{ UINT32_MAX, "\xce\xff\xff\xff\xff", 5 },
		{ UINT32_MAX + 1ULL, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 9 },
		{ UINT64_MAX, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9 },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint8_t buf[16];
		struct writer w;
		struct reader r;

		writer_init(&w, buf, sizeof(buf));
		write_uint(&w, cases[i].value);
		cr_expect(span_eq(writer_span(&w), bytes(cases[i].encoded, cases[i].len)), "case %zu", i);
		reader_init(&r, writer_span(&w));
		cr_expect_eq(reader_peek(&r), VALUE_UINT);
		cr_expect_eq(read_uint(&r, UINT64_MAX), cases[i].value, "case %zu", i);
		cr_expect_eq(reader_done(&r), 0);
	}
}

Test(codec, writes_and_reads_every_length_around_a_change_of_form) {
	static const size_t lens[] = { 0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536 };
	_cleanup_(writer_done) struct writer w;
	uint8_t *data = calloc(1, 65536);

	cr_assert(data);
	memset(data, 'a', 65536);
	for (size_t i = 0; i < N_ELEMENTS(lens); i++) {
		size_t len = lens[i];
		size_t bin_head = len < 256 ? 2 : len < 65536 ? 3 : 5;
		size_t str_head = len < 32 ? 1 : bin_head;
		size_t array_head = len < 16 ? 1 : len < 65536 ? 3 : 5;
		struct reader r;

		writer_init_grow(&w);
		write_array(&w, 3);
		write_bin(&w, (struct span){ data, len });
		write_str(&w, (struct span){ data, len });
		write_array(&w, len);
		for (size_t j = 0; j < len; j++)
			write_nil(&w);
		cr_assert(writer_ok(&w));
		cr_expect_eq(w.len, 1 + bin_head + str_head + array_head + 3 * len, "length %zu", len);

		reader_init(&r, writer_span(&w));
		cr_expect_eq(read_array(&r, 3, 3), 3);
		cr_expect(span_eq(read_bin(&r, len, len), (struct span){ data, len }));
		cr_expect(span_eq(read_str(&r, len, len), (struct span){ data, len }));
		cr_expect_eq(read_array(&r, len, len), len);
		read_end(&r);
		read_end(&r);
		cr_expect_eq(reader_done(&r), 0, "length %zu", len);
		writer_done(&w);
	}
	free(data);
}

Test(codec, refuses_every_form_but_the_one) {
	static const struct {
		const char *why;
		const char *in;
		size_t len;
	} cases[] = {
		{ "nothing", "", 0 },
		{ "two values", "\x01\x02", 2 },
		{ "uint8 of 127", "\xcc\x7f", 2 },
		{ "uint16 of 255", "\xcd\x00\xff", 3 },
		{ "uint32 of 65535", "\xce\x00\x00\xff\xff", 5 },
		{ "uint64 of 2^32-1", "\xcf\x00\x00\x00\x00\xff\xff\xff\xff", 9 },
		{ "str8 of 31", "\xd9\x1f""1234567890123456789012345678901", 33 },
		{ "str16 of 1", "\xda\x00\x01""a", 4 },
		{ "str32 of 1", "\xdb\x00\x00\x00\x01""a", 6 },
		{ "bin16 of 1", "\xc5\x00\x01""a", 4 },
		{ "bin32 of 1", "\xc6\x00\x00\x00\x01""a", 6 },
		{ "array16 of 1", "\xdc\x00\x01\xc0", 4 },
		{ "array32 of 1", "\xdd\x00\x00\x00\x01\xc0", 6 },
		{ "negative", "\xff", 1 },
		{ "int8", "\xd0\x01", 2 },
		{ "int64", "\xd3\x00\x00\x00\x00\x00\x00\x00\x01", 9 },
		{ "float32", "\xca\x00\x00\x00\x00", 5 },
		{ "float64", "\xcb\x00\x00\x00\x00\x00\x00\x00\x00", 9 },
		{ "empty map", "\x80", 1 },
		{ "map16", "\xde\x00\x00", 3 },
		{ "fixext", "\xd4\x01\x01", 3 },
		{ "ext8", "\xc7\x01\x01\x01", 4 },
		{ "never used", "\xc1", 1 },
		{ "cut number", "\xcd\x01", 2 },
		{ "cut bin", "\xc4\x02\x01", 3 },
		{ "cut text", "\xa2""a", 2 },
		{ "cut array", "\x92\x01", 2 },
		{ "2^32-1 elements", "\xdd\xff\xff\xff\xff", 5 },
		{ "2^32-1 bytes", "\xc6\xff\xff\xff\xff\x00", 6 },
		{ "lone continuation byte", "\xa1\x80", 2 },
		{ "overlong slash", "\xa2\xc0\xaf", 3 },
		{ "surrogate", "\xa3\xed\xa0\x80", 4 },
		{ "beyond U+10FFFF", "\xa4\xf4\x90\x80\x80", 5 },
		{ "cut character", "\xa9""12345678\xe1", 10 },
		{ "bad text deep inside", "\x91\x91\xa1\xff", 4 },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		cr_expect_not(accepts(bytes(cases[i].in, cases[i].len)), "%s", cases[i].why);
	cr_expect(accepts(BYTES("\x97\x01\xc0\xc2\xc3\xc4\x01\xff\xa3\xe1\xbb\xa3\x90")));
}

Test(codec, refuses_at_once_what_is_longer_than_the_bytes_left) {
	struct reader r;

	reader_init(&r, BYTES("\xc4\x03""ab"));
	cr_expect_eq(read_bin(&r, 0, SIZE_MAX).len, 0);
	cr_expect(r.failed);
	reader_init(&r, BYTES("\xa3""ab"));
	cr_expect_eq(read_str(&r, 0, SIZE_MAX).len, 0);
	cr_expect(r.failed);
	reader_init(&r, BYTES("\x93\x01\x02"));
	cr_expect_eq(read_array(&r, 0, UINT64_MAX), 0);
	cr_expect(r.failed);
}

Test(codec, finds_bad_utf8_wherever_it_stands) {
	for (size_t at = 0; at < 24; at++) {
		char text[] = "\xb8""abcdefghijklmnopqrstuvwx";

		cr_expect(accepts(BYTES(text)));
		text[1 + at] = '\x80';
		cr_expect_not(accepts(BYTES(text)), "at %zu", at);
	}
}

Test(codec, accepts_eight_arrays_inside_each_other_and_no_ninth) {
	cr_expect(accepts(BYTES("\x91\x91\x91\x91\x91\x91\x91\x90")));
	cr_expect_not(accepts(BYTES("\x91\x91\x91\x91\x91\x91\x91\x91\x90")));
	/* Arrays beside each other do not add up. */
	cr_expect(accepts(BYTES("\x9a\x91\x90\x91\x90\x91\x90\x91\x90\x91\x90\x91\x90\x91\x90\x91\x90\x91\x90"
		"\x91\x91\x91\x91\x91\x91\x90")));
}

Test(codec, holds_values_to_the_limits_of_the_caller) {
	struct span in = BYTES("\x95\x05\xa2""ab\xc4\x02""ab\x92\x01\x02\xc3");
	struct reader start, r;

	reader_init(&start, in);
	cr_assert_eq(read_array(&start, 5, 5), 5);
	r = start;
	cr_expect_eq(read_uint(&r, 5), 5);
	cr_expect(span_eq(read_str(&r, 2, 2), BYTES("ab")));
	cr_expect(span_eq(read_bin(&r, 2, 2), BYTES("ab")));
	cr_expect_eq(read_array(&r, 2, 2), 2);
	read_end(&r);
	cr_expect(read_bool(&r));
	cr_expect_eq(reader_peek(&r), VALUE_END);
	cr_expect_neq(reader_done(&r), 0, "the outer array is not left yet");
	read_end(&r);
	cr_expect_eq(reader_done(&r), 0);

	r = start;
	read_uint(&r, 4);
	cr_expect(r.failed, "5 is more than 4");
	r = start;
	read_uint(&r, 5);
	read_str(&r, 0, 1);
	cr_expect(r.failed, "too long a text");
	r = start;
	read_uint(&r, 5);
	read_str(&r, 3, 9);
	cr_expect(r.failed, "too short a text");
	r = start;
	read_uint(&r, 5);
	read_bin(&r, 2, 2);
	cr_expect(r.failed, "a text is not bin");
	reader_init(&r, in);
	read_array(&r, 6, 9);
	cr_expect(r.failed, "too few elements");
	reader_init(&r, in);
	read_array(&r, 0, 4);
	cr_expect(r.failed, "too many elements");
}

Test(codec, reads_no_further_than_the_end_of_an_array) {
	struct reader r;

	reader_init(&r, BYTES("\x92\x91\x01\x02"));
	read_array(&r, 2, 2);
	read_array(&r, 1, 1);
	cr_expect_eq(read_uint(&r, 9), 1);
	cr_expect_eq(reader_peek(&r), VALUE_END);
	read_uint(&r, 9);
	cr_expect(r.failed, "the next element belongs to the outer array");
}

Test(codec, checks_what_it_skips_at_the_end_of_an_array) {
	struct reader r;

	reader_init(&r, BYTES("\x93\x01\x92\xa1""a\xc0\xcc\x80"));
	read_array(&r, 0, UINT64_MAX);
	cr_expect_eq(read_uint(&r, 1), 1);
	read_end(&r);
	cr_expect_eq(reader_done(&r), 0);

	reader_init(&r, BYTES("\x93\x01\x92\xa1""a\xc0\xcc\x7f"));
	read_array(&r, 0, UINT64_MAX);
	read_uint(&r, 1);
	read_end(&r);
	cr_expect_neq(reader_done(&r), 0);
}

Test(codec, yields_nothing_more_once_it_has_failed) {
	struct hash hash;
	struct reader r;
	struct id id;

	memset(&id, 1, sizeof(id));
	memset(&hash, 1, sizeof(hash));
	reader_init(&r, BYTES("\x96\x01\x01\xa1""a\xc3\x90\x01"));
	read_array(&r, 6, 6);
	reader_fail(&r);
	cr_expect_eq(reader_peek(&r), VALUE_END);
	cr_expect_eq(read_uint(&r, UINT64_MAX), 0);
	cr_expect_not(read_bool(&r));
	cr_expect_eq(read_str(&r, 0, 9).len, 0);
	cr_expect_eq(read_bin(&r, 0, 9).len, 0);
	cr_expect_eq(read_raw(&r).len, 0);
	cr_expect_eq(read_array(&r, 0, 9), 0);
	read_id(&r, &id);
	cr_expect(id_is_nil(&id));
	read_hash(&r, &hash);
	cr_expect_eq(hash.b[31], 0);
	read_end(&r);
	read_end(&r);
	cr_expect_eq(reader_done(&r), CODEC_MALFORMED);
}

Test(codec, hands_out_any_value_as_its_bytes) {
	struct span in = BYTES("\x93\x92\xa1""a\x91\xc4\x01\xff\xc0\xcd\x01\x00");
	struct reader r;

	reader_init(&r, in);
	read_array(&r, 3, 3);
	cr_expect(span_eq(read_raw(&r), BYTES("\x92\xa1""a\x91\xc4\x01\xff")));
	cr_expect(span_eq(read_raw(&r), BYTES("\xc0")));
	cr_expect(span_eq(read_raw(&r), BYTES("\xcd\x01\x00")));
	read_end(&r);
	cr_expect_eq(reader_done(&r), 0);
}

Test(codec, has_one_form_for_no_id) {
	struct id id = { { 1 } };
	uint8_t buf[32];
	struct writer w;
	struct reader r;

	writer_init(&w, buf, sizeof(buf));
	write_array(&w, 2);
	write_id_or_nil(&w, &(struct id){ 0 });
	write_id_or_nil(&w, &id);
	reader_init(&r, writer_span(&w));
	read_array(&r, 2, 2);
	read_id_or_nil(&r, &id);
	cr_expect(id_is_nil(&id));
	read_id_or_nil(&r, &id);
	cr_expect_eq(id.b[0], 1);
	read_end(&r);
	cr_expect_eq(reader_done(&r), 0);

	writer_init(&w, buf, sizeof(buf));
	write_id(&w, &(struct id){ 0 });
	reader_init(&r, writer_span(&w));
	read_id_or_nil(&r, &id);
	cr_expect_neq(reader_done(&r), 0, "sixteen zero bytes are a second form");
}

/* Whether a text of 24 letters, with @insert at @place, may be shown. */
static bool may_show(const char *insert, size_t place, bool lines) {
	static const char letters[] = "abcdefghijklmnopqrstuvwx";
	char text[64];
	uint8_t buf[64];
	struct writer w;
	struct reader r;

	snprintf(text, sizeof(text), "%.*s%s%s", (int)place, letters, insert, &letters[place]);
	writer_init(&w, buf, sizeof(buf));
	write_str(&w, span_str(text));
	reader_init(&r, writer_span(&w));
	if (lines)
		read_text(&r, 0, 64);
	else
		read_line(&r, 0, 64);
	return reader_done(&r) == 0;
}

Test(codec, lets_nothing_through_that_commands_a_terminal) {
	static const struct {
		const char *insert;
		bool in_text, in_line;
	} cases[] = {
		{ "\n", true, false },
		{ "\t", true, false },
		{ "\r", false, false },
		{ "\x01", false, false },
		{ "\b", false, false },
		{ "\x1b[2J", false, false },
		{ "\x1f", false, false },
		{ "\x7f", false, false },
		{ "\xc2\x80", false, false },
		{ "\xc2\x9b", false, false },
		{ "\xc2\x9f", false, false },
		{ " ", true, true },
		{ "~", true, true },
		{ "\xc2\xa0", true, true },     /* no-break space */
		{ "\xc3\x80", true, true },     /* À */
		{ "\xc4\x91", true, true },     /* đ */
		{ "\xe1\xbb\x9f", true, true }, /* ở */
		{ "\xe2\x80\x8b", true, true },  /* U+200B */
		{ "\xe2\x80\x8c", true, true },  /* ZWNJ */
		{ "\xe2\x80\x8d", true, true },  /* ZWJ */
		{ "\xe2\x80\x8e", false, false },
		{ "\xe2\x80\x8f", false, false },
		{ "\xe2\x80\x90", true, true },
		{ "\xe2\x80\xa7", true, true },
		{ "\xe2\x80\xa8", false, false }, /* U+2028 */
		{ "\xe2\x80\xa9", false, false },
		{ "\xe2\x80\xaa", false, false }, /* U+202A */
		{ "\xe2\x80\xae", false, false },
		{ "\xe2\x80\xaf", true, true },   /* narrow no-break space */
		{ "\xe2\x81\xa5", true, true },
		{ "\xe2\x81\xa6", false, false }, /* U+2066 */
		{ "\xe2\x81\xa9", false, false },
		{ "\xe2\x81\xaa", true, true },
		{ "\xe2\x82\xab", true, true },   /* ₫ */
		{ "\xef\xbb\xbe", true, true },
		{ "\xef\xbb\xbf", false, false }, /* U+FEFF */
		{ "\xef\xbc\xbf", true, true },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		for (size_t place = 0; place <= 24; place++) {
			cr_expect_eq(may_show(cases[i].insert, place, true), cases[i].in_text,
				"text, case %zu at %zu", i, place);
			cr_expect_eq(may_show(cases[i].insert, place, false), cases[i].in_line,
				"line, case %zu at %zu", i, place);
		}
	}
}

Test(codec, says_where_a_character_is_that_it_refuses) {
	cr_expect_eq(text_unfit(span_str(""), false), 0);
	cr_expect_eq(text_unfit(span_str("abc\n"), false), 3);
	cr_expect_eq(text_unfit(span_str("abc\n"), true), 4);
	cr_expect_eq(text_unfit(span_str("xin chào bà con \xe2\x80\xae."), true), 18);
}

Test(codec, refuses_a_zero_byte_where_people_will_see_it) {
	struct reader r;

	reader_init(&r, BYTES("\xa3""a\0b"));
	read_text(&r, 0, 9);
	cr_expect_neq(reader_done(&r), 0);
	cr_expect(accepts(BYTES("\xa3""a\0b")), "as a value it is good UTF-8");
}

Test(codec, stays_failed_when_a_fixed_writer_is_full) {
	uint8_t buf[8];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	write_bin(&w, BYTES("123456"));
	cr_expect(writer_ok(&w));
	cr_expect_eq(w.len, 8);
	write_nil(&w);
	cr_expect_not(writer_ok(&w));

	writer_init(&w, buf, sizeof(buf));
	write_bin(&w, BYTES("1234567"));
	cr_expect_not(writer_ok(&w));
	write_nil(&w);
	write_array(&w, 0);
	write_raw(&w, BYTES("\x01"));
	cr_expect_eq(w.len, 2, "nothing after the head that still fitted");
}

Test(codec, refuses_a_length_that_msgpack_cannot_say) {
	uint8_t buf[16];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	write_array(&w, UINT32_MAX + 1ULL);
	cr_expect_not(writer_ok(&w));
	cr_expect_eq(w.len, 0);
}

Test(codec, grows_to_what_is_written) {
	_cleanup_(writer_done) struct writer w;
	struct reader r;

	writer_init_grow(&w);
	write_array(&w, 100000);
	for (size_t i = 0; i < 100000; i++)
		write_uint(&w, i);
	cr_assert(writer_ok(&w));
	reader_init(&r, writer_span(&w));
	cr_assert_eq(read_array(&r, 0, UINT64_MAX), 100000);
	for (size_t i = 0; i < 100000; i++)
		cr_assert_eq(read_uint(&r, UINT64_MAX), i);
	read_end(&r);
	cr_expect_eq(reader_done(&r), 0);
}
