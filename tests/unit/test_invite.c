/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/cores.h"

#include "node/core_internal.h"
#include "proto/invite.h"
#include "store/invites.h"

static const struct office wanted = {
	.code = 9999, .code_digits = 5, .level = { (const uint8_t *)"commune", 7 },
	.name = { (const uint8_t *)"Ninh Xá", 8 },
};

static struct invite some_invite(void) {
	struct invite invite = { .office = { { 7 } }, .code = 9163, .code_digits = 5,
		.level = span_str("commune"), .name = span_str("Phường Vũ Ninh"), .parent = { { 8 } },
		.address = span_str("tcp://10.1.2.3:7250"), .expires_ms = 1717200000000 };

	memset(invite.parent_curve_key, 3, sizeof(invite.parent_curve_key));
	memset(invite.token, 4, sizeof(invite.token));
	return invite;
}

Test(invite, a_text_is_read_as_it_was_written_also_with_line_breaks_and_words_around) {
	const struct invite want = some_invite();
	char text[INVITE_TEXT_MAX], broken[INVITE_TEXT_MAX + 128];
	uint8_t buf[INVITE_TEXT_MAX];
	struct invite got;

	cr_assert_eq(invite_write(&want, text), 0);
	cr_expect_leq(strlen(text), 280, "short enough to paste: %zu", strlen(text));
	snprintf(broken, sizeof(broken), "Mời anh dùng lienthong-xyz, tức là: \"%.100s\r\n  %s\n hoac goi so 0123.", text,
		text + 100);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(invite_read(span_str(i ? broken : text), buf, &got), 0);
		cr_expect(id_eq(&got.office, &want.office));
		cr_expect_eq(got.code, 9163);
		cr_expect(span_eq(got.level, want.level));
		cr_expect(span_eq(got.name, want.name));
		cr_expect(span_eq(got.address, want.address));
		cr_expect(id_eq(&got.parent, &want.parent));
		cr_expect_arr_eq(got.parent_curve_key, want.parent_curve_key, OFFICE_CURVE_LEN);
		cr_expect_arr_eq(got.token, want.token, INVITE_TOKEN_LEN);
		cr_expect_eq(got.expires_ms, want.expires_ms);
	}
}

Test(invite, a_text_with_a_letter_wrong_or_missing_is_known_as_such) {
	const struct invite want = some_invite();
	char text[INVITE_TEXT_MAX];
	uint8_t buf[INVITE_TEXT_MAX];
	struct invite got;

	cr_assert_eq(invite_write(&want, text), 0);
	for (size_t len = 0; len < strlen(text); len++)
		cr_expect_eq(invite_read((struct span){ (uint8_t *)text, len }, buf, &got), INVITE_MALFORMED);
	for (size_t i = 0; i < strlen(text); i++) {
		char kept = text[i];

		text[i] = kept == 'A' ? 'B' : 'A';
		cr_expect_eq(invite_read(span_str(text), buf, &got), INVITE_MALFORMED, "letter %zu", i);
		text[i] = kept;
	}
}

/* The parent's side */

static struct invite invite(struct cores_node *parent, bool automatic, uint8_t buf[INVITE_TEXT_MAX]) {
	struct invite invite;
	struct answer answer;
	uint8_t request[512];
	struct span text;
	struct writer w;

	writer_init(&w, request, sizeof(request));
	control_write_invite(&w, 1, &wanted, span_str("tcp://127.0.0.1:7400"), 7ull * 24 * 3600 * 1000,
		automatic);
	answer = cores_ask(parent, writer_span(&w));
	cr_assert_eq(answer.result, CONTROL_OK, "%d", (int)answer.result);
	text = read_str(&answer.values, 1, INVITE_TEXT_MAX);
	cr_assert_eq(invite_read(text, buf, &invite), 0);
	return invite;
}

/* The request of a computer whose keys are made of @seed. */
static struct span request_of(const struct invite *invite, uint8_t seed, uint8_t buf[4096]) {
	struct office office = { .id = invite->office, .code = invite->code,
		.code_digits = invite->code_digits, .level = invite->level, .name = invite->name,
		.state = OFFICE_ACTIVE, .valid_from_ms = CORES_START_MS };
	uint8_t bytes[SIGN_SEED_LEN] = { seed };
	struct signer *signer;
	struct writer w;

	cr_assert_eq(signer_new(bytes, &signer), 0);
	signer_public(signer, office.sign_key);
	memset(office.curve_key, seed, sizeof(office.curve_key));
	writer_init(&w, buf, 4096);
	cr_assert_eq(enrol_request_write(&office, signer, &w), 0);
	signer_free(signer);
	return writer_span(&w);
}

static struct message say(struct cores_node *parent, const struct id *office, struct span frame) {
	struct message message;

	parent->answer_len = 0;
	parent->cores->now_ms += 1000; /* more often it does not listen */
	cores_begin(parent);
	core_guest(parent->core, span_str("guest"), office, frame);
	cores_end(parent);
	cr_assert_gt(parent->answer_len, 0, "not answered");
	cr_assert_eq(message_decode((struct span){ parent->answer, parent->answer_len }, &message), 0);
	cr_assert_eq(message.type, MESSAGE_ENROL);
	return message;
}

static struct message ask(struct cores_node *parent, const struct id *office, struct span request) {
	static uint8_t frame[8192];
	struct writer w;

	writer_init(&w, frame, sizeof(frame));
	message_write_join(&w, request);
	return say(parent, office, writer_span(&w));
}

static uint64_t decide(struct cores_node *parent, enum command command, const struct id *office) {
	uint8_t buf[64];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_decision(&w, 2, command, office);
	return cores_ask(parent, writer_span(&w)).result;
}

Test(invite, who_was_invited_is_enrolled_when_a_person_says_so, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *parent = &cores->nodes[0];
	uint8_t text[INVITE_TEXT_MAX], buf[4096], other[4096], key[OFFICE_CURVE_LEN];
	struct invite by = invite(parent, false, text);
	struct enrol_answer answer;
	struct message message;
	struct span request = request_of(&by, 77, buf);

	cr_assert_eq(curve_public(by.token, key), 0);
	cr_assert(core_guest_by_curve(parent->core, key), "whoever has the token may connect");
	cr_expect(id_eq(core_guest_by_curve(parent->core, key), &by.office));
	cr_expect_null(core_guest_by_curve(parent->core, by.token));
	cr_expect_null(core_child_by_curve(parent->core, key), "but as a guest only");
	cr_expect_eq(decide(parent, COMMAND_ACCEPT, &by.office), CONTROL_NOT_ASKED);

	cr_expect_eq(ask(parent, &by.office, request).outcome, ENROL_OUTCOME_WAITING);
	cr_expect_eq(ask(parent, &by.office, request_of(&by, 78, other)).outcome, ENROL_OUTCOME_USED,
		"another computer with the same text");
	cores_down(parent);
	cores_up(parent); /* who waits is not forgotten */
	cr_expect_eq(ask(parent, &by.office, request).outcome, ENROL_OUTCOME_WAITING);
	cr_expect_eq(decide(parent, COMMAND_ACCEPT, &by.office), CONTROL_OK);
	cr_expect_eq(decide(parent, COMMAND_ACCEPT, &by.office), CONTROL_NOT_ASKED);
	for (unsigned again = 0; again < 2; again++) { /* an answer may be lost on its way */
		message = ask(parent, &by.office, request);
		cr_expect_eq(message.outcome, ENROL_OUTCOME_ENROLLED);
		cr_assert_eq(enrol_answer_read(message.file, &answer), 0);
		cr_expect_eq(answer.n_chain, 2);
		cr_expect(id_eq(&answer.chain[1].office.id, &by.office));
		cr_expect(span_eq(answer.address, span_str("tcp://127.0.0.1:7400")));
	}
	memset(key, 77, sizeof(key));
	cr_expect_not_null(core_child_by_curve(parent->core, key));
	cr_expect_eq(ask(parent, &by.office, request_of(&by, 78, other)).outcome, ENROL_OUTCOME_USED);
}

static size_t count_refused(struct cores_node *node, enum refusal reason) {
	struct control_status status;
	struct answer answer;
	uint8_t buf[16];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_status(&w, 3);
	answer = cores_ask(node, writer_span(&w));
	cr_assert_eq(control_status_read(&answer, &status), 0);
	return status.refusals[reason];
}

Test(invite, what_others_try_with_it_is_said_and_counted_and_costs_little, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *parent = &cores->nodes[0];
	uint8_t text[INVITE_TEXT_MAX], buf[4096], frame[4096];
	struct invite by = invite(parent, false, text);
	struct span request = request_of(&by, 77, buf);
	struct writer w;

	cr_expect_eq(ask(parent, &by.office, request).outcome, ENROL_OUTCOME_WAITING);
	cr_expect_eq(parent->n_misused, 0);
	cr_expect_eq(ask(parent, &by.office, request_of(&by, 78, buf)).outcome, ENROL_OUTCOME_USED);
	cr_expect_eq(parent->n_misused, 1);
	cr_expect_eq(count_refused(parent, REFUSAL_INVITATION), 1);

	writer_init(&w, frame, sizeof(frame));
	message_write_join(&w, request);
	parent->answer_len = 0;
	cores->now_ms += 999;
	cores_begin(parent);
	for (unsigned i = 0; i < 100; i++)
		core_guest(parent->core, span_str("guest"), &by.office, writer_span(&w));
	cores_end(parent);
	cr_expect_eq(parent->answer_len, 0, "not looked at within a second of the last");
	cr_expect_eq(count_refused(parent, REFUSAL_INVITATION), 101);
	cr_expect_eq(parent->n_misused, 1);
}

static bool may_connect(struct cores_node *parent, const struct invite *invite) {
	uint8_t key[OFFICE_CURVE_LEN];

	cr_assert_eq(curve_public(invite->token, key), 0);
	cores_begin(parent);
	cores_end(parent);
	return core_guest_by_curve(parent->core, key);
}

Test(invite, a_token_is_of_no_use_for_long, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *parent = &cores->nodes[0];
	const uint64_t day_ms = 24 * 3600 * 1000;
	uint8_t text[3][INVITE_TEXT_MAX], buf[4096];
	struct invite open = invite(parent, false, text[0]), refused, accepted;

	cores->now_ms += 7 * day_ms;
	cr_expect(may_connect(parent, &open), "to hear that it has expired");
	cores->now_ms += day_ms;
	cr_expect_not(may_connect(parent, &open));

	refused = invite(parent, false, text[1]);
	cr_expect_eq(ask(parent, &refused.office, request_of(&refused, 77, buf)).outcome, ENROL_OUTCOME_WAITING);
	cr_expect_eq(decide(parent, COMMAND_DECLINE, &refused.office), CONTROL_OK);
	cr_expect(may_connect(parent, &refused));
	accepted = invite(parent, true, text[2]);
	cr_expect_eq(ask(parent, &accepted.office, request_of(&accepted, 78, buf)).outcome, ENROL_OUTCOME_ENROLLED);
	cores->now_ms += day_ms;
	cr_expect_not(may_connect(parent, &refused));
	cr_expect(may_connect(parent, &accepted), "for the answer");
	cores->now_ms += 7 * day_ms;
	cr_expect_not(may_connect(parent, &accepted));
}

Test(invite, an_automatic_one_accepts_the_first_and_no_other, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *parent = &cores->nodes[0];
	uint8_t text[INVITE_TEXT_MAX], buf[4096];
	struct invite by = invite(parent, true, text);

	cr_expect_eq(ask(parent, &by.office, request_of(&by, 77, buf)).outcome, ENROL_OUTCOME_ENROLLED);
	cr_expect_eq(ask(parent, &by.office, request_of(&by, 78, buf)).outcome, ENROL_OUTCOME_USED);
}

Test(invite, what_is_late_refused_or_for_another_office_is_said_so, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *parent = &cores->nodes[0];
	uint8_t text[INVITE_TEXT_MAX], buf[4096];
	struct invite by = invite(parent, false, text), wrong = by;

	wrong.name = span_str("Phường khác");
	cr_expect_eq(ask(parent, &by.office, request_of(&wrong, 77, buf)).outcome, ENROL_OUTCOME_NOT_INVITED);
	wrong = by;
	wrong.office.b[15] ^= 1;
	cr_expect_eq(ask(parent, &by.office, request_of(&wrong, 77, buf)).outcome, ENROL_OUTCOME_NOT_INVITED);
	cr_expect_eq(ask(parent, &by.office, span_str("what?")).outcome, ENROL_OUTCOME_NOT_INVITED);
	cr_expect_eq(ask(parent, &by.office, request_of(&by, 77, buf)).outcome, ENROL_OUTCOME_WAITING,
		"and the right one is still welcome");
	cr_expect_eq(decide(parent, COMMAND_DECLINE, &by.office), CONTROL_OK);
	cr_expect_eq(ask(parent, &by.office, request_of(&by, 77, buf)).outcome, ENROL_OUTCOME_REFUSED);

	by = invite(parent, true, text);
	cr_expect_eq(decide(parent, COMMAND_DECLINE, &by.office), CONTROL_OK, "taken back before anybody used it");
	cr_expect_eq(ask(parent, &by.office, request_of(&by, 77, buf)).outcome, ENROL_OUTCOME_REFUSED);
	cr_expect_eq(decide(parent, COMMAND_DECLINE, &by.office), CONTROL_NOT_ASKED);

	by = invite(parent, false, text);
	cores->now_ms += 7ull * 24 * 3600 * 1000;
	cr_expect_eq(ask(parent, &by.office, request_of(&by, 77, buf)).outcome, ENROL_OUTCOME_EXPIRED);
}

Test(invite, the_keys_and_the_code_of_the_office_itself_are_taken, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *parent = &cores->nodes[0];
	uint8_t text[INVITE_TEXT_MAX], buf[4096];
	struct invite by = invite(parent, true, text);
	struct office own = *core_own(parent->core);
	struct writer w;

	cr_expect_eq(ask(parent, &by.office, request_of(&by, 1, buf)).outcome, ENROL_OUTCOME_WAITING,
		"with the keys of the parent nobody is enrolled");
	cr_expect_eq(decide(parent, COMMAND_ACCEPT, &by.office), CONTROL_TAKEN);
	writer_init(&w, buf, sizeof(buf));
	control_write_invite(&w, 1, &own, span_str("tcp://127.0.0.1:7400"), 1000, false);
	cr_expect_eq(cores_ask(parent, writer_span(&w)).result, CONTROL_TAKEN);
}

Test(invite, who_asks_where_there_is_no_room_is_told_to_ask_again, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *parent = &cores->nodes[0];
	uint8_t text[INVITE_TEXT_MAX], buf[4096];
	struct invite by = invite(parent, false, text);
	struct span request = request_of(&by, 77, buf);

	parent->core->full_until_ms = UINT64_MAX;
	cr_expect_eq(ask(parent, &by.office, request).outcome, ENROL_OUTCOME_LATER);
	parent->core->full_until_ms = 0;
	parent->core->barred = CONTROL_RESTORING;
	cr_expect_eq(ask(parent, &by.office, request).outcome, ENROL_OUTCOME_LATER, "nothing is written in a store put back");
	parent->core->barred = 0;
	cr_expect_eq(ask(parent, &by.office, request).outcome, ENROL_OUTCOME_WAITING);
}

/* Joins @node under so many levels that none fits below it. */
static void join_deep(struct cores_node *node) {
	static uint8_t file[ENROL_FILE_MAX], request[ENROL_FILE_MAX + 64];
	struct enrol_answer answer = { .address = span_str("tcp://127.0.0.1:7400"), .n_chain = ENROL_CHAIN_MAX };
	struct signer *signer;
	struct writer w;

	for (size_t i = 0; i < answer.n_chain; i++) {
		uint8_t seed[SIGN_SEED_LEN] = { (uint8_t)(100 + i) };
		struct office *office = &answer.chain[i].office;

		*office = *core_own(node->core);
		if (i + 1 < answer.n_chain) {
			office->id.b[14] = (uint8_t)(i + 1);
			cr_assert_eq(signer_new(seed, &signer), 0);
			signer_public(signer, office->sign_key);
			if (i + 2 < answer.n_chain)
				signer_free(signer);
		}
		office->parent = i ? answer.chain[i - 1].office.id : (struct id){ 0 };
	}
	writer_init(&w, file, sizeof(file));
	cr_assert_eq(enrol_answer_write(&answer, signer, &w), 0);
	signer_free(signer);
	answer.address = writer_span(&w);
	writer_init(&w, request, sizeof(request));
	control_write_join(&w, 4, answer.address);
	cr_assert_eq(cores_ask(node, writer_span(&w)).result, CONTROL_OK);
}

Test(invite, nobody_is_enrolled_below_the_last_level, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint8_t text[INVITE_TEXT_MAX], buf[4096], command[8192];
	struct invite by = invite(node, true, text);
	struct span request = request_of(&by, 77, buf);
	struct writer w;

	join_deep(node);
	cr_expect_eq(ask(node, &by.office, request).outcome, ENROL_OUTCOME_WAITING);
	cr_expect_eq(decide(node, COMMAND_ACCEPT, &by.office), CONTROL_TOO_DEEP);
	writer_init(&w, command, sizeof(command));
	control_write_add_office(&w, 1, request, span_str("tcp://127.0.0.1:7400"));
	cr_expect_eq(cores_ask(node, writer_span(&w)).result, CONTROL_TOO_DEEP);
	writer_init(&w, command, sizeof(command));
	control_write_invite(&w, 1, &wanted, span_str("tcp://127.0.0.1:7400"), 1000, false);
	cr_expect_eq(cores_ask(node, writer_span(&w)).result, CONTROL_TOO_DEEP);
}

Test(invite, a_guest_can_say_nothing_else, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *parent = &cores->nodes[0];
	uint8_t text[INVITE_TEXT_MAX], frame[256];
	struct invite by = invite(parent, true, text);
	struct writer w;

	writer_init(&w, frame, sizeof(frame));
	message_write_hello(&w, &(struct hello){ MESSAGE_VERSION, by.office, 1, 2, span_str("x"), false });
	parent->answer_len = 0;
	cores_begin(parent);
	core_guest(parent->core, span_str("guest"), &by.office, writer_span(&w));
	core_guest(parent->core, span_str("guest"), &by.office, span_str("garbage"));
	core_message(parent->core, &by.office, writer_span(&w));
	cores_end(parent);
	cr_expect_eq(parent->answer_len, 0);
	cr_expect_eq(cores->n_sent, 0);
}
