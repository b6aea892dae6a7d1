/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * line - when an office keeps the line to its parent closed, and what goes over it all the same
 */
#include "node/core_internal.h"
#include "tests/cores.h"

#define HOUR_MS (3600 * 1000ull)

/* What the transport does in a turn: the line is opened, or closed, as the child wants it. */
static void obey(struct cores *cores, size_t child) {
	struct cores_node *node = &cores->nodes[child];
	struct line_report why;
	bool closed;

	cores_begin(node);
	closed = core_line_closed(node->core, &why);
	if (closed && !node->cut) {
		const struct trouble trouble = { .code = why.why };

		core_link_lost(node->core, &cores->nodes[node->parent].id, &trouble);
	}
	cores_end(node);
	if (!closed && node->cut)
		cores_connect(cores, child);
	node->cut = closed;
}

static void settle(struct cores *cores, size_t child) {
	obey(cores, child);
	cores_settle(cores);
}

static void hold(struct cores_node *node, bool held, uint64_t until_ms) {
	uint8_t command[64];
	struct writer w;

	writer_init(&w, command, sizeof(command));
	control_write_hold_line(&w, 1, held, until_ms);
	cr_assert_eq(cores_ask(node, writer_span(&w)).result, CONTROL_OK);
	obey(node->cores, (size_t)(node - node->cores->nodes));
}

static struct line_report line_of(struct cores_node *node) {
	struct control_status status;
	struct answer answer;
	uint8_t command[64];
	struct writer w;

	writer_init(&w, command, sizeof(command));
	control_write_status(&w, 1);
	answer = cores_ask(node, writer_span(&w));
	cr_assert_eq(control_status_read(&answer, &status), 0);
	return status.line;
}

Test(line, a_paused_line_stays_closed_over_a_restart_until_it_is_resumed, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	uint64_t since_ms;

	since_ms = cores->now_ms;
	hold(commune, true, 0);
	cores->now_ms += HOUR_MS;
	hold(commune, true, 0); /* once more: it is not paused since then */
	cores_take_petitions(commune, 0, 10);
	settle(cores, 1);
	cores_down(commune);
	cores_up(commune);
	settle(cores, 1);
	cr_expect_eq(cores_count(commune, commune, MEASURE_RECEIVED), 10, "intake goes on");
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 0);
	cr_expect_eq(line_of(commune).why, TROUBLE_PAUSED);
	cr_expect_eq(line_of(commune).since_ms, since_ms);
	cr_expect_eq(line_of(commune).until_ms, 0);

	hold(commune, false, 0);
	settle(cores, 1);
	cr_expect_eq(line_of(commune).why, TROUBLE_NONE);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 10);
}

Test(line, a_pause_with_an_end_comes_to_it_though_the_node_was_down, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	uint64_t until_ms;

	until_ms = cores->now_ms + HOUR_MS;
	hold(commune, true, until_ms);
	cores_take_petitions(commune, 0, 10);
	settle(cores, 1);
	cr_expect_eq(line_of(commune).until_ms, until_ms);
	cores_down(commune);
	cores->now_ms += HOUR_MS / 2;
	cores_up(commune);
	settle(cores, 1);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 0);
	cores->now_ms += HOUR_MS / 2;
	settle(cores, 1);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 10);
}

Test(line, a_full_store_can_be_told_to_go_on, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *commune = &cores->nodes[1];

	hold(commune, true, 0);
	commune->core->full_until_ms = UINT64_MAX;
	hold(commune, false, 0);
	cr_expect_eq(line_of(commune).why, TROUBLE_NONE);
}

/* At this time of the first day, in Viet Nam; CORES_START_MS is 7 o'clock there. */
static uint64_t at(unsigned hour, unsigned minute) {
	return CORES_START_MS - 7 * HOUR_MS + hour * HOUR_MS + minute * 60000ull;
}

Test(line, the_hours_begin_and_end_as_they_are_written_also_over_midnight, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *commune = &cores->nodes[1];
	static const struct { unsigned hour, minute; bool open; unsigned until_hour, until_minute; } cases[] = {
		{ 11, 29, false, 11, 30 }, { 11, 30, true, 0, 0 }, { 12, 59, true, 0, 0 }, { 13, 0, false, 22, 0 },
		{ 21, 59, false, 22, 0 }, { 22, 0, true, 0, 0 }, { 23, 59, true, 0, 0 }, { 24, 0, true, 0, 0 }, { 28, 59, true, 0, 0 },
		{ 29, 0, false, 35, 30 },
	};

	commune->config.link_hours[0] = (struct hours){ 11 * 60 + 30, 13 * 60 };
	commune->config.link_hours[1] = (struct hours){ 22 * 60, 5 * 60 };
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct line_report line;

		cores->now_ms = at(cases[i].hour, cases[i].minute) + 59999;
		line = line_of(commune);
		cr_expect_eq(line.why, cases[i].open ? TROUBLE_NONE : TROUBLE_HOURS, "case %zu", i);
		cr_expect_eq(line.until_ms, cases[i].open ? 0 : at(cases[i].until_hour, cases[i].until_minute),
			"case %zu", i);
	}
}

static void take_urgent(struct cores_node *node) {
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1000, true);

	cr_assert_eq(cores_submit(node, &draft, 1).result, CONTROL_OK);
}

Test(line, outside_its_hours_only_what_is_urgent_opens_the_line_and_goes_over_it, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	uint64_t withheld, urgent, above;

	commune->config.link_hours[0] = (struct hours){ 22 * 60, 5 * 60 };
	settle(cores, 1);
	cores->now_ms += 20000;
	settle(cores, 1);
	cr_assert(commune->cut, "nothing waits, so it is closed");
	cores_take_petitions(commune, 0, 10);
	cores_take_petitions(district, 500, 10);
	settle(cores, 1);
	cr_expect(commune->cut);
	above = cores_leaves(commune, district, LANE_NORMAL, &withheld);

	take_urgent(commune);
	urgent = cores_leaves(commune, commune, LANE_URGENT, &withheld);
	settle(cores, 1);
	cr_expect_not(commune->cut);
	cr_expect_eq(cores_leaves(district, commune, LANE_URGENT, &withheld), urgent);
	cr_expect_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), 0, "nothing else went up");
	cr_expect_eq(cores_leaves(commune, district, LANE_NORMAL, &withheld), above, "nor down");
	cores->now_ms += 20000;
	settle(cores, 1);
	cr_expect(commune->cut, "it was for as long as it took");

	cores->now_ms = at(22, 0);
	settle(cores, 1);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 11);
	cr_expect_gt(cores_leaves(commune, district, LANE_NORMAL, &withheld), above);
}

Test(line, a_session_that_was_for_what_is_urgent_is_for_all_when_the_hours_begin, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];

	commune->config.link_hours[0] = (struct hours){ 22 * 60, 5 * 60 };
	cores->now_ms = at(21, 59) + 58000;
	cores_take_petitions(commune, 0, 10);
	take_urgent(commune);
	settle(cores, 1);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 0);
	cores->now_ms = at(22, 0);
	settle(cores, 1);
	cr_expect_not(commune->cut);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 11);
}

Test(line, when_the_bytes_of_a_day_are_used_up_what_is_not_urgent_waits_for_the_next, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	uint64_t withheld;

	commune->config.link_daily_bytes = 20000;
	settle(cores, 1);
	for (unsigned i = 0; i < 100 && line_of(commune).why == TROUBLE_NONE; i++) {
		cores_take_petitions(commune, i, 1);
		settle(cores, 1);
	}
	cr_assert_eq(line_of(commune).why, TROUBLE_BUDGET);
	cr_expect_eq(line_of(commune).until_ms, at(24, 0));
	cr_expect_lt(commune->core->line.n_bytes, 20000 + 4096, "not by much more");
	cores->now_ms += 20000;
	settle(cores, 1);
	cores_take_petitions(commune, 500, 5);
	cores_down(commune);
	cores_up(commune);
	settle(cores, 1);
	cr_expect_eq(line_of(commune).why, TROUBLE_BUDGET, "what is used up is used up after a restart");
	cr_expect(commune->cut);
	take_urgent(commune);
	settle(cores, 1);
	cr_expect_eq(cores_leaves(district, commune, LANE_URGENT, &withheld),
		cores_leaves(commune, commune, LANE_URGENT, &withheld));
	cr_expect_lt(cores_count(district, commune, MEASURE_RECEIVED),
		cores_count(commune, commune, MEASURE_RECEIVED));
	cores->now_ms += 20000;
	settle(cores, 1); /* it is closed again */
	cores->now_ms = at(24, 0);
	settle(cores, 1);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED),
		cores_count(commune, commune, MEASURE_RECEIVED));
}
