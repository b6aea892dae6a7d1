/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>

#include "proto/head.h"
#include "tests/unit/hex.h"

static const char seed_hex[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
static const char root_hex[] = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";

static const struct oplog_id oplog = {
	.office = { { 0x01, 0x8f, 0x3a, 0x5c, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0xa1 } },
	.epoch = 7,
	.lane = LANE_NORMAL,
};

static struct signer *make_signer(void) {
	uint8_t seed[SIGN_SEED_LEN];
	struct signer *signer;

	from_hex(seed_hex, seed, sizeof(seed));
	cr_assert_eq(signer_new(seed, &signer), 0);
	return signer;
}

static struct verifier *make_verifier(struct signer *signer) {
	uint8_t public[SIGN_PUBLIC_LEN];
	struct verifier *verifier;

	signer_public(signer, public);
	cr_assert_eq(verifier_new(public, &verifier), 0);
	return verifier;
}

Test(head, an_id_is_read_as_it_is_written) {
	char text[OFFICE_ID_TEXT_LEN + 1];
	struct id id;

	id_format(&oplog.office, text);
	cr_expect_str_eq(text, "018f3a5c0000700080000000000000a1");
	cr_assert(id_parse(span_str(text), &id));
	cr_expect(id_eq(&id, &oplog.office));
}

Test(head, an_id_has_one_spelling) {
	static const char *const wrong[] = { "", "018f3a5c0000700080000000000000a",
		"018f3a5c0000700080000000000000a12", "018F3A5C0000700080000000000000A1",
		"018f3a5c-0000-7000-8000-0000000000a1", "018f3a5c0000700080000000000000g1",
		" 18f3a5c0000700080000000000000a1" };
	struct span with_zero = { (const uint8_t *)"018f3a5c0000700080000000000000a", 32 };
	struct id id = oplog.office;

	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		cr_expect_not(id_parse(span_str(wrong[i]), &id), "%s", wrong[i]);
	cr_expect_not(id_parse(with_zero, &id));
	cr_expect(id_eq(&id, &oplog.office), "untouched on failure");
}

Test(head, the_text_is_a_checkpoint) {
	static const char want[] = "lienthong/018f3a5c0000700080000000000000a1/7/1\n"
				   "8\n"
				   "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n";
	char text[HEAD_TEXT_MAX];
	struct hash root;

	from_hex(root_hex, root.b, sizeof(root.b));
	cr_expect(span_eq((struct span){ (uint8_t *)text, head_text(&oplog, 8, &root, text) },
		span_str(want)));
}

Test(head, the_largest_numbers_have_room) {
	struct oplog_id last = { .epoch = UINT32_MAX, .lane = UINT8_MAX };
	struct head head = { .size = UINT64_MAX };
	uint8_t public[SIGN_PUBLIC_LEN] = { 0 };
	char text[HEAD_TEXT_MAX], note[HEAD_NOTE_MAX];

	memset(last.office.b, 0xff, sizeof(last.office.b));
	cr_expect_lt(head_text(&last, UINT64_MAX, &head.root, text), HEAD_TEXT_MAX);
	cr_expect_lt(head_note(&last, &head, public, note), HEAD_NOTE_MAX);
}

/* The note was computed apart, with another library and language. */
Test(head, the_note_is_a_signed_note) {
	static const char want[] =
		"lienthong/018f3a5c0000700080000000000000a1/7/1\n"
		"8\n"
		"XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
		"\n"
		"\u2014 lienthong/018f3a5c0000700080000000000000a1/7/1 "
		"92D0b24iDRZvN4Hwx7s9+ILcSIB9t3fey7ntYnzL/Rbzx2b8cQsYonhqAlyxiIeYYsLWH8qNZl9aIg42mi"
		"FQdqvNTgI=\n";
	_cleanup_(signer_freep) struct signer *signer = make_signer();
	uint8_t public[SIGN_PUBLIC_LEN];
	struct head head = { .size = 8 };
	char note[HEAD_NOTE_MAX];

	from_hex(root_hex, head.root.b, sizeof(head.root.b));
	cr_assert_eq(head_sign(signer, &oplog, &head), 0);
	signer_public(signer, public);
	cr_expect_eq(head_note(&oplog, &head, public, note), sizeof(want) - 1);
	cr_expect_str_eq(note, want);
}

Test(head, a_note_is_read_as_it_was_written_and_in_no_other_way) {
	_cleanup_(signer_freep) struct signer *signer = make_signer();
	_cleanup_(verifier_freep) struct verifier *key = make_verifier(signer);
	uint8_t public[SIGN_PUBLIC_LEN];
	struct head head = { .size = 8 }, read = { 0 };
	char note[2 * HEAD_NOTE_MAX];
	struct oplog_id of;
	size_t len, n;

	from_hex(root_hex, head.root.b, sizeof(head.root.b));
	cr_assert_eq(head_sign(signer, &oplog, &head), 0);
	signer_public(signer, public);
	n = head_note(&oplog, &head, public, note);
	memcpy(note + n, "and more", 8);
	cr_assert_eq(head_note_read((struct span){ (uint8_t *)note, n + 8 }, &of, &read, &len), 0);
	cr_expect_eq(len, n);
	cr_expect(oplog_id_eq(&of, &oplog));
	cr_expect_eq(read.size, 8);
	cr_expect_eq(head_verify(key, &of, &read), 0);
	for (size_t cut = 0; cut < n; cut++)
		cr_expect_eq(head_note_read((struct span){ (uint8_t *)note, cut }, &of, &read, &len), HEAD_MALFORMED);
	/* whatever is changed is malformed, or not signed any more; only which key it was is not looked at */
	for (size_t i = 0; i < n; i++) {
		char changed[2 * HEAD_NOTE_MAX];

		memcpy(changed, note, n);
		changed[i] ^= 1;
		if (head_note_read((struct span){ (uint8_t *)changed, n }, &of, &read, &len) == 0 &&
			head_verify(key, &of, &read) == 0)
			cr_expect(i > n - 94 && i < n - 94 + 7, "byte %zu of %zu", i, n);
	}
}

Test(head, a_note_names_no_epoch_and_no_lane_that_there_is_not) {
	static const struct {
		const char *epoch_lane;
		int outcome;
	} cases[] = { /* of as many characters as what they take the place of */
		{ "107/2", 0 }, { "255/0", 0 }, { "107/3", HEAD_MALFORMED }, { "107/9", HEAD_MALFORMED },
		{ "256/1", HEAD_MALFORMED }, { "999/1", HEAD_MALFORMED },
	};
	const struct oplog_id id = { oplog.office, 107, LANE_NORMAL };
	const uint8_t public[SIGN_PUBLIC_LEN] = { 0 };
	struct head head = { .size = 8 }, read;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char note[HEAD_NOTE_MAX], *at = note;
		size_t len, n = head_note(&id, &head, public, note);
		struct oplog_id of;

		for (; (at = strstr(at, "107/1")); at += 5)
			memcpy(at, cases[i].epoch_lane, 5);
		cr_expect_eq(head_note_read((struct span){ (uint8_t *)note, n }, &of, &read, &len), cases[i].outcome, "%s",
			cases[i].epoch_lane);
	}
}

Test(head, a_signature_is_for_one_office_epoch_lane_size_and_root) {
	_cleanup_(signer_freep) struct signer *signer = make_signer();
	_cleanup_(verifier_freep) struct verifier *key = make_verifier(signer);
	struct head head = { .size = 8 }, other_head;
	struct oplog_id other;

	from_hex(root_hex, head.root.b, sizeof(head.root.b));
	cr_assert_eq(head_sign(signer, &oplog, &head), 0);
	cr_expect_eq(head_verify(key, &oplog, &head), 0);

	other = oplog;
	other.office.b[15]++;
	cr_expect_eq(head_verify(key, &other, &head), SIGN_BAD_SIGNATURE);
	other = oplog;
	other.epoch++;
	cr_expect_eq(head_verify(key, &other, &head), SIGN_BAD_SIGNATURE);
	other = oplog;
	other.lane = LANE_BULK;
	cr_expect_eq(head_verify(key, &other, &head), SIGN_BAD_SIGNATURE);
	other_head = head;
	other_head.size++;
	cr_expect_eq(head_verify(key, &oplog, &other_head), SIGN_BAD_SIGNATURE);
	other_head = head;
	other_head.root.b[31] ^= 1;
	cr_expect_eq(head_verify(key, &oplog, &other_head), SIGN_BAD_SIGNATURE);
	other_head = head;
	other_head.signature[0] ^= 1;
	cr_expect_eq(head_verify(key, &oplog, &other_head), SIGN_BAD_SIGNATURE);
}

Test(head, oplogs_are_the_same_where_office_epoch_and_lane_are) {
	struct oplog_id other = oplog;

	cr_expect(oplog_id_eq(&oplog, &other));
	other.epoch++;
	cr_expect_not(oplog_id_eq(&oplog, &other));
	other = oplog;
	other.lane++;
	cr_expect_not(oplog_id_eq(&oplog, &other));
	other = oplog;
	other.office.b[0]++;
	cr_expect_not(oplog_id_eq(&oplog, &other));
}
