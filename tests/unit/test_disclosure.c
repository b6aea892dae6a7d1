/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * disclosure - what an escalation opens to the office above, and that it opens nothing else
 */
#include "tests/unit/cases.h"

#include "node/core_internal.h"
#include "store/disclosures.h"
#include "proto/kinds/escalation.h"
#include "proto/kinds/meeting.h"
#include "proto/kinds/tally.h"

/* Leaves of @of's lane at @node whose bytes came after their hash. */
static unsigned disclosed_leaves(struct cores_node *node, const struct cores_node *of, enum lane lane) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	const struct oplog_id id = { of->id, 1, lane };
	struct oplog oplog;
	struct leaf leaf;
	uint64_t index, arrival;
	unsigned n = 0;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(oplog_load(txn, &id, &oplog), 0);
	cr_assert_eq(oplog_walk_open(txn, &oplog, 0, &walk), 0);
	while (oplog_walk_next(walk, &index, &leaf, &arrival) == 0)
		n += !leaf.withheld && leaf.disclosed;
	return n;
}

static unsigned n_disclose, n_disclosed;
static uint64_t last_outcome;

static void count_disclosures(struct cores *cores, struct cores_frame *frame) {
	struct message message;
	struct disclosed said;

	if (message_decode((struct span){ frame->data, frame->len }, &message))
		return;
	n_disclose += message.type == MESSAGE_DISCLOSE;
	while (message.type == MESSAGE_DISCLOSED && message_disclosed_next(&message, &said)) {
		n_disclosed++;
		last_outcome = said.outcome;
	}
}

/* A leaf must be on the receiver's disk before its record is sent. */
static void expect_leaf_first(struct cores *cores, struct cores_frame *frame) {
	struct cores_node *to = cores_find(cores, &frame->to);
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct message message;
	struct oplog oplog;

	count_disclosures(cores, frame);
	if (message_decode((struct span){ frame->data, frame->len }, &message) || message.type != MESSAGE_DISCLOSE)
		return;
	cr_assert_eq(store_begin_read(to->store, &txn), 0);
	cr_assert_eq(oplog_load(txn, &message.disclose.oplog, &oplog), 0);
	cr_assert_lt(message.disclose.index, oplog.frontier.size);
}

Test(disclosure, before_an_escalation_the_province_has_nothing_of_a_text_and_after_it_only_that_cases, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct id late = take_petition(commune, 71);
	struct id other = take_petition(commune, 72);
	struct case_row row;

	take_step(commune, &other, ACTION_ACCEPTED, "Nhận đơn thứ hai.");
	cores_settle(cores);
	cr_expect(store_has(district, "đoạn số 71"), "the test can find what is there");
	cr_expect_not(store_has(province, "Đường thôn"));
	cr_expect_not(has_case(province, &late, &row));

	pass_days(cores, 12);
	cr_expect(store_has(province, "đoạn số 71"));
	cr_expect_not(store_has(province, "đoạn số 72"));
	cr_expect_not(store_has(province, "Nhận đơn thứ hai"));
	cr_assert(has_case(province, &late, &row), "its case can be shown");
	cr_expect(row.escalated);
	cr_expect_not(has_case(province, &other, &row));
	cr_expect_eq(disclosed_leaves(province, commune, LANE_NORMAL), 1);
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 0, "and no more is due");
	cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 2);
	expect_rebuilt(province);
}

Test(disclosure, the_steps_of_an_escalated_case_are_read_above_also_those_that_come_later, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *province = &cores->nodes[0], *commune = &cores->nodes[2];
	struct id petition = take_petition(commune, 1);
	struct case_row row;

	pass_days(cores, 12);
	take_step(commune, &petition, ACTION_ACCEPTED, "Xã đã nhận.");
	cores_settle(cores);
	cr_expect(store_has(province, "Xã đã nhận."));
	take_step(commune, &petition, ACTION_RESOLVED, "Đã sửa xong đường.");
	take_step(commune, &petition, ACTION_ANSWERED, "Đã báo cho dân.");
	cores_settle(cores);
	cr_assert(has_case(province, &petition, &row));
	cr_expect_eq(row.state, CASE_ANSWERED);
	cr_expect_eq(row.n_steps, 3);
	expect_rebuilt(province);
}

Test(disclosure, what_waited_for_a_line_is_disclosed_when_its_leaf_is_there, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct id first, last;
	struct case_row row;

	district->cut = true;
	first = take_petition(commune, 1);
	cores_take_petitions(commune, 2, 1200); /* several batches lie between the urgent lane and these */
	last = take_petition(commune, 2000);
	pass_days(cores, 12);
	cr_assert_geq(rows_in(district, TABLE_DISCLOSURES), 1202);
	cores->on_frame = expect_leaf_first;
	cores_connect(cores, 1);
	for (unsigned i = 0; i < 5; i++)
		cores_settle(cores);
	cr_expect(has_case(province, &first, &row));
	cr_expect(has_case(province, &last, &row));
	cr_expect_eq(n_disclose, 1202, "each of them once, and none too early: %u", n_disclose);
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 0);
	expect_rebuilt(province);
}

/* An answer that is lost on its way: what comes in its place says nothing. */
static void lose_disclosed(struct cores *cores, struct cores_frame *frame) {
	static const uint8_t alive[] = { 0x92, MESSAGE_ACK, 0x90 };

	count_disclosures(cores, frame);
	if (frame->len > 1 && frame->data[1] == MESSAGE_DISCLOSED) {
		memcpy(frame->data, alive, sizeof(alive));
		frame->len = sizeof(alive);
	}
}

Test(disclosure, a_parent_killed_between_commit_and_answer_is_told_again_and_nobody_a_third_time, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct id petition = take_petition(commune, 1);
	struct case_row row;

	pass_days(cores, 9);
	cores->now_ms += DAY_MS;
	cores->on_frame = lose_disclosed;
	cores_connect(cores, 2);
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_assert_geq(n_disclose, 1);
	cr_assert(has_case(province, &petition, &row), "it is on disk above");
	cr_assert_eq(rows_in(district, TABLE_DISCLOSURES), 1, "which the district was not told");
	cores_down(province);
	cores_up(province);
	cores_down(district);
	cores_up(district);
	cores->on_frame = count_disclosures;
	n_disclose = n_disclosed = 0;
	cores_connect(cores, 2);
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_expect_eq(n_disclose, 1);
	cr_expect_eq(n_disclosed, 1);
	cr_expect_eq(last_outcome, 0);
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 0);
	for (unsigned i = 0; i < 3; i++) {
		cores->now_ms += 90000;
		cores_connect(cores, 1);
		cores_settle(cores);
	}
	cr_expect_eq(n_disclose, 1, "what was answered is not sent again");
	expect_rebuilt(province);
}

Test(disclosure, an_answer_that_was_lost_is_missed_after_a_time_in_the_same_session, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];

	(void)take_petition(commune, 1);
	pass_days(cores, 9);
	cores->on_frame = lose_disclosed;
	pass_days(cores, 1);
	cr_assert_eq(n_disclose, 1);
	cr_assert_eq(rows_in(district, TABLE_DISCLOSURES), 1);
	cores->on_frame = count_disclosures;
	for (unsigned i = 0; i < 10; i++) {
		cr_expect_eq(n_disclose, i < 6 ? 1 : 2, "after %u s", i * 11);
		cores->now_ms += 11000;
		cores_settle(cores);
	}
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 0);
}

Test(disclosure, a_case_that_is_found_for_another_cause_too_is_not_told_again, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];

	district->config.rules[1] = (struct rule){ .name = "all", .cause = CAUSE_PEOPLE, .scope = RULE_SEEN,
		.at_least = 1, .lane = LANE_URGENT };
	district->config.n_rules = 2;
	cores->on_frame = count_disclosures;
	(void)take_petition(commune, 1);
	cores_settle(cores);
	cr_assert_eq(n_disclose, 1);
	pass_days(cores, 12);
	cr_assert_eq(rows_in(district, TABLE_ESCALATIONS), 2);
	cr_expect_eq(n_disclose, 1);
}

Test(disclosure, goes_no_further_than_the_office_above_the_one_that_escalated, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(4, 1 << 2);
	struct cores_node *top = &cores->nodes[0], *middle = &cores->nodes[1];
	struct cores_node *low = &cores->nodes[2], *village = &cores->nodes[3];
	struct id petition = take_petition(village, 1);
	struct case_row row;

	pass_days(cores, 12);
	cr_expect(has_case(low, &petition, &row));
	cr_expect(has_case(middle, &petition, &row), "disclosed by the office below it");
	cr_expect_not(has_case(top, &petition, &row));
	cr_expect_not(store_has(top, "Đường thôn"));
	middle->config.rules[0] = (struct rule){ .name = "all", .cause = CAUSE_PEOPLE, .scope = RULE_SEEN,
		.at_least = 1, .lane = LANE_URGENT };
	middle->config.n_rules = 1;
	petition = take_petition(village, 2);
	pass_days(cores, 12);
	cr_expect(has_case(top, &petition, &row), "and further when that one finds it too");
	cr_expect_not(store_has(top, "đoạn số 1"));
	take_step(village, &petition, ACTION_ACCEPTED, "Thôn đã nhận.");
	cores_settle(cores);
	cr_expect(store_has(top, "Thôn đã nhận."), "with all that is done from then on");
	expect_rebuilt(middle);
	expect_rebuilt(top);
}

Test(disclosure, a_disclosed_leaf_counts_as_its_hash_and_is_one_further_up, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(4, 1 << 2);
	struct cores_node *top = &cores->nodes[0], *middle = &cores->nodes[1], *village = &cores->nodes[3];
	const struct oplog_id id = { village->id, 1, LANE_NORMAL };
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct oplog above, here;
	uint64_t withheld;

	middle->cut = true; /* it hears of the leaves only when they are disclosed already */
	cores_take_petitions(village, 0, 600);
	pass_days(cores, 12);
	cr_assert_eq(disclosed_leaves(middle, village, LANE_NORMAL), 600);
	middle->cut = false;
	pass_days(cores, 1);
	cr_assert_eq(store_begin_read(middle->store, &txn), 0);
	cr_assert_eq(oplog_load(txn, &id, &here), 0);
	txn = store_abort(txn);
	cr_assert_eq(store_begin_read(top->store, &txn), 0);
	cr_assert_eq(oplog_load(txn, &id, &above), 0);
	cr_expect_eq(here.bytes, above.bytes);
	cr_expect_eq(here.frontier.size, above.frontier.size);
	(void)cores_leaves(top, village, LANE_NORMAL, &withheld);
	cr_expect_eq(withheld, 600);
}

Test(disclosure, a_parent_that_lost_its_store_is_told_again, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *province = &cores->nodes[0], *commune = &cores->nodes[2];
	char command[3 * PATH_MAX];
	struct id petition;
	struct case_row row;

	cores_down(province);
	snprintf(command, sizeof(command), "cp -r '%s' '%s.backup'", province->home.path, province->home.path);
	cr_assert_eq(system(command), 0);
	cores_up(province);
	cores_connect(cores, 1);
	petition = take_petition(commune, 1);
	pass_days(cores, 12);
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

Test(disclosure, who_asked_is_not_in_it, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *province = &cores->nodes[0], *commune = &cores->nodes[2];
	uint8_t body[512], part[128];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct writer w;

	writer_init(&w, part, sizeof(part));
	write_array(&w, 4);
	write_uint(&w, 0);
	write_str(&w, span_str("Trần Thị Mộng Điệp"));
	write_str(&w, span_str("0900 123 456"));
	write_str(&w, span_str(""));
	draft.private = writer_span(&w);
	(void)submit_id(commune, &draft);
	pass_days(cores, 12);
	cr_expect(store_has(province, "đoạn số 1"));
	cr_expect_eq(rows_in(province, TABLE_PRIVATE), 0);
	for (size_t i = 0; i < cores->n; i++) {
		cr_expect_not(store_has(&cores->nodes[i], "Mộng Điệp"), "node %zu", i);
		cr_expect_not(store_has(&cores->nodes[i], "0900 123"), "node %zu", i);
	}
}

/* What an office tells of its own */

static void write_meeting(struct cores_node *node, const char *topic) {
	const struct meeting meeting = { .type = MEETING_DIALOGUE, .date_ms = CORES_START_MS,
		.host = span_str("Chủ tịch UBND"), .topic = span_str(topic) };
	struct draft draft = { .kind = KIND_MEETING, .lane = LANE_NORMAL };
	uint8_t body[256];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	meeting_encode(&meeting, &w);
	draft.body = writer_span(&w);
	(void)submit_id(node, &draft);
}

static struct answer hand_over(struct cores_node *node, const struct id *petition, const struct id *to) {
	const struct step step = { .petition = *petition, .action = ACTION_HANDED_OVER,
		.date_ms = CORES_START_MS + 1000, .office = *to };
	struct draft draft = { .kind = KIND_STEP, .lane = LANE_NORMAL };
	uint8_t body[256];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	draft.body = writer_span(&w);
	return cores_submit(node, &draft, 1);
}

Test(disclosure, an_office_may_tell_its_parent_of_no_case_but_those_it_escalates, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct case_row row;
	struct id late, other;

	commune->config.detail = DETAIL_ESCALATED;
	late = take_petition(commune, 71);
	other = take_petition(commune, 72);
	take_step(commune, &other, ACTION_ACCEPTED, "Nhận đơn thứ hai.");
	write_meeting(commune, "Họp thôn về nước sạch");
	cores_settle(cores);
	cr_expect_not(store_has(district, "Đường thôn"));
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 2, "its counts are told");
	cr_expect_eq(cores_count(district, commune, MEASURE_MEETINGS), 1);
	pass_days(cores, 12);
	cr_expect(store_has(district, "đoạn số 71"));
	cr_expect(has_case(district, &late, &row));
	cr_expect_not(store_has(district, "đoạn số 72"));
	cr_expect_not(store_has(district, "Nhận đơn thứ hai"));
	cr_expect_not(store_has(district, "nước sạch"));
	take_step(commune, &late, ACTION_ACCEPTED, "Nhận đơn thứ nhất.");
	cores_settle(cores);
	cr_expect(store_has(district, "Nhận đơn thứ nhất."));
	cr_expect_not(store_has(province, "Đường thôn"));
	cr_expect_eq(rows_in(commune, TABLE_DISCLOSURES), 0);
	expect_rebuilt(district);
}

Test(disclosure, what_such_an_office_escalates_is_judged_above_and_may_go_further, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct case_row row;
	struct id late;

	commune->config.detail = DETAIL_ESCALATED;
	district->config.rules[0] = (struct rule){ .name = "all", .cause = CAUSE_PEOPLE, .scope = RULE_SEEN,
		.at_least = 1, .lane = LANE_URGENT };
	district->config.n_rules = 1;
	late = take_petition(commune, 1);
	pass_days(cores, 12);
	cr_expect(has_case(district, &late, &row));
	cr_expect(has_case(province, &late, &row));
	expect_rebuilt(district);
	expect_rebuilt(province);
}

Test(disclosure, a_case_that_is_handed_over_is_read_by_whom_it_was_handed_to, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct case_row row;
	struct id petition;

	commune->config.detail = DETAIL_ESCALATED;
	petition = take_petition(commune, 1);
	(void)take_petition(commune, 2);
	cores_settle(cores);
	cr_assert_not(has_case(district, &petition, &row));
	cr_assert_eq(hand_over(commune, &petition, &district->id).result, CONTROL_OK);
	cores_settle(cores);
	cr_assert(has_case(district, &petition, &row));
	cr_expect(id_eq(&row.handed_to, &district->id));
	cr_expect_not(store_has(district, "đoạn số 2"));
	cr_expect_not(store_has(province, "Đường thôn"));
	take_step(district, &petition, ACTION_ACCEPTED, "Huyện đã nhận.");
	cores_settle(cores);
	cr_assert(has_case(commune, &petition, &row));
	cr_expect_eq(row.state, CASE_ACCEPTED);
}

/* Starts @node again with another setting. */
static void set_detail(struct cores_node *node, enum detail detail) {
	cores_down(node);
	node->config.detail = detail;
	cores_up(node);
}

Test(disclosure, another_setting_holds_for_what_was_not_sent_yet, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 2);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct case_row row;
	struct id told, late, handed;

	told = take_petition(commune, 1);
	take_step(commune, &told, ACTION_ACCEPTED, "Đã nhận.");
	cores_settle(cores);
	commune->cut = true;
	late = take_petition(commune, 2);
	handed = take_petition(commune, 3);
	cr_assert_eq(hand_over(commune, &handed, &district->id).result, CONTROL_OK);
	(void)take_petition(commune, 4);
	(void)take_petition(commune, 5);
	cores->now_ms += 2 * DAY_MS;
	pass_days(cores, 3);
	set_detail(commune, DETAIL_ESCALATED);
	watch(commune);
	cores_connect(cores, 2);
	cores_settle(cores);
	cr_expect(has_case(district, &told, &row), "what was told is not taken back");
	cr_expect(has_case(district, &handed, &row));
	cr_expect_not(has_case(district, &late, &row));
	cr_expect_not(store_has(district, "đoạn số 4"));
	pass_days(cores, 9);
	cr_expect(has_case(district, &late, &row));
	set_detail(commune, DETAIL_ALL);
	(void)take_petition(commune, 6);
	pass_days(cores, 1);
	cr_expect(store_has(district, "đoạn số 6"));
	expect_rebuilt(district);
}

Test(disclosure, what_was_escalated_before_the_setting_and_not_sent_is_disclosed, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 2);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct case_row row;
	struct id late;

	commune->cut = true;
	late = take_petition(commune, 2);
	pass_days(cores, 12);
	cr_assert_eq(rows_in(commune, TABLE_ESCALATIONS), 1);
	cr_assert_eq(rows_in(commune, TABLE_DISCLOSURES), 0);
	set_detail(commune, DETAIL_ESCALATED);
	cores_connect(cores, 2);
	cores_settle(cores);
	cr_expect(has_case(district, &late, &row));
	cr_expect_eq(disclosed_leaves(district, commune, LANE_NORMAL), 1);
	cr_expect_eq(rows_in(commune, TABLE_DISCLOSURES), 0);
}

Test(disclosure, what_went_as_a_hash_is_disclosed_though_all_goes_in_full_by_now, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 2);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct case_row row;
	struct id late, handed;

	commune->config.detail = DETAIL_ESCALATED;
	late = take_petition(commune, 1);
	handed = take_petition(commune, 2);
	(void)take_petition(commune, 3);
	cores_settle(cores);
	commune->cut = true;
	cr_assert_eq(hand_over(commune, &handed, &district->id).result, CONTROL_OK);
	pass_days(cores, 12);
	cr_assert_gt(rows_in(commune, TABLE_DISCLOSURES), 0);
	set_detail(commune, DETAIL_ALL);
	cores_connect(cores, 2);
	cores_settle(cores);
	cr_expect(has_case(district, &late, &row));
	cr_expect(has_case(district, &handed, &row));
	cr_expect_eq(rows_in(commune, TABLE_DISCLOSURES), 0);
	expect_rebuilt(district);
}

Test(disclosure, another_parent_reads_what_was_escalated_to_the_one_before_and_no_more, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *to, *commune;
	struct case_row row;
	uint8_t buf[128];
	struct id late, granted, request;
	struct answer answer;
	struct txn *txn;
	struct writer w;

	cores_add(cores, 0);
	cores_add(cores, 1);
	to = &cores->nodes[2];
	commune = &cores->nodes[3];
	cores->nodes[0].config.n_rules = cores->nodes[1].config.n_rules = to->config.n_rules = 0;
	watch(commune);
	commune->config.detail = DETAIL_ESCALATED;
	cores_connect(cores, 2);
	cores_connect(cores, 3);
	late = take_petition(commune, 1);
	pass_days(cores, 12);
	cr_assert(has_case(&cores->nodes[1], &late, &row));
	(void)take_petition(commune, 2);
	granted = take_petition(commune, 3);
	cores_settle(cores);
	writer_init(&w, buf, sizeof(buf)); /* to the one before, which asked for it */
	control_write_ask(&w, 1, &(struct inquiry){ .asked = commune->id, .petition = granted, .who = span_str("a"),
		.reason = span_str("b") });
	answer = cores_ask(&cores->nodes[1], writer_span(&w));
	(void)read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &request);
	cores_settle(cores);
	writer_init(&w, buf, sizeof(buf));
	control_write_reply(&w, 1, COMMAND_GRANT, &request, span_str("a"), span_str(""));
	cr_assert_eq(cores_ask(commune, writer_span(&w)).result, CONTROL_OK);
	cores_settle(cores);
	cr_assert(has_case(&cores->nodes[1], &granted, &row));
	writer_init(&w, buf, sizeof(buf));
	control_write_move_office(&w, 1, &commune->id, &to->id);
	commune->cut = true; /* it hears of that only when it joins the other */
	cr_assert_eq(cores_ask(&cores->nodes[1], writer_span(&w)).result, CONTROL_OK);
	cores_settle(cores);
	cores_down(commune); /* something was still due to the one before */
	commune->store = scratch_open(&commune->home);
	txn = scratch_txn(commune->store);
	cr_assert_eq(disclosures_put(txn, &cores->nodes[1].id, &(struct disclosure){ 1, 0 }), 0);
	cr_assert_eq(store_commit(txn), 0);
	commune->store = store_close(commune->store);
	cores_up(commune);
	cores_join(cores, 3, 2);
	for (unsigned i = 0; i < 3; i++) { /* not so long that the second is late, too */
		cores->now_ms += 90000;
		for (size_t k = 1; k < cores->n; k++)
			cores_connect(cores, k);
		cores_settle(cores);
	}
	cr_expect(has_case(to, &late, &row));
	cr_expect_not(store_has(to, "đoạn số 2"));
	cr_expect_not(has_case(to, &granted, &row));
	cr_expect_not(store_has(to, "đoạn số 3"));
	cr_expect_eq(rows_in(commune, TABLE_DISCLOSURES), 0);
	expect_rebuilt(to);
}

/* As `lienthong restore --here`: the store is to be taken for an old copy. */
static void put_back(struct cores_node *node) {
	struct txn *txn;

	cores_down(node);
	node->store = scratch_open(&node->home);
	txn = scratch_txn(node->store);
	cr_assert_eq(meta_put(txn, recovery_name, span_str("")), 0);
	cr_assert_eq(store_commit(txn), 0);
	node->store = store_close(node->store);
	cores_up(node);
}

Test(disclosure, what_goes_into_another_life_is_disclosed_there, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 2);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct case_row row;
	struct id before, late;

	commune->config.detail = DETAIL_ESCALATED;
	before = take_petition(commune, 1);
	pass_days(cores, 12);
	cr_assert(has_case(district, &before, &row));
	commune->cut = true;
	late = take_petition(commune, 2);
	cores->now_ms += 12 * DAY_MS;
	cores_settle(cores);
	(void)take_petition(commune, 3);
	cr_assert_eq(rows_in(commune, TABLE_ESCALATIONS), 2);
	put_back(commune);
	pass_days(cores, 1);
	cores_connect(cores, 2);
	cores_settle(cores);
	pass_days(cores, 1);
	cr_assert_eq(commune->core->author.epoch, 2);
	cr_expect(has_case(district, &late, &row), "what only the copy had");
	cr_expect_not(store_has(district, "đoạn số 3"));
	take_step(commune, &late, ACTION_ACCEPTED, "Nhận ở đời sau.");
	take_step(commune, &before, ACTION_ACCEPTED, "Nhận ở đời trước.");
	cores_settle(cores);
	cr_expect(store_has(district, "Nhận ở đời sau."));
	cr_expect(store_has(district, "Nhận ở đời trước."));
	expect_rebuilt(district);
	expect_rebuilt(commune);
}

/* Its own records come back as they count above: as hashes, though they were disclosed. */
Test(disclosure, what_an_office_told_late_comes_back_to_it_in_full, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 2);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	static char text[PETITION_TEXT_MAX + 1];
	char command[3 * PATH_MAX];
	uint64_t withheld;

	memset(text, 'a', PETITION_TEXT_MAX);
	commune->config.detail = DETAIL_ESCALATED;
	(void)take_petition(commune, 1);
	cores_settle(cores);
	cores_down(commune);
	snprintf(command, sizeof(command), "cp -r '%s' '%s.backup'", commune->home.path, commune->home.path);
	cr_assert_eq(system(command), 0);
	cores_up(commune);
	cores_connect(cores, 2);
	for (unsigned i = 0; i < 12; i++) { /* together more than a batch */
		static uint8_t body[PETITION_TEXT_MAX + 256];
		const struct petition petition = { .legal_kind = LEGAL_PETITION, .channel = CHANNEL_LETTER,
			.people = 1, .received_ms = CORES_START_MS, .text = span_str(text) };
		struct draft draft = { .kind = KIND_PETITION, .lane = LANE_NORMAL };
		struct writer w;

		writer_init(&w, body, sizeof(body));
		petition_encode(&petition, &w);
		draft.body = writer_span(&w);
		(void)submit_id(commune, &draft);
	}
	pass_days(cores, 12);
	cr_assert_eq(disclosed_leaves(district, commune, LANE_NORMAL), 13);
	cores_down(commune);
	snprintf(command, sizeof(command), "rm -r '%s' && mv '%s.backup' '%s'", commune->home.path,
		commune->home.path, commune->home.path);
	cr_assert_eq(system(command), 0);
	cores_up(commune);
	put_back(commune);
	pass_days(cores, 2);
	cr_expect_eq(commune->core->author.epoch, 2);
	(void)cores_leaves(commune, commune, LANE_NORMAL, &withheld);
	cr_expect_eq(withheld, 0);
}

/* What a neighbour may try */

/* Sends @from's disclosure to @to, and says what it is answered. */
static uint64_t disclose_as(struct cores_node *from, struct cores_node *to, const struct oplog_id *oplog,
	uint64_t index, struct span record) {
	static uint8_t frame[MESSAGE_MAX];
	struct writer w;

	writer_init(&w, frame, sizeof(frame));
	message_write_disclose(&w, &(struct disclose){ *oplog, index, record });
	cr_assert(writer_ok(&w));
	to->cores->on_frame = count_disclosures;
	n_disclosed = 0;
	last_outcome = UINT64_MAX;
	cores_begin(to);
	core_message(to->core, &from->id, writer_span(&w));
	cores_end(to);
	cores_settle(to->cores);
	to->cores->on_frame = NULL;
	return last_outcome;
}

/* The bytes of a leaf of @of as @node has them, copied. */
static struct span leaf_of(struct cores_node *node, const struct oplog_id *oplog, uint64_t index, uint8_t *buf) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct oplog held;
	struct leaf leaf;
	uint64_t arrival;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(oplog_load(txn, oplog, &held), 0);
	cr_assert_eq(oplog_leaf(txn, &held, index, &leaf, &arrival), 0);
	cr_assert_not(leaf.withheld);
	memcpy(buf, leaf.bytes.data, leaf.bytes.len);
	return (struct span){ buf, leaf.bytes.len };
}

Test(disclosure, is_taken_only_for_the_leaf_it_hashes_to, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	const struct oplog_id id = { commune->id, 1, LANE_NORMAL };
	const struct oplog_id none = { commune->id, 7, LANE_NORMAL };
	uint8_t a[RECORD_MAX], b[RECORD_MAX];
	struct span first, tally;
	uint64_t withheld, n;

	cores_take_petitions(commune, 0, 3);
	cores_settle(cores);
	first = leaf_of(commune, &id, 0, a);
	tally = leaf_of(commune, &id, 1, b);
	n = cores_leaves(province, commune, LANE_NORMAL, &withheld);
	cr_assert_eq(withheld, 3);
	cr_expect_eq(disclose_as(district, province, &id, 2, first), REFUSAL_ROOT, "of another leaf");
	cr_expect_eq(disclose_as(district, province, &id, n, first), REFUSAL_GAP, "of a leaf that is not here yet");
	cr_expect_eq(disclose_as(district, province, &id, UINT64_MAX, first), REFUSAL_GAP);
	cr_expect_eq(disclose_as(district, province, &none, 0, first), REFUSAL_GAP);
	cr_expect_eq(disclose_as(district, province, &id, 1, first), REFUSAL_ROOT, "of one that is not withheld");
	cr_expect_eq(disclose_as(district, province, &id, 1, tally), 0, "which may be said again");
	cr_expect_eq(province->core->refusals[REFUSAL_ROOT], 2, "and it is counted");
	(void)cores_leaves(province, commune, LANE_NORMAL, &withheld);
	cr_expect_eq(withheld, 3, "nothing was kept");
	cr_expect_eq(disclose_as(district, province, &id, 0, first), 0);
	cr_expect_eq(disclose_as(district, province, &id, 0, first), 0, "the same again is no other");
	(void)cores_leaves(province, commune, LANE_NORMAL, &withheld);
	cr_expect_eq(withheld, 2);
	expect_rebuilt(province);
}

Test(disclosure, is_taken_only_from_who_may_send_that_oplog, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(4, 0);
	struct cores_node *top = &cores->nodes[0], *middle = &cores->nodes[1];
	struct cores_node *low = &cores->nodes[2], *village = &cores->nodes[3];
	const struct oplog_id of_village = { village->id, 1, LANE_NORMAL };
	const struct oplog_id of_low = { low->id, 1, LANE_NORMAL };
	const struct oplog_id of_top = { top->id, 1, LANE_NORMAL };
	const struct oplog_id of_nobody = { { { 9 } }, 1, LANE_NORMAL };
	uint8_t buf[RECORD_MAX], other[RECORD_MAX];
	struct span record, lows;

	(void)take_petition(village, 1);
	(void)take_petition(low, 2);
	(void)take_petition(top, 3);
	cores_settle(cores);
	record = leaf_of(village, &of_village, 0, buf);
	lows = leaf_of(low, &of_low, 0, other);
	cr_expect_eq(disclose_as(village, low, &of_low, 0, lows), REFUSAL_NOT_YOURS, "its own, from below");
	cr_expect_eq(disclose_as(village, low, &of_top, 0, record), REFUSAL_NOT_YOURS);
	cr_expect_eq(disclose_as(top, middle, &of_village, 0, record), REFUSAL_NOT_YOURS, "from above");
	cr_expect_eq(disclose_as(low, middle, &of_nobody, 0, record), REFUSAL_UNKNOWN_OFFICE);
	cr_expect_eq(disclose_as(low, middle, &of_village, 0, record), 0);
}

Test(disclosure, is_not_taken_of_an_office_that_was_set_aside, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	const struct oplog_id id = { commune->id, 1, LANE_NORMAL };
	uint8_t buf[RECORD_MAX];
	struct office_row row;
	struct span record;
	struct txn *txn;

	cores_take_petitions(commune, 0, 1);
	cores_settle(cores);
	record = leaf_of(commune, &id, 0, buf);
	cores_down(province);
	province->store = scratch_open(&province->home);
	txn = scratch_txn(province->store);
	cr_assert_eq(offices_get(txn, &commune->id, &row), 0);
	row.forks.found = 2;
	cr_assert_eq(offices_replace(txn, &row), 0);
	cr_assert_eq(store_commit(txn), 0);
	province->store = store_close(province->store);
	cores_up(province);
	cores->now_ms += 90000;
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_expect_eq(disclose_as(district, province, &id, 0, record), REFUSAL_QUARANTINED);
}

Test(disclosure, needs_a_session, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	const struct oplog_id id = { commune->id, 1, LANE_NORMAL };
	uint8_t buf[RECORD_MAX];
	uint64_t withheld;
	struct span record;

	cores_take_petitions(commune, 0, 1);
	cores_settle(cores);
	record = leaf_of(commune, &id, 0, buf);
	cores_down(province);
	cores_up(province);
	cr_expect_eq(disclose_as(district, province, &id, 0, record), UINT64_MAX, "it is not answered");
	(void)cores_leaves(province, commune, LANE_NORMAL, &withheld);
	cr_expect_eq(withheld, 1);
}

/* A petition's record with the id of @n, made past everything that intake would check. */
static struct span make_petition(uint8_t *buf, const struct id *id, const char *text, const struct id *audience) {
	const struct petition petition = { .legal_kind = LEGAL_PETITION, .channel = CHANNEL_LETTER, .people = 1,
		.received_ms = CORES_START_MS, .text = span_str(text) };
	struct record rec = { .kind = KIND_PETITION, .id = *id, .time_ms = CORES_START_MS };
	uint8_t body[512];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	petition_encode(&petition, &w);
	rec.body = writer_span(&w);
	writer_init(&w, buf, RECORD_MAX);
	cr_assert_eq(record_encode(&rec, audience, audience ? 1 : 0, &w), 0);
	return writer_span(&w);
}

/* One batch of leaves, some of them as hashes, of @from's bulk lane from its beginning, to @to. */
static void send_leaves(struct cores_node *to, struct cores_node *from, const struct leaf *leaves, size_t n) {
	static uint8_t plain[1 << 18], frame[MESSAGE_MAX];
	struct batch batch = { .oplog = { from->id, 1, LANE_BULK }, .n = n, .head.size = n };
	struct frontier f;
	struct writer w;

	batch.sequence = core_find_link(to->core, &from->id)->in_sequence;
	frontier_init(&f);
	plain[0] = 0; /* not compressed */
	writer_init(&w, plain + 1, sizeof(plain) - 1);
	write_array(&w, n);
	for (size_t i = 0; i < n; i++) {
		struct hash hash;

		leaf_write(&w, &leaves[i]);
		leaf_hash(&leaves[i], &hash);
		frontier_append(&f, &hash);
	}
	batch.payload = (struct span){ plain, w.len + 1 };
	frontier_root(&f, &batch.head.root);
	cr_assert_eq(head_sign(from->keys.signer, &batch.oplog, &batch.head), 0);
	writer_init(&w, frame, sizeof(frame));
	message_write_batch(&w, &batch);
	cr_assert(writer_ok(&w));
	cores_begin(to);
	core_message(to->core, &from->id, writer_span(&w));
	cores_end(to);
}

static struct leaf hidden(struct span bytes) {
	struct leaf leaf = { .bytes = bytes };

	leaf_withhold(&leaf);
	return leaf;
}

/* Two petitions of one id, of which the one that came first is disclosed last: what counts is what came first. */
Test(disclosure, brings_no_case_to_where_a_rebuild_would_not_bring_it, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(2, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	const struct oplog_id id = { district->id, 1, LANE_BULK };
	const struct id twin = scratch_id(77);
	uint8_t a[RECORD_MAX], b[RECORD_MAX];
	struct span first = make_petition(a, &twin, "Đơn đến trước.", NULL);
	struct span second = make_petition(b, &twin, "Đơn đến sau.", NULL);
	struct leaf leaves[2] = { hidden(first), { .bytes = second } };
	struct case_row row;

	send_leaves(province, district, leaves, 2);
	cr_assert(has_case(province, &twin, &row));
	cr_expect_eq(disclose_as(district, province, &id, 0, first), 0);
	expect_rebuilt(province);
}

/* It was a hash when heads and batches were made of it: as bytes it might not fit where it fitted then. */
Test(disclosure, from_above_goes_no_further_than_to_whom_it_was_told, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	const struct oplog_id id = { province->id, 1, LANE_BULK };
	const struct id petition = scratch_id(7);
	uint8_t buf[RECORD_MAX];
	struct span record = make_petition(buf, &petition, "Gửi xuống.", &commune->id);
	struct leaf leaf = hidden(record);
	uint64_t withheld;

	commune->cut = true;
	cores->now_ms += 90000;
	cores_connect(cores, 1);
	cores_settle(cores);
	send_leaves(district, province, &leaf, 1);
	cr_expect_eq(disclose_as(province, district, &id, 0, record), 0);
	cores_connect(cores, 2);
	cores_settle(cores);
	cr_expect_eq(cores_leaves(commune, province, LANE_BULK, &withheld), 1);
	cr_expect_eq(withheld, 1);
}

Test(disclosure, of_what_counts_when_it_comes_is_refused, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(2, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	const struct oplog_id id = { district->id, 1, LANE_BULK };
	const struct tally_row rows[2] = { { 202406, CATEGORY_LAND, ORGANISATION_FRONT, MEASURE_RECEIVED, 7 },
		{ 202406, CATEGORY_LAND, ORGANISATION_FRONT, MEASURE_RECEIVED, 9 } };
	uint8_t bytes[2][512], body[128];
	struct leaf leaves[3];
	struct span records[2];

	for (unsigned i = 0; i < 2; i++) {
		struct record rec = { .kind = i ? KIND_TALLY : KIND_REPLY, .id = scratch_id(i + 1), .time_ms = CORES_START_MS };
		struct writer w;

		writer_init(&w, body, sizeof(body));
		tally_encode(&rows[i], 1, &w);
		rec.body = writer_span(&w);
		writer_init(&w, bytes[i], sizeof(bytes[i]));
		cr_assert_eq(record_encode(&rec, NULL, 0, &w), 0);
		records[i] = writer_span(&w);
	}
	leaves[0] = hidden(records[1]);
	send_leaves(province, district, leaves, 1);
	cr_expect_eq(province->core->refusals[REFUSAL_WITHHELD], 1, "it must come in full");
	leaves[0] = hidden(records[0]);
	leaves[1] = (struct leaf){ .bytes = records[1] };
	leaves[2] = hidden(span_str("no record at all"));
	send_leaves(province, district, leaves, 3);
	cr_expect_eq(cores_count(province, district, MEASURE_RECEIVED), 9);
	cr_expect_eq(disclose_as(district, province, &id, 0, records[0]), REFUSAL_MALFORMED);
	cr_expect_eq(disclose_as(district, province, &id, 2, span_str("no record at all")), REFUSAL_MALFORMED);
	cr_expect_eq(cores_count(province, district, MEASURE_RECEIVED), 9);
	expect_rebuilt(province);
}

Test(disclosure, a_flood_of_them_ends_the_turn_and_each_is_answered, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(2, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	const struct oplog_id id = { district->id, 1, LANE_BULK };
	uint8_t frame[256];
	struct writer w;

	writer_init(&w, frame, sizeof(frame));
	message_write_disclose(&w, &(struct disclose){ id, 5, span_str("what is not here") });
	cores->on_frame = count_disclosures;
	cores_begin(province);
	for (unsigned i = 0; i < CORE_TURN_RECORDS; i++) {
		cr_assert_lt(core_turn_records(province->core), CORE_TURN_RECORDS);
		core_message(province->core, &district->id, writer_span(&w));
	}
	cr_expect_geq(core_turn_records(province->core), CORE_TURN_RECORDS, "enough for one turn");
	cores_end(province);
	cores_settle(cores);
	cr_expect_eq(n_disclosed, CORE_TURN_RECORDS);
}

/* Who refuses everything is not asked for ever. */
static void refuse_all(struct cores *cores, struct cores_frame *frame) {
	struct message message;
	struct disclosed said;
	struct writer w;

	count_disclosures(cores, frame);
	if (message_decode((struct span){ frame->data, frame->len }, &message) || message.type != MESSAGE_DISCLOSED)
		return;
	while (message_disclosed_next(&message, &said)) {
		uint8_t copy[MESSAGE_MAX];

		if (message.n_held != 1)
			break;
		said.outcome = REFUSAL_ROOT;
		writer_init(&w, copy, sizeof(copy));
		message_write_disclosed(&w, &said, 1);
		cr_assert_eq(w.len, frame->len, "outcomes are of one byte");
		memcpy(frame->data, copy, w.len);
	}
}

Test(disclosure, what_is_refused_waits_for_the_next_session, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct id petition;

	petition = take_petition(commune, 1);
	pass_days(cores, 9);
	cr_assert_eq(n_disclose, 0);
	cores->on_frame = refuse_all;
	pass_days(cores, 1);
	cr_assert_eq(n_disclose, 1);
	for (unsigned i = 0; i < 5; i++) { /* in the same session */
		cores->now_ms += 15000;
		cores_settle(cores);
	}
	cr_expect_eq(n_disclose, 1);
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 1, "it is still due");
	cores->on_frame = count_disclosures;
	take_step(commune, &petition, ACTION_ACCEPTED, "Xã đã nhận.");
	cores_settle(cores);
	cr_expect_eq(n_disclose, 2, "what comes after it is told all the same");
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 1);
	pass_days(cores, 1);
	cr_expect_eq(n_disclose, 3);
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 0);
}

Test(disclosure, a_parent_without_room_takes_it_later, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct id petition = take_petition(commune, 1);
	struct case_row row;

	pass_days(cores, 9);
	cores->on_frame = count_disclosures;
	province->core->full_until_ms = UINT64_MAX;
	pass_days(cores, 1);
	cr_expect_not(has_case(province, &petition, &row));
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 1);
	cr_expect_eq(last_outcome, REFUSAL_FULL);
	province->core->full_until_ms = 0;
	for (unsigned i = 0; i < 3; i++) { /* the session goes on */
		cores->now_ms += 11000;
		cores_settle(cores);
	}
	cr_expect(has_case(province, &petition, &row));
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 0);
}

/* The map is full: what the turn wrote is gone, and nobody was told that it is there. */
Test(disclosure, a_turn_given_up_for_want_of_room_answers_none, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(3, 1 << 1);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	static char text[PETITION_TEXT_MAX + 1];
	const unsigned n = 600;
	unsigned n_cases;

	memset(text, 'a', PETITION_TEXT_MAX);
	for (unsigned i = 0; i < n; i++) {
		static uint8_t body[PETITION_TEXT_MAX + 256];
		const struct petition petition = { .legal_kind = LEGAL_PETITION, .channel = CHANNEL_LETTER,
			.people = 1, .received_ms = CORES_START_MS, .text = span_str(text) };
		struct draft draft = { .kind = KIND_PETITION, .lane = LANE_NORMAL };
		struct writer w;

		writer_init(&w, body, sizeof(body));
		petition_encode(&petition, &w);
		draft.body = writer_span(&w);
		(void)submit_id(commune, &draft);
	}
	pass_days(cores, 9);
	cores_down(province);
	province->store_size = 4 << 20;
	cores_up(province);
	pass_days(cores, 2);
	n_cases = (unsigned)rows_in(province, TABLE_CASES);
	cr_expect_lt(n_cases, n);
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), n - n_cases, "%u are there", n_cases);
	cores_down(province);
	province->store_size = 0;
	cores_up(province);
	pass_days(cores, 2);
	cr_expect_eq(rows_in(province, TABLE_CASES), n);
	cr_expect_eq(rows_in(district, TABLE_DISCLOSURES), 0);
	expect_rebuilt(province);
}

/* Anybody may write a step that says it is of a case; who never held it discloses nothing with it. */
Test(disclosure, is_not_for_steps_of_who_never_held_the_case, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(4, 1 << 2);
	struct cores_node *top = &cores->nodes[0], *middle = &cores->nodes[1];
	struct cores_node *low = &cores->nodes[2], *village = &cores->nodes[3];
	struct id petition = take_petition(low, 1);
	const struct step step = { .petition = petition, .sequence = 1, .action = ACTION_ACCEPTED,
		.date_ms = CORES_START_MS, .text = span_str("Chen vào.") };
	struct record rec = { .kind = KIND_STEP, .time_ms = CORES_START_MS, .id = scratch_id(5) };
	uint8_t body[256], bytes[512];
	struct leaf leaf = { 0 };
	struct case_row row;
	struct writer w;

	village->core->receipts_at_ms = UINT64_MAX; /* its bulk lane is for what follows */
	pass_days(cores, 12);
	cr_assert(has_case(middle, &petition, &row));
	cr_assert(row.escalated);
	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	rec.body = writer_span(&w);
	writer_init(&w, bytes, sizeof(bytes));
	cr_assert_eq(record_encode(&rec, NULL, 0, &w), 0);
	leaf.bytes = writer_span(&w);
	send_leaves(low, village, &leaf, 1);
	cores_settle(cores);
	cr_expect(store_has(low, "Chen vào."));
	cr_expect_not(store_has(top, "Chen vào."));
	cr_expect_not(store_has(middle, "Chen vào."));
	cr_expect_eq(rows_in(low, TABLE_DISCLOSURES), 0);
}

Test(disclosure, a_twin_of_an_own_petition_makes_no_other_tables, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(2, 0);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	const struct oplog_id id = { district->id, 1, LANE_BULK };
	const struct id twin = scratch_id(77);
	uint8_t a[RECORD_MAX], body[512];
	struct span first = make_petition(a, &twin, "x", NULL);
	struct leaf leaves[1] = { hidden(first) };
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct case_row row;

	send_leaves(province, district, leaves, 1);
	draft.id = twin, draft.has_id = true; /* stands for a petition of its own that comes back to an office that was put back */
	cr_assert_eq(cores_submit(province, &draft, 1).result, CONTROL_OK);
	cr_assert(has_case(province, &twin, &row));
	cr_expect_eq(disclose_as(district, province, &id, 0, first), 0);
	expect_rebuilt(province);
}
