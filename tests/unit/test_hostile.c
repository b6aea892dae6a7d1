/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * hostile - what an enrolled office, a full disk or bad luck can do to a node: nothing that lasts
 *
 * The offices here have good keys; what they write with them is not what a node would write.
 */
#include "tests/cores.h"

#include <errno.h>

#include "node/core_internal.h"
#include "proto/kinds/escalation.h"
#include "proto/kinds/meeting.h"
#include "proto/kinds/office.h"
#include "proto/kinds/private.h"
#include "store/private.h"

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

/* The command that enrols an office made up from @n, in @buf. */
static struct span enrol_command(struct cores_node *parent, uint8_t n, uint32_t code, uint8_t buf[8192]) {
	uint8_t seed[SIGN_SEED_LEN] = { n }, file[4096];
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
	writer_init(&w, buf, 8192);
	control_write_add_office(&w, 1, writer_span(&f), span_str("tcp://127.0.0.1:7400"));
	signer_free(signer);
	return writer_span(&w);
}

/* What @parent answers to it. */
static uint64_t enrol(struct cores_node *parent, uint8_t n, uint32_t code) {
	uint8_t buf[8192];

	return cores_ask(parent, enrol_command(parent, n, code, buf)).result;
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
	struct case_row row;

	cr_expect_eq(hand_over(commune, &petition, &cores->nodes[0].id).result, CONTROL_NOT_ABOVE);
	cr_expect_eq(hand_over(commune, &petition, &district->id).result, CONTROL_OK);
	cores_settle(cores);
	cr_expect_eq(hand_over(district, &petition, &cores->nodes[0].id).result, CONTROL_NOT_ABOVE);
	row = case_of(district, &petition);
	cr_expect(id_eq(&row.handed_to, &district->id));
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
		cr_expect_eq(head_verify(origin->keys[0], &id, &head), 0, "the head at %lu", head.size);
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

/* A batch of leaves that are all the same, from @f's size on, as @from would send its next one to @to. */
static void send_batch(struct cores_node *to, struct cores_node *from, const struct oplog_id *oplog,
	struct frontier *f, size_t n, struct span leaf_bytes) {
	static uint8_t plain[1 << 18], frame[MESSAGE_MAX];
	struct batch batch = { .oplog = *oplog, .first = f->size, .n = n };
	struct writer w;

	for (size_t i = 0; i < to->core->n_links; i++)
		if (id_eq(&to->core->links[i]->neighbour, &from->id))
			batch.sequence = to->core->links[i]->in_sequence;
	plain[0] = 0; /* not compressed */
	writer_init(&w, plain + 1, sizeof(plain) - 1);
	write_array(&w, n);
	for (size_t i = 0; i < n; i++) {
		const struct leaf leaf = { .bytes = leaf_bytes };
		struct hash hash;

		leaf_write(&w, &leaf);
		leaf_hash(&leaf, &hash);
		frontier_append(f, &hash);
	}
	cr_assert(writer_ok(&w));
	batch.payload = (struct span){ plain, w.len + 1 };
	batch.head.size = f->size;
	frontier_root(f, &batch.head.root);
	cr_assert_eq(head_sign(from->keys.signer, oplog, &batch.head), 0);
	writer_init(&w, frame, sizeof(frame));
	message_write_batch(&w, &batch);
	cr_assert(writer_ok(&w));
	core_message(to->core, &from->id, writer_span(&w));
}

/* Between its hash and itself such a leaf grows: what fits a batch in one form may not in the other. */
Test(hostile, leaves_shorter_than_their_hash_are_passed_on, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	struct cores_node *commune = &cores->nodes[2];
	const struct oplog_id id = { commune->id, 1, LANE_BULK };
	struct frontier f;
	uint64_t withheld;

	frontier_init(&f);
	district->cut = true;
	cores_down(district);
	cores_up(district);
	cores_connect(cores, 2);
	cores_settle(cores);
	for (unsigned i = 0; i < 6; i++) {
		cores_begin(district);
		send_batch(district, commune, &id, &f, 1000, span_str("x"));
		cores_end(district);
	}
	cr_assert_eq(cores_leaves(district, commune, LANE_BULK, &withheld), 6000);
	district->cut = false;
	many_sessions(cores, 1);
	cr_expect_eq(cores_leaves(province, commune, LANE_BULK, &withheld), 6000);
}

/* In one turn: an oplog of our own begins, then another, then a new link is offered all there are. */
Test(hostile, an_office_is_enrolled_while_oplogs_begin, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	const struct oplog_id bulk = { district->id, 1, LANE_BULK };
	const struct oplog_id strange = { { { 7, 7, 7 } }, 1, LANE_NORMAL };
	struct frontier f, g;
	uint8_t body[512], buf[2048], command[8192];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct writer w;
	uint64_t withheld;

	frontier_init(&f);
	frontier_init(&g);
	writer_init(&w, buf, sizeof(buf));
	control_write_submit(&w, 7, false, 1);
	control_write_draft(&w, &draft);
	cores_begin(province);
	core_request(province->core, span_str("a"), writer_span(&w));
	send_batch(province, district, &bulk, &f, 1, span_str("hello"));
	send_batch(province, district, &strange, &g, 1, span_str("hello"));
	core_request(province->core, span_str("b"), enrol_command(province, 77, 9999, command));
	cores_end(province);
	cr_expect_eq(province->core->n_links, 2);
	cr_expect_eq(cores_leaves(province, district, LANE_BULK, &withheld), 1);
	cr_expect_eq(cores_count(province, province, MEASURE_RECEIVED), 1);
}

Test(hostile, what_an_office_above_sent_down_is_not_escalated_time_and_again, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	const struct petition petition = { .legal_kind = LEGAL_PETITION, .channel = CHANNEL_LETTER,
		.people = 1000, .received_ms = CORES_START_MS, .text = span_str("x") };
	uint8_t buf[1024];
	struct writer w;
	uint64_t withheld, n;

	district->config.rules[0] = (struct rule){ .cause = CAUSE_OVERDUE, .scope = RULE_SEEN,
		.state = CASE_RECEIVED, .days = 1, .lane = LANE_URGENT };
	district->config.rules[1] = (struct rule){ .cause = CAUSE_PEOPLE, .scope = RULE_SEEN,
		.at_least = 10, .lane = LANE_URGENT };
	district->config.n_rules = 2;
	for (unsigned i = 0; i < 3; i++) {
		writer_init(&w, buf, sizeof(buf));
		petition_encode(&petition, &w);
		write_as(province, KIND_PETITION, LANE_NORMAL, &w, &district->id);
	}
	cores_settle(cores);
	for (unsigned i = 0; i < 5; i++) {
		cores->now_ms += 86400000ull;
		cores_begin(district);
		cores_end(district);
	}
	n = cores_leaves(district, province, LANE_NORMAL, &withheld);
	cr_assert_eq(n - withheld, 3, "%lu of %lu came down", n - withheld, n);
	cr_expect_eq(cores_leaves(district, district, LANE_URGENT, &withheld), 0);
}

/* A reader holds its pages (somebody looks at the log), and the rest of the room is used up. */
Test(hostile, a_link_for_which_there_is_no_room_is_not_greeted_without_a_pause, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[1];
	struct txn *reader = NULL, *txn;
	uint8_t value[2000] = { 0 };
	uint64_t sent;
	int r = 0;

	district->cut = true;
	cores_down(district);
	district->store_size = 2 << 20;
	cores_up(district);
	cores_take_petitions(district, 0, 20);
	cr_assert_eq(store_begin_read(district->store, &reader), 0);
	for (unsigned n = 0; r == 0; n++) {
		char name[32];

		snprintf(name, sizeof(name), "fill-%u", n);
		cr_assert_eq(store_begin_write(district->store, &txn), 0);
		r = meta_put(txn, name, (struct span){ value, sizeof(value) });
		if (r == 0)
			r = store_commit(txn);
		else
			store_abort(txn);
	}
	cr_assert_eq(r, -ENOSPC);
	district->cut = false;
	cores_connect(cores, 1);
	sent = cores->n_sent;
	for (unsigned i = 0; i < 2000; i++) {
		struct cores_frame frames[CORES_FRAMES];
		size_t n = cores->n_frames;

		memcpy(frames, cores->frames, n * sizeof(*frames));
		cores->n_frames = 0;
		cores->now_ms += 1;
		for (size_t at = 0; at < 2; at++) {
			cores_begin(&cores->nodes[at]);
			for (size_t k = 0; k < n; k++)
				if (id_eq(&frames[k].to, &cores->nodes[at].id))
					core_message(cores->nodes[at].core, &frames[k].from,
						(struct span){ frames[k].data, frames[k].len });
			cores_end(&cores->nodes[at]);
		}
		for (size_t k = 0; k < n; k++)
			free(frames[k].data);
	}
	cr_expect_lt(cores->n_sent - sent, 40, "%lu frames in two seconds", cores->n_sent - sent);
	store_abort(reader);
}

static struct span part_of(const char *name, uint8_t *buf, size_t size) {
	struct writer w;

	writer_init(&w, buf, size);
	private_encode(&(struct private_part){ .name = span_str(name) }, &w);
	cr_assert(writer_ok(&w));
	return writer_span(&w);
}

static uint64_t erase(struct cores_node *node, const struct id *petition) {
	uint8_t buf[256];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_private(&w, 9, COMMAND_ERASE, petition, span_str("lan"), span_str("x"));
	return cores_ask(node, writer_span(&w)).result;
}

/* Nobody should start a node from an old copy; if somebody does, it is no broken disk. */
Test(hostile, a_key_that_was_destroyed_is_not_sealed_with_by_an_older_store, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	char command[3 * PATH_MAX];
	uint8_t body[512], part[128];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct id id;

	draft.private = part_of("A", part, sizeof(part));
	cores_down(node);
	snprintf(command, sizeof(command), "cp -r '%s' '%s.backup'", node->home.path, node->home.path);
	cr_assert_eq(system(command), 0);
	cores_up(node);
	id = submit_one(node, &draft);
	cr_assert_eq(erase(node, &id), CONTROL_OK);
	cores_down(node);
	snprintf(command, sizeof(command), "rm -r '%s' && mv '%s.backup' '%s'", node->home.path,
		node->home.path, node->home.path);
	cr_assert_eq(system(command), 0);
	cores_up(node);
	cr_expect_eq(cores_submit(node, &draft, 1).result, CONTROL_OK);
}

Test(hostile, who_brought_a_petition_is_not_dropped_without_a_word, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint8_t body[512], part[128];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);

	draft.has_id = true;
	record_make_id(CORES_START_MS, (const uint8_t *)"0123456789", &draft.id);
	cr_assert_eq(cores_submit(node, &draft, 1).result, CONTROL_OK);
	draft.private = part_of("A", part, sizeof(part));
	cr_expect_eq(cores_submit(node, &draft, 1).result, CONTROL_CONFLICT, "none was kept");

	record_make_id(CORES_START_MS, (const uint8_t *)"9876543210", &draft.id);
	cr_assert_eq(cores_submit(node, &draft, 1).result, CONTROL_OK);
	cr_expect_eq(cores_submit(node, &draft, 1).result, CONTROL_OK, "the same again");
	cr_assert_eq(erase(node, &draft.id), CONTROL_OK);
	cr_expect_eq(cores_submit(node, &draft, 1).result, CONTROL_OK, "what was erased stays so");
}

/* Whoever makes such a file signs it with a key that is in it. */
Test(hostile, an_answer_file_does_not_change_a_known_offices_keys, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[1];
	struct enrol_answer answer = { .address = span_str("tcp://127.0.0.1:666"), .n_chain = 2 };
	uint8_t seed[SIGN_SEED_LEN] = { 99 }, file[4096], command[8192], before[OFFICE_CURVE_LEN];
	struct signer *signer;
	struct writer f, w;

	cr_assert_eq(signer_new(seed, &signer), 0);
	memcpy(before, core_parent(district->core)->curve_key, sizeof(before));
	answer.chain[0].office = cores_office(cores, 0);
	signer_public(signer, answer.chain[0].office.sign_key);
	memset(answer.chain[0].office.curve_key, 0x66, sizeof(before));
	answer.chain[1].office = cores_office(cores, 1);
	answer.chain[1].office.parent = answer.chain[0].office.id;
	writer_init(&f, file, sizeof(file));
	cr_assert_eq(enrol_answer_write(&answer, signer, &f), 0);
	writer_init(&w, command, sizeof(command));
	control_write_join(&w, 2, writer_span(&f));
	cr_expect_eq(cores_ask(district, writer_span(&w)).result, CONTROL_ALREADY);
	cr_expect_arr_eq(core_parent(district->core)->curve_key, before, sizeof(before));
	signer_free(signer);
}

/* What is asked in a turn that is given up is answered too, and what it would have told is wiped. */
Test(hostile, a_turn_without_room_answers_everybody_and_keeps_no_name, .timeout = 60) {
	static const char name[] = "Nguyễn Thị Không Ai Biết Tên";
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint8_t body[512], part[128], buf[256];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct answer answer;
	struct writer w;
	struct id id;

	draft.private = part_of(name, part, sizeof(part));
	id = submit_one(node, &draft);
	writer_init(&w, buf, sizeof(buf));
	control_write_private(&w, 9, COMMAND_READ, &id, span_str("lan"), span_str("x"));
	cores_begin(node);
	core_request(node->core, span_str("a"), writer_span(&w));
	cr_assert_not_null(memmem(node->core->answers.data, node->core->answers.len, name, sizeof(name) - 1));
	core_request(node->core, span_str("b"), span_str("rubbish"));
	node->core->failed = -ENOSPC; /* as any later write of the turn would find */
	node->answer_len = 0;
	cores_end(node);
	/* its end: later answers lie over its beginning */
	cr_expect_null(memmem(node->core->answers.data, node->core->answers.cap, name + 16, sizeof(name) - 17));
	cr_assert_eq(control_answer_decode((struct span){ node->answer, node->answer_len }, &answer), 0);
	cr_expect_eq(answer.number, 0);
	cr_expect_eq(answer.result, CONTROL_BAD_REQUEST, "the last answer is to what nobody understood");
}

/* Writes a record with an id of its choice. */
static void write_id_as(struct cores_node *node, uint8_t kind, const struct id *id, struct span body) {
	const struct record rec = { .kind = kind, .organisation = ORGANISATION_FRONT,
		.time_ms = node->cores->now_ms, .body = body, .id = *id };

	cores_begin(node);
	cr_assert_eq(core_write(node->core, LANE_NORMAL, &rec, NULL, 0), 0);
	cores_end(node);
	cores_settle(node->cores);
}

/* As @node's own case has it now. */
static struct hash last_of(struct cores_node *node, const struct id *petition) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct case_row row;
	struct hash last;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(cases_get(txn, petition, &row), 0);
	cr_assert_eq(fold_last(txn, &row, &last), 0);
	return last;
}

static uint64_t submit_step(struct cores_node *node, const struct id *petition, uint8_t action) {
	const struct step step = { .petition = *petition, .action = action, .date_ms = CORES_START_MS + 1000,
		.office = action == ACTION_HANDED_OVER ? (node - 1)->id : (struct id){ { 0 } }, .text = span_str("...") };
	struct draft draft = { .kind = KIND_STEP, .lane = LANE_NORMAL };
	uint8_t body[256];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	draft.body = writer_span(&w);
	return cores_submit(node, &draft, 1).result;
}

static void forge_step(struct cores_node *node, const struct id *petition, uint32_t sequence, uint8_t action,
	const struct hash *follows, uint8_t n) {
	const struct step step = { .petition = *petition, .sequence = sequence, .action = action,
		.date_ms = node->cores->now_ms, .due_ms = action == ACTION_EXTENDED ? node->cores->now_ms + 1000 : 0,
		.office = action == ACTION_HANDED_OVER ? (node - 1)->id : (struct id){ { 0 } },
		.text = span_str("..."), .follows = *follows };
	const struct id id = { { 0, [6] = 0x70, [8] = 0x80, [15] = n } };
	uint8_t body[256];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	write_id_as(node, KIND_STEP, &id, writer_span(&w));
}

Test(hostile, an_office_that_writes_its_past_anew_does_not_stop_the_one_that_has_the_case_now, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct id petition = submit_one(commune, &draft);
	struct hash accepted, extended;

	cr_assert_eq(submit_step(commune, &petition, ACTION_ACCEPTED), CONTROL_OK);
	accepted = last_of(commune, &petition);
	cr_assert_eq(submit_step(commune, &petition, ACTION_HANDED_OVER), CONTROL_OK);
	cores_settle(cores);
	cr_assert_eq(submit_step(district, &petition, ACTION_RESOLVED), CONTROL_OK);
	cr_assert_eq(submit_step(district, &petition, ACTION_ANSWERED), CONTROL_OK);
	cores_settle(cores);
	forge_step(commune, &petition, 2, ACTION_EXTENDED, &accepted, 1);
	extended = last_of(commune, &petition);
	forge_step(commune, &petition, 3, ACTION_HANDED_OVER, &extended, 2);
	cr_expect_eq(case_of(district, &petition).n_steps, 3);
	cr_assert_eq(submit_step(district, &petition, ACTION_RESOLVED), CONTROL_OK);
	cr_expect_eq(case_of(district, &petition).n_steps, 4);
	cr_expect_eq(case_of(district, &petition).state, CASE_RESOLVED);
	cores_settle(cores);
	cr_expect_eq(case_of(commune, &petition).n_steps, 4);
}

/* What is imported has an id that follows from the row; an office that says it first has not kept it here. */
Test(hostile, what_another_office_says_under_an_id_is_not_held_here, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	const struct id step_id = { { 0, [6] = 0x70, [8] = 0x80, [15] = 7 } };
	uint8_t body[512], other_body[512], step_body[256];
	struct draft draft = cores_petition(body, sizeof(body), 1, false), other, step_draft;
	struct step step = { .action = ACTION_ACCEPTED, .date_ms = CORES_START_MS + 1000, .sequence = 5 };
	struct writer w;

	draft.has_id = true;
	record_make_id(CORES_START_MS, (const uint8_t *)"0123456789", &draft.id);
	write_id_as(commune, KIND_PETITION, &draft.id, draft.body);
	cr_expect_eq(cores_submit(district, &draft, 1).result, CONTROL_CONFLICT);
	cr_expect_eq(cores_count(district, district, MEASURE_RECEIVED), 0);

	other = cores_petition(other_body, sizeof(other_body), 2, false);
	step.petition = submit_one(district, &other);
	writer_init(&w, step_body, sizeof(step_body));
	step_encode(&step, &w);
	write_id_as(commune, KIND_STEP, &step_id, writer_span(&w));
	step.sequence = 0;
	writer_init(&w, step_body, sizeof(step_body));
	step_encode(&step, &w);
	step_draft = (struct draft){ .kind = KIND_STEP, .lane = LANE_NORMAL, .body = writer_span(&w), .has_id = true,
		.id = step_id };
	cr_expect_eq(cores_submit(district, &step_draft, 1).result, CONTROL_OK);
	cr_expect_eq(case_of(district, &step.petition).n_steps, 1);
}
