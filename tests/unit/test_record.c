/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/record.h"

#include <criterion/criterion.h>

#include "tests/kinds.h"

static const struct id audience[] = {
	{ { 1, 2, 3 } },
	{ { 4, 5, 6 } },
};

static struct record sample(bool commitment) {
	struct record rec = {
		.kind = KIND_PETITION,
		.organisation = ORGANISATION_WOMEN,
		.has_commitment = commitment,
		.time_ms = 1717200000123,
		.id = SAMPLE_CASE,
		.body = span_str("\x92\x01\x02"),
	};

	memset(rec.commitment.b, 0xc3, sizeof(rec.commitment.b));
	return rec;
}

/* The elements of a record, then @rest: encoded elements of which there are @n_rest. */
static struct span with_rest(struct writer *w, size_t n_rest, struct span rest) {
	struct record rec = sample(false);
	uint8_t buf[128];
	struct writer known;

	writer_init(&known, buf, sizeof(buf));
	cr_assert_eq(record_encode(&rec, NULL, 0, &known), 0);
	write_array(w, RECORD_FIELDS + n_rest);
	write_raw(w, (struct span){ buf + 1, known.len - 1 });
	write_raw(w, rest);
	cr_assert(writer_ok(w));
	return writer_span(w);
}

Test(record, comes_back_as_it_was_written) {
	for (size_t n = 0; n <= N_ELEMENTS(audience); n++) {
		for (int commitment = 0; commitment <= 1; commitment++) {
			struct record rec = sample(commitment), got;
			uint8_t buf[256];
			struct writer w;
			struct id id;

			writer_init(&w, buf, sizeof(buf));
			cr_assert_eq(record_encode(&rec, audience, n, &w), 0);
			cr_assert_eq(record_decode(writer_span(&w), &got), 0);
			cr_expect_eq(got.kind, KIND_PETITION);
			cr_expect_eq(got.organisation, ORGANISATION_WOMEN);
			cr_expect_eq(got.time_ms, 1717200000123);
			cr_expect(id_eq(&got.id, &rec.id));
			cr_expect(span_eq(got.body, rec.body));
			cr_expect_eq(got.has_commitment, commitment);
			if (commitment)
				cr_expect_arr_eq(got.commitment.b, rec.commitment.b, 32);
			cr_assert_eq(got.n_audience, n);
			for (size_t i = 0; i < n; i++) {
				record_audience(&got, i, &id);
				cr_expect(id_eq(&id, &audience[i]), "audience %zu of %zu", i, n);
			}
			cr_expect_eq(record_kind(writer_span(&w)), KIND_PETITION);
		}
	}
}

Test(record, is_malformed_when_cut_off_anywhere_or_followed_by_anything) {
	struct record rec = sample(true), got = { .kind = 99 };
	uint8_t buf[257];
	struct writer w;

	writer_init(&w, buf, 256);
	cr_assert_eq(record_encode(&rec, audience, 2, &w), 0);
	for (size_t len = 0; len < w.len; len++)
		cr_expect_eq(record_decode((struct span){ buf, len }, &got), RECORD_MALFORMED);
	buf[w.len] = 0;
	cr_expect_eq(record_decode((struct span){ buf, w.len + 1 }, &got), RECORD_MALFORMED);
	cr_expect_eq(got.kind, 99, "untouched on failure");
}

Test(record, keeps_what_a_newer_node_added) {
	static const struct {
		const char *rest;
		size_t len, n;
		bool ok;
	} cases[] = {
		{ "\xc0", 1, 1, false },        /* a commitment of nil has a shorter form */
		{ "\xc0\x01", 2, 2, true },     /* no commitment, then something new */
		{ "\xc0\xc0", 2, 2, false },    /* the last is never nil */
		{ "\xc0\xc0\x05", 3, 3, true },
		{ "\xc0\x05\xc0", 3, 3, false },
		{ "\xc0\x91\x81\x00\x00", 5, 2, false }, /* a map is not ours in any version */
		{ "\xc4\x02""ab", 4, 1, false }, /* a commitment is 32 bytes */
		{ "\x01", 1, 1, false },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct record got;
		uint8_t buf[256];
		struct writer w;
		struct span in;

		writer_init(&w, buf, sizeof(buf));
		in = with_rest(&w, cases[i].n, (struct span){ (const uint8_t *)cases[i].rest, cases[i].len });
		cr_expect_eq(record_decode(in, &got), cases[i].ok ? 0 : RECORD_MALFORMED, "case %zu", i);
		if (cases[i].ok)
			cr_expect_not(got.has_commitment, "case %zu", i);
	}
}

Test(record, keeps_the_commitment_beside_what_is_new) {
	uint8_t rest[64], buf[256];
	struct writer w, more;
	struct record got;
	struct hash hash;

	memset(&hash, 7, sizeof(hash));
	writer_init(&more, rest, sizeof(rest));
	write_hash(&more, &hash);
	write_str(&more, span_str("new"));
	writer_init(&w, buf, sizeof(buf));
	cr_assert_eq(record_decode(with_rest(&w, 2, writer_span(&more)), &got), 0);
	cr_expect(got.has_commitment);
	cr_expect_arr_eq(got.commitment.b, hash.b, 32);
}

/* Writes a record of the five fields that have limits. */
static struct span of_fields(struct writer *w, uint64_t kind, uint64_t organisation,
	size_t n_audience) {
	write_array(w, RECORD_FIELDS);
	write_uint(w, kind);
	write_id(w, &SAMPLE_CASE);
	write_uint(w, 0);
	write_uint(w, organisation);
	write_array(w, n_audience);
	for (size_t i = 0; i < n_audience; i++)
		write_id(w, &audience[0]);
	write_nil(w);
	return writer_span(w);
}

Test(record, accepts_kinds_and_organisations_up_to_255_and_32_offices) {
	static const struct {
		uint64_t kind, organisation;
		size_t n_audience;
		bool ok;
	} cases[] = {
		{ 1, 0, 0, true },
		{ 255, 255, 32, true },
		{ 256, 0, 0, false },
		{ 0, 0, 0, false },
		{ 1, 256, 0, false },
		{ 1, 0, 33, false },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct record got;
		uint8_t buf[1024];
		struct writer w;
		struct span in;

		writer_init(&w, buf, sizeof(buf));
		in = of_fields(&w, cases[i].kind, cases[i].organisation, cases[i].n_audience);
		cr_assert(writer_ok(&w));
		cr_expect_eq(record_decode(in, &got), cases[i].ok ? 0 : RECORD_MALFORMED, "case %zu", i);
	}
}

Test(record, is_at_most_16_kib_long) {
	static uint8_t body[RECORD_MAX], buf[RECORD_MAX + 64];
	struct record rec = sample(false), got;
	struct writer body_w, w;
	size_t overhead;

	writer_init(&w, buf, sizeof(buf));
	rec.body = (struct span){ body, 0 };
	cr_assert_eq(record_encode(&rec, NULL, 0, &w), 0);
	overhead = w.len + 3; /* of a bin16 */
	for (size_t over = 0; over <= 1; over++) {
		static const uint8_t zeros[RECORD_MAX];

		writer_init(&body_w, body, sizeof(body));
		write_bin(&body_w, (struct span){ zeros, RECORD_MAX - overhead + over });
		rec.body = writer_span(&body_w);
		writer_init(&w, buf, sizeof(buf));
		cr_expect_eq(record_encode(&rec, NULL, 0, &w), over ? RECORD_TOO_LONG : 0);
		cr_expect_eq(w.len, RECORD_MAX + over);
		cr_expect_eq(record_decode(writer_span(&w), &got), over ? RECORD_MALFORMED : 0);
	}
	writer_init(&w, buf, 20);
	cr_expect_eq(record_encode(&rec, NULL, 0, &w), RECORD_TOO_LONG, "no room to write it");
}

Test(record, tells_the_kind_without_the_rest) {
	uint8_t buf[1024];
	struct writer w;

	for (uint64_t kind = 1; kind <= 255; kind++) {
		writer_init(&w, buf, sizeof(buf));
		cr_expect_eq(record_kind(of_fields(&w, kind, 0, 0)), kind);
	}
	writer_init(&w, buf, sizeof(buf));
	cr_expect_eq(record_kind(of_fields(&w, 256, 0, 0)), 0);
	cr_expect_eq(record_kind((struct span){ 0 }), 0);
	cr_expect_eq(record_kind(span_str("\xc0")), 0);
	cr_expect_eq(record_kind(span_str("\x92\x01\x02")), 0, "too few elements");
}

Test(record, makes_ids_that_sort_by_time) {
	static const uint8_t ones[10] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
	static const uint8_t zeros[10];
	struct id a, b;

	record_make_id(0x0123456789ab, ones, &a);
	cr_expect_arr_eq(a.b, "\x01\x23\x45\x67\x89\xab\x7f\xff\xbf\xff\xff\xff\xff\xff\xff\xff", 16);
	record_make_id(0x0123456789ac, zeros, &b);
	cr_expect_arr_eq(b.b, "\x01\x23\x45\x67\x89\xac\x70\x00\x80\x00\x00\x00\x00\x00\x00\x00", 16);
	cr_expect(memcmp(a.b, b.b, 16) < 0);
}
