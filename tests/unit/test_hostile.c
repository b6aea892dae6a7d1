/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * hostile - what an enrolled office, a full disk or bad luck can do to a node: nothing that lasts
 *
 * The offices here have good keys; what they write with them is not what a node would write.
 */
#include "tests/cores.h"

#include "node/core_internal.h"
#include "proto/kinds/escalation.h"
#include "proto/kinds/meeting.h"
#include "proto/kinds/office.h"

/* Writes a record into @node's own oplog past everything that intake would check. */
static void write_as(struct cores_node *node, uint8_t kind, enum lane lane, const struct writer *body,
	const struct id *audience) {
	struct record rec = { .kind = kind, .organisation = ORGANISATION_FRONT,
		.time_ms = node->cores->now_ms, .body = writer_span(body) };
	uint8_t random[10];

	cr_assert_eq(cores_random(node, random, sizeof(random)), 0);
	record_make_id(node->cores->now_ms, random, &rec.id);
	cores_begin(node);
	cr_assert_eq(core_write(node->core, lane, &rec, audience, audience ? 1 : 0), 0);
	cores_end(node);
}

static void write_office(struct cores_node *node, const struct office *office) {
	uint8_t buf[1024];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	office_encode(office, &w);
	write_as(node, KIND_OFFICE, LANE_URGENT, &w, NULL);
}

/* Asks @parent to enrol an office of its own making; returns what it answers. */
static uint64_t enrol(struct cores_node *parent, uint8_t n, uint32_t code) {
	uint8_t seed[SIGN_SEED_LEN] = { n }, file[4096], command[8192];
	struct office office = cores_office(parent->cores, 0);
	struct signer *signer;
	struct writer f, w;

	cr_assert_eq(signer_new(seed, &signer), 0);
	memset(office.id.b + 9, n, 7);
	memset(office.curve_key, n, sizeof(office.curve_key));
	signer_public(signer, office.sign_key);
	office.code = code;
	office.code_digits = 5;
	writer_init(&f, file, sizeof(file));
	cr_assert_eq(enrol_request_write(&office, signer, &f), 0);
	writer_init(&w, command, sizeof(command));
	control_write_add_office(&w, 1, writer_span(&f), span_str("tcp://127.0.0.1:7400"));
	signer_free(signer);
	return cores_ask(parent, writer_span(&w)).result;
}

/* The id of the petition that is kept for @draft. */
static struct id submit_one(struct cores_node *node, const struct draft *draft) {
	struct answer answer = cores_submit(node, draft, 1);
	struct id id;

	cr_assert_eq(answer.result, CONTROL_OK);
	read_array(&answer.values, 1, 1);
	read_array(&answer.values, 3, 3);
	(void)read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &id);
	return id;
}

static struct case_row case_of(struct cores_node *node, const struct id *petition) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct case_row row;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(cases_get(txn, petition, &row), 0);
	return row;
}

/* The register */

Test(hostile, an_office_without_an_id_is_nobody, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	struct office office = cores_office(cores, 1);

	office.id = (struct id){ { 0 } };
	office.parent = district->id;
	write_office(district, &office);
	cores_settle(cores);
	cr_expect_null(core_parent(province->core));
	cr_expect_eq(enrol(province, 77, 9999), CONTROL_OK);
}

Test(hostile, nobody_is_locked_out_by_who_claims_its_key_further_below, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	struct office office = cores_office(cores, 1);
	uint8_t key[OFFICE_CURVE_LEN];

	cr_assert_eq(enrol(province, 77, 9999), CONTROL_OK);
	cores_settle(cores);
	memset(key, 77, sizeof(key));
	cr_assert_not_null(core_child_by_curve(province->core, key));
	memset(office.id.b, 0, sizeof(office.id.b));
	office.id.b[0] = 1; /* sorts before the other */
	office.parent = district->id;
	memcpy(office.curve_key, key, sizeof(key));
	write_office(district, &office);
	cores_settle(cores);
	cr_assert_not_null(core_child_by_curve(province->core, key));
	cr_expect(id_eq(&core_child_by_curve(province->core, key)->parent, &province->id));
}

Test(hostile, a_code_or_key_is_given_to_one_office_only, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);

	cr_expect_eq(enrol(&cores->nodes[0], 77, 9999), CONTROL_OK);
	cr_expect_eq(enrol(&cores->nodes[0], 77, 9999), CONTROL_OK, "the same again is no other");
	cr_expect_eq(enrol(&cores->nodes[0], 78, 9999), CONTROL_TAKEN);
	cr_expect_eq(enrol(&cores->nodes[0], 78, 9998), CONTROL_OK);
}

Test(hostile, a_parent_cannot_take_away_an_offices_keys, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	struct office office = cores_office(cores, 1);

	office.parent = province->id;
	office.curve_key[0] ^= 1;
	write_office(province, &office);
	office.curve_key[0] ^= 1;
	office.sign_key[0] ^= 1;
	write_office(province, &office);
	cores_settle(cores);
	cr_expect_arr_eq(core_own(district->core)->curve_key, office.curve_key, OFFICE_CURVE_LEN);
	cr_expect_eq(enrol(district, 77, 9999), CONTROL_OK, "its signatures are still its own");
	cores_down(district);
	cores_up(district);
	cores_connect(cores, 1);
	cores_take_petitions(district, 0, 3);
	cores_settle(cores);
	cr_expect_eq(cores_count(province, district, MEASURE_RECEIVED), 3);
}

/* Cases */

Test(hostile, an_escalation_by_who_is_not_above_marks_nothing, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	uint8_t body[512], buf[256];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct escalation escalation = { .cause = CAUSE_OVERDUE, .rule = span_str("late"),
		.state = CASE_RECEIVED };
	struct writer w;

	escalation.petition = submit_one(district, &draft);
	cores_settle(cores);
	writer_init(&w, buf, sizeof(buf));
	escalation_encode(&escalation, &w);
	write_as(commune, KIND_ESCALATION, LANE_URGENT, &w, NULL);
	cores_settle(cores);
	cr_expect_not(case_of(district, &escalation.petition).overdue);
	cr_expect_not(case_of(district, &escalation.petition).escalated);
	write_as(&cores->nodes[0], KIND_ESCALATION, LANE_URGENT, &w, &district->id);
	cores_settle(cores);
	cr_expect(case_of(district, &escalation.petition).overdue, "its province may");
}

static struct answer hand_over(struct cores_node *node, const struct id *petition, const struct id *to) {
	const struct step step = { .petition = *petition, .action = ACTION_HANDED_OVER,
		.date_ms = CORES_START_MS + 1000, .office = *to };
	uint8_t body[256];
	struct draft draft = { .kind = KIND_STEP, .lane = LANE_NORMAL };
	struct writer w;

	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	draft.body = writer_span(&w);
	return cores_submit(node, &draft, 1);
}

Test(hostile, a_case_goes_no_further_up_than_its_petition_can_be_read, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct id petition = submit_one(commune, &draft);

	cr_expect_eq(hand_over(commune, &petition, &cores->nodes[0].id).result, CONTROL_NOT_ABOVE);
	cr_expect_eq(hand_over(commune, &petition, &district->id).result, CONTROL_OK);
	cores_settle(cores);
	cr_expect_eq(hand_over(district, &petition, &cores->nodes[0].id).result, CONTROL_NOT_ABOVE);
	cr_expect_eq(case_of(district, &petition).holder, district->core->reg.own->row.number);
}

Test(hostile, a_draft_that_no_record_can_hold_is_refused, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	const struct meeting meeting = { .type = MEETING_DIALOGUE, .date_ms = CORES_START_MS,
		.host = span_str("Chủ tịch UBND") };
	static const size_t tails[] = { 0, RECORD_BODY_MAX, RECORD_MAX, 20000 };

	for (size_t i = 0; i < N_ELEMENTS(tails); i++) {
		uint8_t body[32 * 1024] = { 0 }, copy[sizeof(body)];
		struct draft draft = { .kind = KIND_MEETING, .lane = LANE_NORMAL };
		struct writer w, v;

		writer_init(&w, body, sizeof(body));
		meeting_encode(&meeting, &w);
		writer_init(&v, copy, sizeof(copy));
		if (tails[i] > 0) { /* a field that only a newer version knows */
			static const uint8_t filler[20000];

			write_array(&v, MEETING_FIELDS + 1);
			write_raw(&v, (struct span){ body + 1, w.len - 1 });
			write_bin(&v, (struct span){ filler, tails[i] });
		} else {
			write_raw(&v, writer_span(&w));
		}
		draft.body = writer_span(&v);
		cr_expect_eq(cores_submit(&cores->nodes[0], &draft, 1).result,
			i == 0 ? CONTROL_OK : CONTROL_BAD_FIELD, "a tail of %zu bytes", tails[i]);
	}
}

Test(hostile, dates_that_a_reference_cannot_tell_apart_are_refused, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	static const struct {
		uint64_t received_ms;
		enum control_result want;
	} cases[] = {
		{ 946659600000 - 1, CONTROL_BAD_FIELD }, /* 31 December 1999 in Asia/Ho_Chi_Minh */
		{ 946659600000, CONTROL_OK },
		{ 4102419600000 - 1, CONTROL_OK },
		{ 4102419600000, CONTROL_BAD_FIELD }, /* 1 January 2100 */
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct petition petition = { .legal_kind = LEGAL_PETITION, .channel = CHANNEL_LETTER,
			.people = 1, .received_ms = cases[i].received_ms, .text = span_str("Đường hỏng") };
		struct draft draft = { .kind = KIND_PETITION, .lane = LANE_NORMAL };
		uint8_t body[256];
		struct writer w;

		writer_init(&w, body, sizeof(body));
		petition_encode(&petition, &w);
		draft.body = writer_span(&w);
		cr_expect_eq(cores_submit(&cores->nodes[0], &draft, 1).result, cases[i].want, "%zu", i);
	}
}

Test(hostile, nothing_is_done_before_it_was_asked, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint8_t body[512], buf[256];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct step step = { .action = ACTION_ACCEPTED };
	const uint64_t day_ms = 24 * 3600 * 1000;
	struct answer answer;
	struct writer w;

	step.petition = submit_one(node, &draft);
	for (int day = -1; day <= 0; day++) {
		step.date_ms = CORES_START_MS / day_ms * day_ms + (uint64_t)day * day_ms;
		writer_init(&w, buf, sizeof(buf));
		step_encode(&step, &w);
		draft = (struct draft){ .kind = KIND_STEP, .lane = LANE_NORMAL, .body = writer_span(&w) };
		answer = cores_submit(node, &draft, 1);
		cr_expect_eq(answer.result, day < 0 ? CONTROL_BAD_FIELD : CONTROL_OK);
		cr_expect(day == 0 || span_eq(answer.detail, span_str("date")));
	}
}

/* Links */

/* Sessions that begin again and again, until nothing more can come of it. */
static void many_sessions(struct cores *cores, size_t child) {
	for (unsigned i = 0; i < 4; i++) {
		cores->now_ms += 90000;
		cores_connect(cores, child);
		cores_settle(cores);
	}
}

Test(hostile, what_was_lost_with_a_session_is_sent_in_the_next, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];

	cores_down(province); /* and what is sent to it is lost: its oplog is to be the first of its lane */
	cores_take_petitions(district, 0, 5);
	cores_settle(cores);
	cores_up(province);
	many_sessions(cores, 1);
	cr_expect_eq(cores_count(province, district, MEASURE_RECEIVED), 5);
}

Test(hostile, a_parent_that_lost_an_oplog_gets_it_again, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	char command[3 * PATH_MAX];

	cores_down(province);
	snprintf(command, sizeof(command), "cp -r '%s' '%s.backup'", province->home.path,
		province->home.path);
	cr_assert_eq(system(command), 0);
	cores_up(province);
	cores_connect(cores, 1);
	cores_settle(cores);
	cores_take_petitions(district, 0, 5);
	cores_settle(cores);
	cr_assert_eq(cores_count(province, district, MEASURE_RECEIVED), 5);
	cores_down(province);
	snprintf(command, sizeof(command), "rm -r '%s' && mv '%s.backup' '%s'", province->home.path,
		province->home.path, province->home.path);
	cr_assert_eq(system(command), 0);
	cores_up(province);
	cr_assert_eq(cores_count(province, district, MEASURE_RECEIVED), 0);
	many_sessions(cores, 1);
	cr_expect_eq(cores_count(province, district, MEASURE_RECEIVED), 5);
}

static unsigned n_spoiled;

/* The first batch has another signature; its leaves and root are right. */
static void spoil_first_signature(struct cores *cores, struct cores_frame *frame) {
	struct message message;

	if (n_spoiled > 0 || !id_eq(&frame->from, &cores->nodes[2].id) ||
		message_decode((struct span){ frame->data, frame->len }, &message) ||
		message.type != MESSAGE_BATCH || message.batch.n < 20)
		return;
	for (size_t i = 0; i + SIGN_SIGNATURE_LEN <= frame->len; i++)
		if (memcmp(frame->data + i, message.batch.head.signature, SIGN_SIGNATURE_LEN) == 0) {
			frame->data[i + 5] ^= 1;
			n_spoiled++;
			return;
		}
}

/* Every head that @node keeps of @of's oplog is signed by it. */
static void expect_heads_good(struct cores_node *node, const struct cores_node *of) {
	const struct register_entry *origin = register_find(&node->core->reg, &of->id);
	const struct oplog_id id = { of->id, 1, LANE_NORMAL };
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct oplog oplog;
	struct head head = { 0 };
	unsigned n = 0;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(oplog_load(txn, &id, &oplog), 0);
	for (; oplog_next_head(txn, &oplog, head.size, &head) == 0; n++)
		cr_expect_eq(head_verify(origin->key, &id, &head), 0, "the head at %lu", head.size);
	cr_expect_gt(n, 2);
}

Test(hostile, what_cannot_be_passed_on_is_not_acknowledged, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *commune = &cores->nodes[2];

	commune->cut = true;
	cores_take_petitions(commune, 0, 800); /* several batches in one turn of the district */
	cores->on_frame = spoil_first_signature;
	many_sessions(cores, 2);
	cr_assert_eq(n_spoiled, 1);
	cores->on_frame = NULL;
	many_sessions(cores, 2);
	cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 800);
	expect_heads_good(&cores->nodes[1], commune);
	expect_heads_good(province, commune);
}

static unsigned n_refused;

static void count_refusals(struct cores *cores, struct cores_frame *frame) {
	struct message message;

	if (message_decode((struct span){ frame->data, frame->len }, &message) == 0 &&
		message.type == MESSAGE_REFUSE)
		n_refused++;
}

Test(hostile, every_refusal_of_a_turn_is_told, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0];

	cores->on_frame = count_refusals;
	cores_begin(province);
	for (unsigned i = 0; i < 100; i++)
		core_message(province->core, &cores->nodes[1].id, span_str("what is this"));
	cores_end(province);
	cores_settle(cores);
	cr_expect_eq(n_refused, 100);
}

Test(hostile, every_oplog_that_is_refused_comes_later, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	const unsigned n_lives = 50;

	district->cut = true;
	for (unsigned epoch = 2; epoch < 2 + n_lives; epoch++) {
		struct txn *txn;

		cores_down(district);
		district->store = scratch_open(&district->home);
		txn = scratch_txn(district->store);
		cr_assert_eq(offices_set_own(txn, &district->id, epoch), 0);
		cr_assert_eq(store_commit(txn), 0);
		district->store = store_close(district->store);
		cores_up(district);
		cores_take_petitions(district, epoch, 1);
	}
	cores->on_frame = count_refusals;
	province->core->full_until_ms = UINT64_MAX;
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_expect_geq(n_refused, n_lives);
	province->core->full_until_ms = 0;
	for (unsigned i = 0; i < 10; i++) { /* the session goes on */
		cores->now_ms += 11000;
		cores_settle(cores);
	}
	cr_expect_eq(cores_count(province, district, MEASURE_RECEIVED), n_lives);
}

/* Room */

/* Petitions with long texts in one request; what the node answers. */
static uint64_t submit_long(struct cores_node *node, size_t n) {
	static uint8_t bodies[200][PETITION_TEXT_MAX + 256];
	static char text[PETITION_TEXT_MAX + 1];
	static uint8_t buf[4 << 20];
	struct writer w;

	cr_assert_leq(n, N_ELEMENTS(bodies));
	memset(text, 'a', PETITION_TEXT_MAX);
	writer_init(&w, buf, sizeof(buf));
	control_write_submit(&w, 7, false, n);
	for (size_t i = 0; i < n; i++) {
		const struct petition petition = { .legal_kind = LEGAL_PETITION,
			.channel = CHANNEL_LETTER, .people = 1, .received_ms = CORES_START_MS,
			.text = { (const uint8_t *)text, PETITION_TEXT_MAX } };
		struct draft draft = { .kind = KIND_PETITION, .lane = LANE_NORMAL };
		struct writer body;

		writer_init(&body, bodies[i], sizeof(bodies[i]));
		petition_encode(&petition, &body);
		draft.body = writer_span(&body);
		control_write_draft(&w, &draft);
	}
	cr_assert(writer_ok(&w));
	return cores_ask(node, writer_span(&w)).result;
}

Test(hostile, a_request_for_which_there_is_no_room_is_refused_and_the_node_goes_on, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	uint64_t kept = 0;
	uint64_t result;

	district->cut = true;
	cores_down(district);
	district->store_size = 8 << 20;
	cores_up(district);
	while ((result = submit_long(district, 100)) == CONTROL_OK)
		kept += 100;
	cr_expect_eq(result, CONTROL_FULL);
	cr_expect_gt(kept, 100);
	cr_expect_gt(core_wakeup_ms(district->core), cores->now_ms - CORES_START_MS + 1000,
		"it waits, and does not spin");
	cr_expect_eq(submit_long(district, 1), CONTROL_FULL, "for a while nothing is taken in");
	cr_expect_eq(cores_count(district, district, MEASURE_RECEIVED), kept);
	cores->now_ms += 11000;
	cr_expect_eq(submit_long(district, 1), CONTROL_OK, "what there is room for is taken in again");
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_expect_eq(cores_count(province, district, MEASURE_RECEIVED), kept + 1, "and passed on");
}

Test(hostile, a_parent_without_room_refuses_and_catches_up_later, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];

	district->cut = true;
	for (unsigned i = 0; i < 8; i++)
		cr_assert_eq(submit_long(district, 100), CONTROL_OK);
	cores_down(province);
	province->store_size = 4 << 20;
	cores_up(province);
	many_sessions(cores, 1);
	cr_expect_lt(cores_count(province, district, MEASURE_RECEIVED), 800);
	cores_down(province);
	province->store_size = 0;
	cores_up(province);
	many_sessions(cores, 1);
	cr_expect_eq(cores_count(province, district, MEASURE_RECEIVED), 800);
}
