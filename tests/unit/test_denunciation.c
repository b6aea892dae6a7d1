/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>

#include "proto/denunciation.h"

struct key {
	uint8_t secret[BOX_KEY_LEN], public[BOX_KEY_LEN];
};

struct sealed {
	uint8_t bytes[PRIVATE_BOX_LEN + 32];
	size_t len;
};

static struct key some_key(uint8_t n) {
	struct key key;

	memset(key.secret, n, sizeof(key.secret));
	cr_assert_eq(curve_public(key.secret, key.public), 0);
	return key;
}

static struct sealed seal_to(const struct key *key, const struct private_part *part) {
	struct sealed sealed;
	struct writer w;

	writer_init(&w, sealed.bytes, sizeof(sealed.bytes));
	cr_assert_eq(denunciation_seal(key->public, part, &w), 0);
	cr_assert(writer_ok(&w));
	sealed.len = w.len;
	return sealed;
}

static int decode(const struct sealed *sealed, size_t len, struct private_part *ret_part) {
	return private_decode((struct span){ sealed->bytes, len }, ret_part);
}

static const struct private_part hoa = { .name = { (const uint8_t *)"Hoa", 3 },
	.contact = { (const uint8_t *)"0900 123 456", 12 } };

Test(denunciation, what_was_sealed_is_opened_by_the_other_half_and_by_no_other_key) {
	struct key key = some_key(7), other = some_key(8);
	struct sealed sealed = seal_to(&key, &hoa);
	uint8_t plain[PRIVATE_BOX_PLAIN], name[PRIVATE_KEY_LEN];
	struct private_part part, open;

	cr_assert_eq(decode(&sealed, sealed.len, &part), 0);
	cr_expect_eq(part.form, PRIVATE_SEALED);
	denunciation_name(key.public, name);
	cr_expect(span_eq(part.key, (struct span){ name, sizeof(name) }), "it says what opens it");
	cr_expect_null(memmem(sealed.bytes, sealed.len, "0900", 4));
	cr_assert_eq(denunciation_open(key.secret, &part, plain, &open), 0);
	cr_expect(span_eq(open.name, hoa.name));
	cr_expect(span_eq(open.contact, hoa.contact));
	cr_expect_eq(open.address.len, 0);
	cr_expect_eq(denunciation_open(other.secret, &part, plain, &open), DENUNCIATION_OTHER_KEY);
	denunciation_name(other.public, name);
	part.key.data = name; /* one that only says that it is the other's */
	cr_expect_eq(denunciation_open(other.secret, &part, plain, &open), DENUNCIATION_ALTERED);
}

Test(denunciation, two_boxes_tell_neither_by_their_bytes_nor_by_their_length_who_is_in_them) {
	static char longest[PRIVATE_ADDRESS_MAX];
	struct key key = some_key(7);
	struct sealed a = seal_to(&key, &hoa), again = seal_to(&key, &hoa), b;
	struct private_part part, open;
	uint8_t plain[PRIVATE_BOX_PLAIN];

	memset(longest, 'x', sizeof(longest));
	b = seal_to(&key, &(struct private_part){ .name = { (uint8_t *)longest, PRIVATE_NAME_MAX },
		.contact = { (uint8_t *)longest, PRIVATE_CONTACT_MAX },
		.address = { (uint8_t *)longest, PRIVATE_ADDRESS_MAX } });
	cr_expect_eq(a.len, b.len);
	cr_assert_eq(decode(&b, b.len, &part), 0);
	cr_assert_eq(denunciation_open(key.secret, &part, plain, &open), 0);
	cr_expect_eq(open.address.len, PRIVATE_ADDRESS_MAX);
	cr_expect_eq(a.len, again.len);
	cr_expect_arr_neq(a.bytes + a.len - PRIVATE_BOX_LEN, again.bytes + a.len - PRIVATE_BOX_LEN, PRIVATE_BOX_LEN);
}

Test(denunciation, a_box_that_was_altered_or_cut_short_is_said_to_be) {
	struct key key = some_key(7);
	struct sealed sealed = seal_to(&key, &hoa);
	uint8_t plain[PRIVATE_BOX_PLAIN];
	struct private_part part, open;

	for (size_t len = 0; len < sealed.len; len++)
		cr_expect_eq(decode(&sealed, len, &part), PRIVATE_MALFORMED, "%zu bytes", len);
	for (size_t i = sealed.len - PRIVATE_BOX_LEN; i < sealed.len; i++) {
		sealed.bytes[i] ^= 1;
		cr_assert_eq(decode(&sealed, sealed.len, &part), 0);
		cr_expect_eq(denunciation_open(key.secret, &part, plain, &open), DENUNCIATION_ALTERED, "byte %zu", i);
		sealed.bytes[i] ^= 1;
	}
	cr_assert_eq(decode(&sealed, sealed.len, &part), 0);
	cr_expect_eq(denunciation_open(key.secret, &part, plain, &open), 0);
	for (int i = 0; i < 2; i++) { /* whole, and of another length */
		struct private_part other = part;
		struct sealed cut;
		struct writer w;

		(i ? &other.key : &other.box)->len--;
		writer_init(&w, cut.bytes, sizeof(cut.bytes));
		private_encode(&other, &w);
		cr_expect_eq(decode(&cut, w.len, &open), PRIVATE_MALFORMED, "%s", i ? "key" : "box");
	}
}

/* Anybody can seal to a public key. */
Test(denunciation, what_is_in_a_box_is_not_trusted) {
	static const struct {
		const char *what, *in;
		size_t len;
		uint8_t said[2]; /* its length */
		bool ok;
	} cases[] = {
		{ "a name", "\x94\x00\xa3" "Hoa" "\xa0\xa0", 8, { 0, 8 }, true },
		{ "more than there is room for", "\x94\x00\xa3" "Hoa" "\xa0\xa0", 8, { 255, 255 }, false },
		{ "not all of it", "\x94\x00\xa3" "Hoa" "\xa0\xa0", 8, { 0, 7 }, false },
		{ "something behind it", "\x94\x00\xa3" "Hoa" "\xa0\xa0x", 9, { 0, 8 }, false },
		{ "a command to the terminal", "\x94\x00\xa3\x1b[m\xa0\xa0", 8, { 0, 8 }, false },
		{ "nothing", "", 0, { 0, 0 }, false },
	};
	struct key key = some_key(7);
	uint8_t name[PRIVATE_KEY_LEN];

	denunciation_name(key.public, name);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint8_t plain[PRIVATE_BOX_PLAIN] = { cases[i].said[0], cases[i].said[1] }, box[PRIVATE_BOX_LEN];
		const struct private_part part = { .form = PRIVATE_SEALED, .key = { name, sizeof(name) },
			.box = { box, sizeof(box) } };
		struct private_part open;

		memcpy(plain + 2, cases[i].in, cases[i].len);
		cr_assert_eq(box_seal(key.public, (struct span){ plain, sizeof(plain) }, box), 0);
		cr_expect_eq(denunciation_open(key.secret, &part, plain, &open), cases[i].ok ? 0 : DENUNCIATION_ALTERED,
			"%s", cases[i].what);
	}
}

Test(denunciation, nothing_is_sealed_to_a_key_that_is_none) {
	static const uint8_t zeros[BOX_KEY_LEN], one[BOX_KEY_LEN] = { 1 };
	uint8_t bytes[PRIVATE_BOX_LEN + 32];
	struct writer w;

	writer_init(&w, bytes, sizeof(bytes));
	cr_expect_eq(denunciation_seal(zeros, &hoa, &w), DENUNCIATION_BAD_KEY);
	cr_expect_eq(denunciation_seal(one, &hoa, &w), DENUNCIATION_BAD_KEY, "of small order");
	cr_expect_eq(w.len, 0);
}

Test(denunciation, the_file_of_one_half_is_not_taken_for_the_other) {
	struct key key = some_key(0xa5);
	uint8_t again[BOX_KEY_LEN];
	char text[DENUNCIATION_FILE_MAX];

	for (int half = 0; half < DENUNCIATION_HALVES; half++) {
		size_t len = denunciation_file_encode(half, key.secret, text);

		cr_assert_leq(len, sizeof(text));
		cr_assert_eq(denunciation_file_decode(half, (struct span){ (uint8_t *)text, len }, again), 0);
		cr_expect_arr_eq(again, key.secret, sizeof(again));
		cr_expect_eq(denunciation_file_decode(!half, (struct span){ (uint8_t *)text, len }, again),
			DENUNCIATION_MALFORMED);
		for (size_t cut = 0; cut < len; cut++)
			cr_expect_eq(denunciation_file_decode(half, (struct span){ (uint8_t *)text, cut }, again),
				DENUNCIATION_MALFORMED, "%zu bytes", cut);
		text[len - 2] = 'G';
		cr_expect_eq(denunciation_file_decode(half, (struct span){ (uint8_t *)text, len }, again),
			DENUNCIATION_MALFORMED);
	}
}

Test(denunciation, a_key_is_called_by_ten_bytes_that_people_can_compare) {
	char text[DENUNCIATION_FINGERPRINT_LEN];

	denunciation_fingerprint((const uint8_t *)"\x00\x01\x02\x03\x04\x05\x06\x07\xfe\xff", text);
	cr_expect_str_eq(text, "0001 0203 0405 0607 feff");
	cr_expect_eq(strlen(text) + 1, sizeof(text));
}
