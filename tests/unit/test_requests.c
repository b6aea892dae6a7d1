/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * requests - an office above asks for a case, the one below it grants it or not, and nobody else can
 */
#include "tests/unit/cases.h"

#include "node/core_internal.h"
#include "store/requests.h"
#include "proto/kinds/meeting.h"

static struct span why;
static uint8_t ask_buf[1024];

/* What @at answers when it is asked to ask for @inquiry; the request in @ret_id. */
static uint64_t ask(struct cores_node *at, const struct inquiry *inquiry, struct id *ret_id, uint64_t *ret_outcome) {
	struct inquiry whole = *inquiry;
	struct answer answer;
	struct writer w;

	whole.who = span_str("minh");
	whole.reason = why.len ? why : span_str("Dân hỏi tỉnh.");
	writer_init(&w, ask_buf, sizeof(ask_buf));
	control_write_ask(&w, 9, &whole);
	answer = cores_ask(at, writer_span(&w));
	if (answer.result == CONTROL_OK) {
		*ret_outcome = read_uint(&answer.values, OUTCOME_HELD);
		read_id(&answer.values, ret_id);
	}
	cores_settle(at->cores);
	return answer.result;
}

/* Asks for the first record of @of's normal lane. */
static struct id ask_first(struct cores_node *at, const struct cores_node *of) {
	uint64_t outcome;
	struct id id;

	cr_assert_eq(ask(at, &(struct inquiry){ .asked = of->id, .oplog = { of->id, 1, LANE_NORMAL } }, &id, &outcome),
		CONTROL_OK);
	cr_assert_eq(outcome, OUTCOME_ADDED);
	return id;
}

static uint64_t reply(struct cores_node *at, enum command command, const struct id *request) {
	uint8_t buf[512];
	struct writer w;
	uint64_t result;

	writer_init(&w, buf, sizeof(buf));
	control_write_reply(&w, 9, command, request, span_str("lan"), span_str("Đã trả lời dân."));
	result = cores_ask(at, writer_span(&w)).result;
	cores_settle(at->cores);
	return result;
}

/* How @node sees the request that @asker wrote. */
static int look(struct cores_node *node, const struct cores_node *asker, const struct id *request,
	struct request_state *ret_state) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct office_row row;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(offices_get(txn, &asker->id, &row), 0);
	return requests_look(txn, request, row.number, ret_state);
}

Test(requests, what_is_granted_is_disclosed_and_only_that_with_what_comes_later, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct id petition = take_petition(commune, 71), request;
	struct request_state state;
	struct case_row row;

	(void)take_petition(commune, 72);
	cores_settle(cores);
	request = ask_first(province, commune);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(look(&cores->nodes[i], province, &request, &state), 0, "node %zu is told", i);
		cr_expect_eq(state.outcome, 0);
		cr_expect(id_eq(&state.inquiry.asked, &district->id), "the office below is asked");
	}
	cr_expect_not(store_has(province, "Đường thôn"));
	cr_expect_eq(reply(district, COMMAND_GRANT, &request), CONTROL_OK);
	cr_expect(store_has(province, "đoạn số 71"));
	cr_expect(has_case(province, &petition, &row));
	cr_expect_not(store_has(province, "đoạn số 72"));
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(look(&cores->nodes[i], province, &request, &state), 0);
		cr_expect_eq(state.outcome, REPLY_GRANTED, "node %zu", i);
	}
	take_step(commune, &petition, ACTION_ACCEPTED, "Xã đã nhận.");
	cores_settle(cores);
	cr_expect(store_has(province, "Xã đã nhận."));
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 0);
	for (size_t i = 0; i < 3; i++)
		expect_rebuilt(&cores->nodes[i]);
}

Test(requests, what_is_refused_stays_withheld_and_may_be_asked_again, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct id petition = take_petition(commune, 1), request, again;
	struct request_state state;
	struct case_row row;

	cores_settle(cores);
	request = ask_first(province, commune);
	cr_expect_eq(reply(district, COMMAND_DENY, &request), CONTROL_OK);
	cr_expect_not(has_case(province, &petition, &row));
	cr_assert_eq(look(province, province, &request, &state), 0);
	cr_expect_eq(state.outcome, REPLY_REFUSED);
	cr_expect_eq(reply(district, COMMAND_GRANT, &request), CONTROL_ANSWERED, "what was said was said");
	cr_expect_eq(reply(district, COMMAND_DENY, &request), CONTROL_ANSWERED);
	again = ask_first(province, commune);
	cr_expect_not(id_eq(&again, &request));
	cr_expect_eq(reply(district, COMMAND_GRANT, &again), CONTROL_OK);
	cr_expect(has_case(province, &petition, &row));
	expect_rebuilt(province);
}

Test(requests, what_is_asked_twice_is_one_request, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct inquiry inquiry = { .asked = commune->id, .oplog = { commune->id, 1, LANE_NORMAL } };
	struct id first, again;
	uint64_t outcome;

	(void)take_petition(commune, 1);
	(void)take_petition(commune, 2);
	cores_settle(cores);
	first = ask_first(province, commune);
	cr_expect_eq(ask(province, &inquiry, &again, &outcome), CONTROL_OK);
	cr_expect_eq(outcome, OUTCOME_HELD);
	cr_expect(id_eq(&first, &again));
	inquiry.index = 2;
	cr_expect_eq(ask(province, &inquiry, &again, &outcome), CONTROL_OK);
	cr_expect_eq(outcome, OUTCOME_ADDED, "of another record");
	cr_expect_eq(rows_in(province, TABLE_REQUESTS), 2);
	cr_expect_eq(rows_in(district, TABLE_REQUESTS), 2);
}

Test(requests, a_case_is_found_by_its_reference_its_id_or_any_of_its_records, .timeout = 60) {
	for (unsigned way = 0; way < 4; way++) {
		_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
		struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
		struct cores_node *commune = &cores->nodes[2];
		struct id petition = take_petition(commune, 1), request;
		struct inquiry inquiry = { .asked = commune->id };
		struct case_row row;
		uint64_t outcome;

		take_step(commune, &petition, ACTION_ACCEPTED, "Xã đã nhận.");
		cores_settle(cores);
		cr_assert(has_case(commune, &petition, &row));
		if (way == 0)
			inquiry.reference = row.reference;
		else if (way == 1)
			inquiry.petition = petition;
		else
			inquiry.oplog = (struct oplog_id){ commune->id, 1, LANE_NORMAL };
		inquiry.index = way == 3 ? 2 : 0; /* the step */
		cr_assert_eq(ask(province, &inquiry, &request, &outcome), CONTROL_OK, "way %u", way);
		cr_expect_eq(reply(district, COMMAND_GRANT, &request), CONTROL_OK, "way %u", way);
		cr_assert(has_case(province, &petition, &row), "way %u", way);
		cr_expect_eq(row.n_steps, 1, "way %u", way);
	}
}

Test(requests, nothing_is_asked_for_that_is_here_or_is_of_nobody_below, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct inquiry inquiry = { .asked = commune->id, .petition = take_petition(commune, 1) };
	const struct id nobody = { { 7 } };
	uint64_t outcome;
	struct id id;

	cores_settle(cores);
	cr_expect_eq(ask(district, &inquiry, &id, &outcome), CONTROL_READABLE);
	inquiry = (struct inquiry){ .asked = commune->id, .oplog = { commune->id, 1, LANE_NORMAL } };
	cr_expect_eq(ask(district, &inquiry, &id, &outcome), CONTROL_READABLE);
	inquiry.index = 99;
	cr_expect_eq(ask(province, &inquiry, &id, &outcome), CONTROL_NO_CASE);
	inquiry = (struct inquiry){ .asked = province->id, .reference = 42 };
	cr_expect_eq(ask(province, &inquiry, &id, &outcome), CONTROL_NOT_BELOW, "of itself");
	cr_expect_eq(ask(district, &inquiry, &id, &outcome), CONTROL_NOT_BELOW, "of the office above");
	inquiry.asked = nobody;
	cr_expect_eq(ask(province, &inquiry, &id, &outcome), CONTROL_NOT_BELOW);
	cr_expect_eq(rows_in(province, TABLE_REQUESTS), 0);
}

Test(requests, only_the_office_that_was_asked_can_answer, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *commune = &cores->nodes[2];
	struct id petition = take_petition(commune, 1), request;
	const struct id nothing = { { 5 } };
	struct request_state state;
	struct case_row row;

	cores_settle(cores);
	request = ask_first(province, commune);
	cr_expect_eq(reply(commune, COMMAND_GRANT, &request), CONTROL_NO_REQUEST);
	cr_expect_eq(reply(province, COMMAND_GRANT, &request), CONTROL_NO_REQUEST);
	cr_expect_eq(reply(&cores->nodes[1], COMMAND_GRANT, &nothing), CONTROL_NO_REQUEST);
	cr_assert_eq(look(province, province, &request, &state), 0);
	cr_expect_eq(state.outcome, 0);
	cr_expect_not(has_case(province, &petition, &row));
}

Test(requests, who_has_only_a_hash_itself_cannot_grant_and_asks_below, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(4, 0);
	struct cores_node *top = &cores->nodes[0], *middle = &cores->nodes[1];
	struct cores_node *low = &cores->nodes[2], *village = &cores->nodes[3];
	struct id petition = take_petition(village, 1), of_top, of_middle;
	struct case_row row;

	cores_settle(cores);
	of_top = ask_first(top, village);
	cr_expect_eq(reply(middle, COMMAND_GRANT, &of_top), CONTROL_NO_CASE);
	cr_expect_eq(reply(low, COMMAND_GRANT, &of_top), CONTROL_NO_REQUEST, "it was not asked");
	of_middle = ask_first(middle, village);
	cr_expect_eq(reply(low, COMMAND_GRANT, &of_middle), CONTROL_OK);
	cr_expect(has_case(middle, &petition, &row));
	cr_expect_not(has_case(top, &petition, &row));
	cr_expect_not(store_has(top, "Đường thôn"));
	cr_expect_eq(reply(middle, COMMAND_GRANT, &of_top), CONTROL_OK);
	cr_expect(has_case(top, &petition, &row));
	take_step(village, &petition, ACTION_ACCEPTED, "Thôn đã nhận.");
	cores_settle(cores);
	cr_expect(store_has(top, "Thôn đã nhận."));
	for (size_t i = 0; i < 4; i++)
		expect_rebuilt(&cores->nodes[i]);
}

Test(requests, an_office_that_tells_less_can_be_asked_and_its_answer_is_read, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	const struct meeting meeting = { .type = MEETING_DIALOGUE, .date_ms = CORES_START_MS,
		.host = span_str("Chủ tịch UBND"), .topic = span_str("Họp thôn về nước sạch") };
	struct draft draft = { .kind = KIND_MEETING, .lane = LANE_NORMAL };
	struct request_state state;
	uint8_t body[256];
	struct writer w;
	struct id request;

	cores_down(commune);
	commune->config.detail = DETAIL_ESCALATED;
	cores_up(commune);
	cores->now_ms += 90000;
	cores_connect(cores, 2);
	cores_settle(cores);
	writer_init(&w, body, sizeof(body));
	meeting_encode(&meeting, &w);
	draft.body = writer_span(&w);
	(void)submit_id(commune, &draft);
	(void)take_petition(commune, 2);
	cores_settle(cores);
	cr_expect_not(store_has(district, "nước sạch"));
	request = ask_first(district, commune);
	cr_expect_eq(reply(commune, COMMAND_GRANT, &request), CONTROL_OK);
	cr_assert_eq(look(district, district, &request, &state), 0);
	cr_expect_eq(state.outcome, REPLY_GRANTED);
	cr_expect(store_has(district, "nước sạch"), "a meeting can be asked for too");
	cr_expect_not(store_has(district, "đoạn số 2"));
	cr_expect_not(store_has(province, "nước sạch"));
	expect_rebuilt(district);
}

static int find_arrival(void *userdata, const struct request_row *row) {
	uint64_t *arrival = userdata;

	*arrival = row->arrival;
	return 1;
}

/* The record that asks is for @office and those above it, and for nobody beside them. */
static void expect_audience(struct cores_node *node, const struct id *request, const struct id *office) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct record rec;
	struct leaf leaf;
	uint64_t arrival;
	struct id got;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(requests_each(txn, request, find_arrival, &arrival), 1);
	cr_assert_eq(oplog_leaf_at(txn, arrival, &leaf), 0);
	cr_assert_eq(record_decode(leaf.bytes, &rec), 0);
	cr_assert_eq(rec.n_audience, 1);
	record_audience(&rec, 0, &got);
	cr_expect(id_eq(&got, office));
}

Test(requests, what_is_asked_for_is_not_told_to_those_above, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(4, 0);
	struct cores_node *top = &cores->nodes[0], *middle = &cores->nodes[1], *village = &cores->nodes[3];
	struct id request;

	(void)take_petition(village, 1);
	cores_settle(cores);
	why = span_str("Chỉ trong nội bộ.");
	request = ask_first(middle, village);
	expect_audience(middle, &request, &village->id);
	why = (struct span){ 0 };
	cr_expect(store_has(&cores->nodes[2], "Chỉ trong nội bộ."));
	cr_expect(store_has(village, "Chỉ trong nội bộ."), "the office whose case it is hears of it");
	cr_expect_not(store_has(top, "Chỉ trong nội bộ."));
}

Test(requests, what_was_disclosed_already_is_not_sent_again, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct id petition, request;
	struct case_row row;

	petition = take_petition(commune, 1);
	cores_settle(cores);
	request = ask_first(province, commune);
	pass_days(cores, 12); /* nobody answers, and the district escalates it */
	cr_assert(has_case(province, &petition, &row));
	cr_assert_eq(rows_in(district, TABLE_DISCLOSURES), 0);
	district->cut = true;
	cr_expect_eq(reply(district, COMMAND_GRANT, &request), CONTROL_OK);
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 0);
}

Test(requests, a_grant_outlasts_the_parent_that_lost_its_store, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct id petition = take_petition(commune, 1), request;
	char command[3 * PATH_MAX];
	struct case_row row;

	cores_settle(cores);
	cores_down(province);
	snprintf(command, sizeof(command), "cp -r '%s' '%s.backup'", province->home.path, province->home.path);
	cr_assert_eq(system(command), 0);
	cores_up(province);
	cores->now_ms += 90000;
	cores_connect(cores, 1);
	cores_settle(cores);
	request = ask_first(province, commune);
	cr_assert_eq(reply(district, COMMAND_GRANT, &request), CONTROL_OK);
	cr_assert(has_case(province, &petition, &row));
	cores_down(province);
	snprintf(command, sizeof(command), "rm -r '%s' && mv '%s.backup' '%s'", province->home.path,
		province->home.path, province->home.path);
	cr_assert_eq(system(command), 0);
	cores_up(province);
	cr_assert_not(has_case(province, &petition, &row));
	pass_days(cores, 2);
	cr_expect(has_case(province, &petition, &row));
}

/* Whoever can be asked for a place can be asked for any record; only a case is ever granted. */
Test(requests, what_is_no_case_is_not_granted, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(2, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	const struct oplog_id bulk = { district->id, 1, LANE_BULK };
	uint8_t body[512], part[128], buf[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct id petition, request;
	uint64_t outcome, withheld;
	struct writer w;

	writer_init(&w, part, sizeof(part));
	write_array(&w, 4);
	write_uint(&w, 0);
	write_str(&w, span_str("Trần Thị Mộng Điệp"));
	write_str(&w, span_str(""));
	write_str(&w, span_str(""));
	draft.private = writer_span(&w);
	petition = submit_id(district, &draft);
	writer_init(&w, buf, sizeof(buf));
	control_write_private(&w, 9, COMMAND_READ, &petition, span_str("lan"), span_str("Báo kết quả"));
	cr_assert_eq(cores_ask(district, writer_span(&w)).result, CONTROL_OK);
	cores_settle(cores);
	cr_assert_eq(ask(province, &(struct inquiry){ .asked = district->id, .oplog = bulk }, &request, &outcome),
		CONTROL_OK, "who read a private part is a hash here");
	cr_expect_eq(reply(district, COMMAND_GRANT, &request), CONTROL_NO_CASE);
	cr_expect_eq(reply(district, COMMAND_DENY, &request), CONTROL_OK);
	(void)cores_leaves(province, district, LANE_BULK, &withheld);
	cr_expect_eq(withheld, 1);
	cr_expect_not(store_has(province, "Báo kết quả"));
}

/* What anybody may write */

static struct id write_at(struct cores_node *node, uint64_t time_ms, uint8_t kind, const struct writer *body,
	const struct id *audience) {
	struct record rec = { .kind = kind, .time_ms = time_ms, .body = writer_span(body) };
	uint8_t random[10];

	cr_assert_eq(cores_random(node, random, sizeof(random)), 0);
	record_make_id(time_ms, random, &rec.id);
	cores_begin(node);
	cr_assert_eq(core_write(node->core, LANE_URGENT, &rec, audience, audience ? 1 : 0), 0);
	cores_end(node);
	cores_settle(node->cores);
	return rec.id;
}

static struct id write_as(struct cores_node *node, uint8_t kind, const struct writer *body, const struct id *audience) {
	return write_at(node, node->cores->now_ms, kind, body, audience);
}

Test(requests, who_is_not_above_asks_nothing_and_who_was_not_asked_grants_nothing, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(4, 0);
	struct cores_node *top = &cores->nodes[0], *middle = &cores->nodes[1];
	struct cores_node *low = &cores->nodes[2], *village = &cores->nodes[3];
	struct id petition = take_petition(village, 1), request;
	struct inquiry inquiry = { .asked = low->id, .petition = petition, .who = span_str("x"),
		.reason = span_str("x") };
	struct reply forged = { .petition = petition, .outcome = REPLY_GRANTED, .who = span_str("x") };
	struct request_state state;
	struct case_row row;
	uint8_t body[256];
	struct writer w;

	cores_settle(cores);
	writer_init(&w, body, sizeof(body));
	inquiry_encode(&inquiry, &w);
	request = write_as(top, KIND_REQUEST, &w, &village->id); /* over the head of the one between */
	cr_expect_eq(reply(low, COMMAND_GRANT, &request), CONTROL_NO_REQUEST);
	cr_expect_eq(reply(middle, COMMAND_GRANT, &request), CONTROL_NO_REQUEST, "nor is it asked of that one");
	(void)write_as(village, KIND_REQUEST, &w, &low->id);
	cr_expect_gt(rows_in(low, TABLE_REQUESTS), 0);
	request = ask_first(middle, village);
	forged.request = request;
	writer_init(&w, body, sizeof(body));
	reply_encode(&forged, &w);
	(void)write_as(village, KIND_REPLY, &w, NULL); /* it comes to the one above as bytes */
	cr_assert_eq(look(low, middle, &request, &state), 0);
	cr_expect_eq(state.outcome, 0);
	cr_expect_eq(rows_in(low, TABLE_DISCLOSURES), 0);
	cr_expect_not(has_case(middle, &petition, &row), "another's grant discloses nothing here");
	cr_expect_eq(reply(low, COMMAND_GRANT, &request), CONTROL_OK);
	cr_expect(has_case(middle, &petition, &row));
	cr_expect_not(has_case(top, &petition, &row));
	for (size_t i = 0; i < 4; i++)
		expect_rebuilt(&cores->nodes[i]);
}

/* A petition as only a forged node writes it: with a reference of its choice. */
static struct id write_petition(struct cores_node *node, uint64_t reference, const char *text) {
	const struct petition petition = { .legal_kind = LEGAL_PETITION, .category = CATEGORY_LAND,
		.channel = CHANNEL_LETTER, .people = 1, .received_ms = CORES_START_MS - DAY_MS, .reference = reference,
		.text = span_str(text) };
	uint8_t body[512];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	petition_encode(&petition, &w);
	return write_at(node, CORES_START_MS - DAY_MS, KIND_PETITION, &w, NULL); /* cases are in that order: it is first */
}

static uint64_t reference_of(struct cores_node *node, const struct id *petition) {
	struct case_row row;

	cr_assert(has_case(node, petition, &row));
	cr_assert_neq(row.reference, 0);
	return row.reference;
}

/* What the district answers when it grants what the province asks for. */
static uint64_t grant(struct cores *cores, const struct inquiry *inquiry) {
	struct id request;
	uint64_t outcome;

	cr_assert_eq(ask(&cores->nodes[0], inquiry, &request, &outcome), CONTROL_OK);
	return reply(&cores->nodes[1], COMMAND_GRANT, &request);
}

Test(requests, all_that_is_asked_for_is_one_case, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *commune = &cores->nodes[2];
	struct id first = take_petition(commune, 71), second = take_petition(commune, 72);
	const struct oplog_id normal = { commune->id, 1, LANE_NORMAL };
	uint64_t reference = reference_of(commune, &first), other = reference_of(commune, &second);
	const struct inquiry wrong[] = {
		{ .asked = commune->id, .petition = second, .reference = reference },
		{ .asked = commune->id, .petition = first, .oplog = normal, .index = 2 },
		{ .asked = commune->id, .reference = reference, .oplog = normal, .index = 2 },
		{ .asked = commune->id, .petition = second, .reference = other, .oplog = normal },
	};
	const struct inquiry right = { .asked = commune->id, .petition = second, .reference = other, .oplog = normal,
		.index = 2 };

	cores_settle(cores);
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		cr_expect_eq(grant(cores, &wrong[i]), CONTROL_NO_CASE, "%zu", i);
	cr_expect_not(store_has(province, "đoạn số 71"));
	cr_expect_not(store_has(province, "đoạn số 72"));
	cr_expect_eq(grant(cores, &right), CONTROL_OK);
	cr_expect(store_has(province, "đoạn số 72"));
	cr_expect_not(store_has(province, "đoạn số 71"));
}

/* Whoever is asked has a petition before it that another office wrote under the reference. */
Test(requests, a_reference_is_not_taken_by_another_office, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(4, 0);
	struct cores_node *top = &cores->nodes[0], *district = &cores->nodes[1];
	struct cores_node *commune = &cores->nodes[2], *village = &cores->nodes[3];
	struct id petition = take_petition(commune, 71), forged, request;
	struct inquiry inquiry = { .asked = commune->id, .reference = reference_of(commune, &petition) };
	const struct inquiry of_forged = { .asked = village->id, .oplog = { village->id, 1, LANE_URGENT } };
	struct case_row row;
	uint64_t outcome;

	forged = write_petition(village, inquiry.reference, "Lời bịa của thôn.");
	cores_settle(cores);
	cr_assert_eq(ask(district, &of_forged, &request, &outcome), CONTROL_OK);
	cr_assert_eq(reply(commune, COMMAND_GRANT, &request), CONTROL_OK, "by its place");
	cr_assert(has_case(district, &forged, &row));
	cr_assert_eq(row.reference, inquiry.reference);
	cr_expect_eq(grant(cores, &inquiry), CONTROL_OK);
	cr_expect(has_case(top, &petition, &row));
	cr_expect_not(has_case(top, &forged, &row));
	inquiry.petition = forged;
	cr_expect_eq(grant(cores, &inquiry), CONTROL_NO_CASE, "nor where it is named by its id too");
	cr_expect_not(store_has(top, "Lời bịa của thôn."));
}

Test(requests, of_several_petitions_with_one_reference_none_is_granted_by_it, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *commune = &cores->nodes[2];
	struct id petition = take_petition(commune, 71), second;
	struct inquiry inquiry = { .asked = commune->id, .reference = reference_of(commune, &petition) };
	struct case_row row;

	second = write_petition(commune, inquiry.reference, "Lời bịa của xã.");
	cores_settle(cores);
	cr_expect_eq(grant(cores, &inquiry), CONTROL_SEVERAL);
	cr_expect_not(has_case(province, &petition, &row));
	cr_expect_not(has_case(province, &second, &row));
	inquiry.oplog = (struct oplog_id){ commune->id, 1, LANE_NORMAL };
	cr_expect_eq(grant(cores, &inquiry), CONTROL_OK, "its place says which");
	cr_expect(has_case(province, &petition, &row));
	cr_expect_not(has_case(province, &second, &row));
}

Test(requests, a_reference_counts_while_its_office_has_the_code_in_it, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct id petition = take_petition(commune, 71);
	struct inquiry inquiry = { .asked = commune->id, .reference = reference_of(commune, &petition) };
	struct office office = { .id = commune->id, .code = 9999, .code_digits = 5, .level = span_str("commune"),
		.name = span_str("Xã mới"), .state = OFFICE_ACTIVE };
	struct case_row row;
	uint8_t buf[512];
	struct writer w;

	cores_settle(cores);
	writer_init(&w, buf, sizeof(buf));
	control_write_change_office(&w, 9, &office);
	cr_assert_eq(cores_ask(district, writer_span(&w)).result, CONTROL_OK);
	cores_settle(cores);
	cr_expect_eq(grant(cores, &inquiry), CONTROL_NO_CASE);
	cr_expect_not(has_case(province, &petition, &row));
	inquiry = (struct inquiry){ .asked = commune->id, .oplog = { commune->id, 1, LANE_NORMAL } };
	cr_expect_eq(grant(cores, &inquiry), CONTROL_OK);
	cr_expect(has_case(province, &petition, &row));
}

/* Anybody can write a step that says it is of a case. */
Test(requests, a_record_of_who_cannot_hold_the_case_is_not_of_it, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(4, 0);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2], *village = &cores->nodes[3];
	const struct step step = { .petition = take_petition(commune, 71), .sequence = 1, .action = ACTION_ACCEPTED,
		.date_ms = CORES_START_MS, .text = span_str("Thôn nói thế.") };
	const struct inquiry inquiry = { .asked = village->id, .oplog = { village->id, 1, LANE_URGENT } };
	struct id request;
	uint64_t outcome;
	uint8_t body[256];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	(void)write_as(village, KIND_STEP, &w, NULL);
	cr_assert_eq(ask(district, &inquiry, &request, &outcome), CONTROL_OK);
	cr_expect_eq(reply(commune, COMMAND_GRANT, &request), CONTROL_NO_CASE);
	cr_expect_eq(reply(commune, COMMAND_DENY, &request), CONTROL_OK);
}

struct rows {
	struct request_row rows[3];
	size_t n;
};

static int collect(void *userdata, const struct request_row *row) {
	struct rows *rows = userdata;

	cr_assert_lt(rows->n, N_ELEMENTS(rows->rows));
	rows->rows[rows->n++] = *row;
	return 0;
}

Test(requests, answers_stand_in_the_order_of_their_ids_whatever_came_first) {
	for (unsigned order = 0; order < 2; order++) {
		_cleanup_(scratch_done) struct scratch scratch = scratch_new();
		_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
		_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
		const struct id request = scratch_id(1);
		const struct request_row first = { request, 2, scratch_id(5), 7 };
		const struct request_row second = { request, 2, scratch_id(4), 8 };
		struct rows rows = { .n = 0 };

		cr_assert_eq(requests_put(txn, order ? &second : &first), 0);
		cr_assert_eq(requests_put(txn, order ? &first : &second), 0);
		cr_assert_eq(requests_put(txn, &(struct request_row){ scratch_id(2), 2, scratch_id(3), 9 }), 0);
		cr_assert_eq(requests_each(txn, &request, collect, &rows), 0);
		cr_assert_eq(rows.n, 2);
		cr_expect_eq(rows.rows[0].arrival, 8);
		cr_expect_eq(rows.rows[1].arrival, 7);
	}
}
