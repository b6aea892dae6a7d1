/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who brings a denunciation, as the node takes it in: sealed to a key that it does not have, or not at all. */
#include <criterion/criterion.h>

#include "proto/denunciation.h"
#include "store/private.h"
#include "tests/cores.h"

struct made {
	uint8_t body[512], part[PRIVATE_MAX];
	struct draft draft;
};

static const struct private_part hoa = { .name = { (const uint8_t *)"Mộng Điệp", 14 },
	.contact = { (const uint8_t *)"0900 123 456", 12 } };

/* A petition of @kind under one id; @sealed: with who brought it, so or openly. */
static void make(struct made *made, uint8_t kind, const struct private_part *part, bool sealed) {
	uint8_t secret[BOX_KEY_LEN], public[BOX_KEY_LEN];
	struct petition petition;
	struct writer w;

	made->draft = cores_petition(made->body, sizeof(made->body), 1, false);
	cr_assert_eq(petition_decode(made->draft.body, &petition), 0);
	petition.legal_kind = kind;
	petition.text = span_str("Cán bộ thu tiền trái quy định");
	petition.village = petition.asked_of = span_str("Dương Húc");
	writer_init(&w, made->body, sizeof(made->body));
	petition_encode(&petition, &w);
	made->draft.body = writer_span(&w);
	made->draft.has_id = true;
	record_make_id(CORES_START_MS, (const uint8_t *)"0123456789", &made->draft.id);
	if (!part)
		return;
	memset(secret, 7, sizeof(secret));
	cr_assert_eq(curve_public(secret, public), 0);
	writer_init(&w, made->part, sizeof(made->part));
	if (sealed)
		cr_assert_eq(denunciation_seal(public, part, &w), 0);
	else
		private_encode(part, &w);
	made->draft.private = writer_span(&w);
}

/* What the node answers; @ret_outcome of what it keeps. */
static int submit(struct cores_node *node, const struct made *made, uint64_t *ret_outcome) {
	struct answer answer = cores_submit(node, &made->draft, 1);

	if (answer.result == CONTROL_OK) {
		read_array(&answer.values, 1, 1);
		read_array(&answer.values, 3, 3);
		*ret_outcome = read_uint(&answer.values, OUTCOME_HELD);
	}
	return (int)answer.result;
}

static struct answer ask(struct cores_node *node, enum command command, const struct id *id) {
	uint8_t buf[512];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_private(&w, 9, command, id, span_str("lan"), span_str("Báo kết quả"));
	return cores_ask(node, writer_span(&w));
}

Test(sealed, a_denunciation_is_taken_without_who_brings_it_or_sealed_and_not_openly, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	struct private_part part;
	uint8_t cut[PRIVATE_MAX];
	struct made made;
	uint64_t outcome;
	struct writer w;

	make(&made, LEGAL_DENUNCIATION, &hoa, false);
	cr_expect_eq(submit(node, &made, &outcome), CONTROL_UNSEALED);
	cr_expect_eq(cores_count(node, node, MEASURE_RECEIVED), 0, "nothing of it is kept");
	make(&made, LEGAL_DENUNCIATION, NULL, false);
	cr_expect_eq(submit(node, &made, &outcome), CONTROL_OK, "nobody need say who he is");
	make(&made, LEGAL_DENUNCIATION, &hoa, false);
	cr_expect_eq(submit(node, &made, &outcome), CONTROL_UNSEALED, "nor where the record is held");
	make(&made, LEGAL_DENUNCIATION, &hoa, true);
	cr_expect_eq(submit(node, &made, &outcome), CONTROL_CONFLICT, "who brought it is not added later");
	made.draft.has_id = false;
	cr_expect_eq(submit(node, &made, &outcome), CONTROL_OK);
	cr_assert_eq(private_decode(made.draft.private, &part), 0);
	part.box.len--;
	writer_init(&w, cut, sizeof(cut));
	private_encode(&part, &w);
	made.draft.private = writer_span(&w);
	cr_expect_eq(submit(node, &made, &outcome), CONTROL_BAD_FIELD, "a box is whole");
}

Test(sealed, the_node_has_a_box_and_gives_it_out_as_it_is, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint8_t secret[BOX_KEY_LEN], plain[PRIVATE_BOX_PLAIN];
	struct private_part part, open;
	struct answer answer;
	uint64_t outcome, withheld;
	struct made made;
	struct span kept;

	make(&made, LEGAL_DENUNCIATION, &hoa, true);
	cr_assert_eq(submit(node, &made, &outcome), CONTROL_OK);
	answer = ask(node, COMMAND_READ, &made.draft.id);
	cr_assert_eq(answer.result, CONTROL_OK);
	kept = read_bin(&answer.values, 1, PRIVATE_MAX);
	cr_expect(span_eq(kept, made.draft.private));
	cr_assert_eq(private_decode(kept, &part), 0);
	memset(secret, 7, sizeof(secret));
	cr_assert_eq(denunciation_open(secret, &part, plain, &open), 0);
	cr_expect(span_eq(open.contact, hoa.contact));
	cr_expect_eq(cores_leaves(node, node, LANE_BULK, &withheld), 1, "who asked is written down, as ever");
}

Test(sealed, again_it_adds_nothing_whoever_is_in_the_box, .timeout = 60) {
	static const struct private_part other = { .name = { (const uint8_t *)"Sen", 3 } };
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint64_t outcome = OUTCOME_HELD;
	struct made made;

	make(&made, LEGAL_DENUNCIATION, &hoa, true);
	cr_assert_eq(submit(node, &made, &outcome), CONTROL_OK);
	cr_expect_eq(outcome, OUTCOME_ADDED);
	make(&made, LEGAL_DENUNCIATION, &hoa, true);
	cr_expect_eq(submit(node, &made, &outcome), CONTROL_OK);
	cr_expect_eq(outcome, OUTCOME_HELD);
	make(&made, LEGAL_DENUNCIATION, &other, true);
	cr_expect_eq(submit(node, &made, &outcome), CONTROL_OK, "else an operator could try every name");
	cr_expect_eq(outcome, OUTCOME_HELD);
	cr_expect_eq(ask(node, COMMAND_ERASE, &made.draft.id).result, CONTROL_OK);
	cr_expect_eq(submit(node, &made, &outcome), CONTROL_OK);
	cr_expect_eq(ask(node, COMMAND_READ, &made.draft.id).result, CONTROL_ERASED, "nor does it come back");
	cr_expect_eq(cores_count(node, node, MEASURE_RECEIVED), 1);
}

/* All that the node answers to a draft, kept or only checked. */
static size_t answer_to(struct cores_node *node, const struct made *made, bool check_only, uint8_t ret_bytes[1024]) {
	uint8_t buf[4096];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_submit(&w, 7, check_only, 1);
	control_write_draft(&w, &made->draft);
	(void)cores_ask(node, writer_span(&w));
	cr_assert_leq(node->answer_len, 1024);
	memcpy(ret_bytes, node->answer, node->answer_len);
	return node->answer_len;
}

Test(sealed, nobody_learns_who_brought_a_complaint_by_trying_names, .timeout = 60) {
	static const struct private_part other = { .name = { (const uint8_t *)"Sen", 3 } };
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint64_t outcome;
	struct made made;

	make(&made, LEGAL_COMPLAINT, &hoa, false);
	cr_assert_eq(submit(node, &made, &outcome), CONTROL_OK);
	for (unsigned check_only = 0; check_only < 2; check_only++) {
		uint8_t right[1024], wrong[1024];
		size_t right_len, wrong_len;

		make(&made, LEGAL_COMPLAINT, &hoa, false);
		right_len = answer_to(node, &made, check_only, right);
		make(&made, LEGAL_COMPLAINT, &other, false);
		wrong_len = answer_to(node, &made, check_only, wrong);
		cr_assert_eq(right_len, wrong_len);
		cr_expect_arr_eq(right, wrong, right_len, "the right name is answered otherwise");
	}
	cr_expect_eq(submit(node, &made, &outcome), CONTROL_OK);
	cr_expect_eq(outcome, OUTCOME_HELD);
}
