/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/visibility.h"

#include "node/core_internal.h"
#include "tests/cores.h"

/* What an office is expected to be said to have: "record one-level-up", with "+" behind it where it is known. */
static void expect(struct cores_node *at, const struct place *place, const char *const *want, size_t n_want) {
	const struct tool tool = { .home = at->home.dir };
	struct level levels[VISIBILITY_LEVELS_MAX];
	struct home home;
	size_t n = 0;

	cores_down(at); /* a store is open once in a process */
	cr_assert_eq(home_open(&tool, &home), DONE);
	cr_assert_eq(visibility_of(&home, place, levels, &n), 0);
	cr_expect_eq(n, n_want, "%zu levels", n);
	for (size_t i = 0; i < n && i < n_want; i++) {
		char code[16] = "", got[128];

		if (levels[i].by)
			office_code(&levels[i].by->office, code);
		snprintf(got, sizeof(got), "%s %s%s%s%s", words_name(&words_holding, levels[i].holds),
			words_name(&words_sight, levels[i].why), levels[i].by ? " " : "", code,
			levels[i].known ? " +" : "");
		cr_expect_str_eq(got, want[i], "level %zu", i);
	}
	home_close(&home);
	cores_up(at);
}

#define EXPECT(at, place, ...) \
	do { \
		const char *const want[] = { __VA_ARGS__ }; \
		expect(at, place, want, N_ELEMENTS(want)); \
	} while (0)

/* province 27, district 260, commune 09302, village 09303; only those that are told to find anything do. */
static struct cores *tree(unsigned watching) {
	struct cores *cores = cores_new(4);

	for (size_t i = 0; i < cores->n; i++) {
		cores->nodes[i].config.n_rules = 0;
		if (!(watching & (1u << i)))
			continue;
		cores->nodes[i].config.rules[0] = (struct rule){ .name = "all", .cause = CAUSE_PEOPLE,
			.scope = RULE_SEEN, .at_least = 1, .lane = LANE_URGENT };
		cores->nodes[i].config.n_rules = 1;
	}
	return cores;
}

static struct place first_of(const struct cores_node *node) {
	return (struct place){ { node->id, 1, LANE_NORMAL }, 0 };
}

/* Down and up again in expect(): sessions begin again. */
static void connect_all(struct cores *cores) {
	cores->now_ms += 90000;
	for (size_t i = 1; i < cores->n; i++)
		if (!cores->nodes[i].cut)
			cores_connect(cores, i);
	cores_settle(cores);
}

Test(visibility, detail_is_read_one_level_up, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(0);
	struct cores_node *nodes = cores->nodes;
	struct place place = first_of(&nodes[3]);

	cores_take_petitions(&nodes[3], 0, 1);
	cores_settle(cores);
	EXPECT(&nodes[3], &place, "record origin +", "record one-level-up +", "hash rule", "hash rule");
	EXPECT(&nodes[2], &place, "record origin", "record one-level-up +", "hash rule +", "hash rule");
	EXPECT(&nodes[1], &place, "record origin", "record one-level-up", "hash rule +", "hash rule +");
	EXPECT(&nodes[0], &place, "record origin", "record one-level-up", "hash rule", "hash rule +");
}

Test(visibility, an_escalation_discloses_one_level_further, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(1 << 2);
	struct cores_node *nodes = cores->nodes;
	struct place place = first_of(&nodes[3]);

	cores_take_petitions(&nodes[3], 0, 1);
	cores_settle(cores);
	EXPECT(&nodes[3], &place, "record origin +", "record one-level-up +", "record escalated 09302", "hash rule");
	EXPECT(&nodes[2], &place, "record origin", "record one-level-up +", "record escalated 09302 +", "hash rule");
	EXPECT(&nodes[1], &place, "record origin", "record one-level-up +", "record escalated 09302 +", "hash rule +");
	EXPECT(&nodes[0], &place, "record origin", "record one-level-up", "hash rule", "hash rule +");
}

Test(visibility, what_has_not_arrived_or_is_being_disclosed_is_said_so, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(1 << 2);
	struct cores_node *nodes = cores->nodes;
	struct place place = first_of(&nodes[3]);

	nodes[3].cut = true;
	cores_take_petitions(&nodes[3], 0, 1);
	cores_settle(cores);
	EXPECT(&nodes[3], &place, "record origin +", "nothing not-yet +", "nothing not-yet", "nothing not-yet");
	nodes[2].cut = true;
	cores_connect(cores, 3);
	cores_settle(cores);
	EXPECT(&nodes[2], &place, "record origin", "record one-level-up +", "nothing not-yet +", "nothing not-yet");
	nodes[1].core->full_until_ms = UINT64_MAX; /* it takes nothing in */
	nodes[2].cut = false;
	connect_all(cores);
	EXPECT(&nodes[2], &place, "record origin", "record one-level-up +", "nothing not-yet +", "nothing not-yet");
}

Test(visibility, a_disclosure_that_was_not_answered_is_under_way, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(0);
	struct cores_node *nodes = cores->nodes;
	struct place place = first_of(&nodes[3]);

	cores_take_petitions(&nodes[3], 0, 1);
	cores_settle(cores);
	nodes[2].cut = true;
	nodes[2].config.rules[0] = (struct rule){ .name = "late", .cause = CAUSE_OVERDUE, .scope = RULE_SEEN,
		.state = CASE_RECEIVED, .days = 1, .lane = LANE_URGENT };
	nodes[2].config.n_rules = 1;
	cores->now_ms += 3 * 86400000ull;
	cores_settle(cores);
	EXPECT(&nodes[2], &place, "record origin", "record one-level-up +", "hash disclosing +", "hash rule");
	nodes[2].cut = false;
	connect_all(cores);
	EXPECT(&nodes[2], &place, "record origin", "record one-level-up +", "record escalated 09302 +", "hash rule");
}

Test(visibility, an_office_that_tells_less_is_named, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(0);
	struct cores_node *nodes = cores->nodes;
	struct place place = first_of(&nodes[3]);

	cores_down(&nodes[3]);
	nodes[3].config.detail = DETAIL_ESCALATED;
	cores_up(&nodes[3]);
	connect_all(cores);
	cores_take_petitions(&nodes[3], 0, 1);
	cores_settle(cores);
	EXPECT(&nodes[3], &place, "record origin +", "hash configuration 09303 +", "hash rule", "hash rule");
	EXPECT(&nodes[2], &place, "record origin", "hash configuration 09303 +", "hash rule +", "hash rule");
}

static void set_detail(struct cores_node *node, enum detail detail) {
	cores_down(node);
	node->config.detail = detail;
	cores_up(node);
	connect_all(node->cores);
}

/* What was sent by one setting is not said to have been sent by the next. */
Test(visibility, what_was_sent_before_the_setting_changed_is_not_known, .timeout = 60) {
	for (unsigned first = 0; first < 2; first++) {
		_cleanup_(cores_freep) struct cores *cores = tree(0);
		struct cores_node *nodes = cores->nodes;
		const char *const seen[] = { first ? "hash configuration 09303" : "record one-level-up",
			first ? "record one-level-up" : "hash configuration 09303" };
		char known[2][64];
		struct place place = first_of(&nodes[3]);

		snprintf(known[0], sizeof(known[0]), "%s +", seen[0]);
		snprintf(known[1], sizeof(known[1]), "%s +", seen[1]);
		if (first)
			set_detail(&nodes[3], DETAIL_ESCALATED);
		cores_take_petitions(&nodes[3], 0, 1);
		cores_settle(cores);
		EXPECT(&nodes[3], &place, "record origin +", known[0], "hash rule", "hash rule");
		set_detail(&nodes[3], first ? DETAIL_ALL : DETAIL_ESCALATED);
		EXPECT(&nodes[3], &place, "record origin +", seen[1], "hash rule", "hash rule");
		EXPECT(&nodes[2], &place, "record origin", known[0], "hash rule +", "hash rule");
		connect_all(cores);
		cores_take_petitions(&nodes[3], 1, 1);
		cores_settle(cores);
		place.index = 2; /* after the counts of the first */
		EXPECT(&nodes[3], &place, "record origin +", known[1], "hash rule", "hash rule");
		EXPECT(&nodes[2], &place, "record origin", known[1], "hash rule +", "hash rule");
	}
}

Test(visibility, what_came_from_above_is_there_for_whom_it_was_addressed_to, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(0);
	struct cores_node *nodes = cores->nodes;
	struct place place = first_of(&nodes[1]);

	cores_take_petitions(&nodes[1], 0, 1);
	cores_settle(cores);
	EXPECT(&nodes[3], &place, "hash withheld +", "record origin", "record one-level-up");
	EXPECT(&nodes[1], &place, "record origin +", "record one-level-up +");
}

Test(visibility, what_is_handed_over_is_read_by_whom_it_was_handed_to, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(0);
	struct cores_node *nodes = cores->nodes;
	struct place place = first_of(&nodes[3]);
	struct step step = { .action = ACTION_HANDED_OVER, .date_ms = CORES_START_MS + 1000, .office = nodes[2].id };
	struct draft draft;
	struct answer answer;
	uint8_t body[512];
	struct writer w;

	cores_down(&nodes[3]);
	nodes[3].config.detail = DETAIL_ESCALATED;
	cores_up(&nodes[3]);
	connect_all(cores);
	draft = cores_petition(body, sizeof(body), 1, false);
	answer = cores_submit(&nodes[3], &draft, 1);
	read_array(&answer.values, 1, 1);
	read_array(&answer.values, 3, 3);
	(void)read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &step.petition);
	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	draft = (struct draft){ .kind = KIND_STEP, .lane = LANE_NORMAL, .body = writer_span(&w) };
	cr_assert_eq(cores_submit(&nodes[3], &draft, 1).result, CONTROL_OK);
	cores_settle(cores);
	EXPECT(&nodes[3], &place, "record origin +", "record handed-over 09303 +", "hash rule", "hash rule");
	EXPECT(&nodes[2], &place, "record origin", "record handed-over 09303 +", "hash rule +", "hash rule");
}

Test(visibility, an_escalation_goes_all_the_way, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(1 << 3);
	struct cores_node *nodes = cores->nodes;
	struct place place = { { nodes[3].id, 1, LANE_URGENT }, 0 };

	cores_take_petitions(&nodes[3], 0, 1);
	cores_settle(cores);
	EXPECT(&nodes[3], &place, "record origin +", "record all-levels +", "record all-levels", "record all-levels");
	EXPECT(&nodes[0], &place, "record origin", "record all-levels +", "record all-levels +", "record all-levels +");
}

/* @asker asks for the first petition of the village, and the office below it grants it. */
static void grant_first(struct cores_node *asker) {
	struct cores_node *village = &asker->cores->nodes[3];
	const struct inquiry inquiry = { .asked = village->id, .oplog = { village->id, 1, LANE_NORMAL },
		.who = span_str("minh"), .reason = span_str("Dân hỏi.") };
	struct answer answer;
	uint8_t buf[512];
	struct writer w;
	struct id id;

	writer_init(&w, buf, sizeof(buf));
	control_write_ask(&w, 1, &inquiry);
	answer = cores_ask(asker, writer_span(&w));
	(void)read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &id);
	cores_settle(asker->cores);
	writer_init(&w, buf, sizeof(buf));
	control_write_reply(&w, 1, COMMAND_GRANT, &id, span_str("lan"), span_str(""));
	cr_assert_eq(cores_ask(asker + 1, writer_span(&w)).result, CONTROL_OK);
	cores_settle(asker->cores);
}

/* An answer is for who asked, whatever else the office is set to tell. */
Test(visibility, an_answer_is_read_above_also_where_less_is_told, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(0);
	struct cores_node *nodes = cores->nodes;
	struct place place = { { nodes[3].id, 1, LANE_URGENT }, 0 };

	set_detail(&nodes[3], DETAIL_ESCALATED);
	cores_take_petitions(&nodes[3], 0, 1);
	cores_settle(cores);
	grant_first(&nodes[2]);
	EXPECT(&nodes[3], &place, "record origin +", "record one-level-up +", "hash rule", "hash rule");
	EXPECT(&nodes[2], &place, "record origin", "record one-level-up +", "hash rule +", "hash rule");
	place = first_of(&nodes[3]);
	connect_all(cores);
	EXPECT(&nodes[3], &place, "record origin +", "record granted 09303 +", "hash rule", "hash rule");
	set_detail(&nodes[3], DETAIL_ALL); /* by this setting nothing has to be disclosed, and nobody can say */
	EXPECT(&nodes[3], &place, "record origin +", "record one-level-up", "hash rule", "hash rule");
	set_detail(&nodes[3], DETAIL_ESCALATED);
	EXPECT(&nodes[3], &place, "record origin +", "record granted 09303 +", "hash rule", "hash rule");
	place.oplog.lane = LANE_URGENT;
	EXPECT(&nodes[3], &place, "record origin +", "record one-level-up +", "hash rule", "hash rule");
}

Test(visibility, a_receipt_goes_all_the_way, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(0);
	struct cores_node *nodes = cores->nodes;
	struct place place = { { nodes[2].id, 1, LANE_BULK }, 2 }; /* after those of the two offices above */

	cores_take_petitions(&nodes[3], 0, 1);
	cores_settle(cores);
	for (unsigned i = 0; i < 12; i++) {
		cores->now_ms += 60000;
		connect_all(cores);
	}
	EXPECT(&nodes[2], &place, "record origin +", "record all-levels +", "record all-levels");
	EXPECT(&nodes[3], &place, "record audience +", "record origin", "record all-levels", "record all-levels");
}

Test(visibility, what_was_granted_is_read_by_who_asked, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = tree(0);
	struct cores_node *nodes = cores->nodes;
	struct place place = first_of(&nodes[3]);

	cores_take_petitions(&nodes[3], 0, 1);
	cores_settle(cores);
	grant_first(&nodes[1]);
	EXPECT(&nodes[3], &place, "record origin +", "record one-level-up +", "record granted 09302", "hash rule");
	EXPECT(&nodes[2], &place, "record origin", "record one-level-up +", "record granted 09302 +", "hash rule");
	EXPECT(&nodes[1], &place, "record origin", "record one-level-up +", "record granted 09302 +", "hash rule +");
}
