/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An office goes from one parent to another, and perhaps back. */
#include <time.h>

#include "proto/enrol.h"
#include "proto/kinds/escalation.h"
#include "tests/lives.h"

/* A province, two districts, and a commune of the first. */
static struct cores *two_districts(void) {
	struct cores *cores = cores_new(2);

	cores_add(cores, 0);
	cores_add(cores, 1);
	cores_connect(cores, 2);
	cores_connect(cores, 3);
	cores_settle(cores);
	return cores;
}

Test(moves, an_office_moves_to_another_parent_with_all_that_it_has, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *province = &cores->nodes[0], *from = &cores->nodes[1], *to = &cores->nodes[2],
			  *commune = &cores->nodes[3];
	uint64_t before, withheld;

	cr_assert_eq(rotate(commune, 100), CONTROL_OK); /* its request is of the time before */
	cores_take_petitions(commune, 0, 40);
	cores_settle(cores);
	before = cores_leaves(from, commune, LANE_NORMAL, &withheld);
	cr_expect_eq(move_office(from, commune, from), CONTROL_NOT_THERE);
	cr_expect_eq(move_office(province, commune, to), CONTROL_NOT_BELOW);
	cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
	cores_settle(cores);
	cr_expect(id_eq(&known(province, commune)->office.parent, &to->id));
	cr_expect_null(core_child_by_curve(from->core, known(from, commune)->office.curve_key));
	cores_take_petitions(commune, 100, 10); /* between the two it works on */
	cores_settle(cores);
	cr_expect_eq(cores_leaves(from, commune, LANE_NORMAL, &withheld), before);

	cores_join(cores, 3, 2);
	cores_connect(cores, 3);
	cores_settle(cores);
	for (size_t i = 0; i < 4; i++) {
		if (&cores->nodes[i] == from)
			continue;
		cr_expect_eq(cores_count(&cores->nodes[i], commune, MEASURE_RECEIVED), 50, "node %zu", i);
		expect_all(&cores->nodes[i], commune);
		cr_expect_eq(known(&cores->nodes[i], commune)->former.n, 1);
	}
	for (size_t i = 0; i < 4; i++)
		cr_expect(id_eq(&known(&cores->nodes[i], commune)->office.parent, &to->id), "node %zu", i);
	cr_expect_eq(cores_leaves(to, commune, LANE_NORMAL, &withheld), 100);
	cr_expect_eq(withheld, 0, "the new office above reads all of it");
	cr_expect_eq(cores_leaves(from, commune, LANE_NORMAL, &withheld), before, "and what the old one had stays");
	cores_down(commune);
	cores_up(commune);
	cores_connect(cores, 3);
	cores_take_petitions(commune, 200, 1);
	cores_settle(cores);
	cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 51);
	expect_rebuilt(province);
}

Test(moves, it_does_not_matter_who_says_first_that_an_office_has_moved, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *province = &cores->nodes[0], *from = &cores->nodes[1], *to = &cores->nodes[2],
			  *commune = &cores->nodes[3];

	from->cut = true; /* the province hears of it from the new one first */
	cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
	cores_settle(cores);
	cores_join(cores, 3, 2);
	cores_connect(cores, 3);
	cr_assert_eq(change(to, commune, "Xã Mới", OFFICE_ACTIVE), CONTROL_OK);
	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	cr_expect(id_eq(&known(province, commune)->office.parent, &from->id), "one district's word takes no office over");
	cores_connect(cores, 1);
	cores->now_ms += 20000;
	cores_settle(cores);
	cr_expect(id_eq(&known(province, commune)->office.parent, &to->id));
	cr_expect(span_eq(known(province, commune)->office.name, span_str("Xã Mới")));
	for (unsigned i = 0; i < 40; i++) { /* on the same line, which did not break */
		cores->now_ms += 10000;
		cores_settle(cores);
	}
	cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 5);
}

/* Accepted below, handed over, and answered above. */
static struct id answered_above(struct cores *cores, struct cores_node *below, struct cores_node *above) {
	struct id id = take_one(below);

	cr_assert_eq(step_to(below, &id, ACTION_ACCEPTED, NULL), CONTROL_OK);
	cr_assert_eq(step_to(below, &id, ACTION_HANDED_OVER, &above->id), CONTROL_OK);
	cores_settle(cores);
	cr_assert_eq(step_to(above, &id, ACTION_RESOLVED, NULL), CONTROL_OK);
	cr_assert_eq(step_to(above, &id, ACTION_ANSWERED, NULL), CONTROL_OK);
	cores_settle(cores);
	return id;
}

Test(moves, what_a_former_parent_did_goes_on_counting, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *from = &cores->nodes[1], *to = &cores->nodes[2], *commune = &cores->nodes[3];

	(void)answered_above(cores, commune, from);
	cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
	cores_settle(cores);
	cores_join(cores, 3, 2);
	cores_connect(cores, 3);
	cores_settle(cores);
	for (size_t i = 0; i < 4; i++)
		expect_rebuilt(&cores->nodes[i]);
	cr_expect_eq(cores_count(&cores->nodes[0], commune, MEASURE_ANSWERED), 1);
}

/* What a register says of an office, but for what only those know who hear both its parents. */
static void expect_below(struct cores *cores, const struct cores_node *of, const struct cores_node *parent,
	const struct cores_node *deaf) {
	for (size_t i = 0; i < cores->n; i++) {
		struct cores_node *node = &cores->nodes[i];
		const struct register_entry *entry = register_find(&node->core->reg, &of->id);

		if (!entry || node == deaf)
			continue;
		cr_expect(id_eq(&entry->row.office.parent, &parent->id), "node %zu", i);
		cr_expect_eq(entry->row.office.state, OFFICE_ACTIVE, "node %zu", i);
		cr_expect(span_eq(entry->row.office.name, known(&cores->nodes[0], of)->office.name), "node %zu", i);
	}
}

/* A record of an office in which @speaker says that it is below @parent. */
struct word {
	const struct id *speaker, *parent;
	uint8_t tenure;
	const char *name;
};

static const struct id office = { { 9, [15] = 1 } }, first = { { 1, [15] = 1 } }, second = { { 1, [15] = 2 } },
		       third = { { 1, [15] = 3 } };

static void say(struct fold *fold, struct txn *txn, const struct word *word) {
	struct office said = { .id = office, .parent = *word->parent, .code = 9163, .code_digits = 5,
		.state = OFFICE_ACTIVE, .level = span_str("commune"), .name = span_str(word->name), .tenure = word->tenure,
		.valid_from_ms = 1000 + (uint64_t)word->name[0] };
	const struct oplog_id oplog = { *word->speaker, 1, LANE_URGENT };
	struct record rec = { .kind = KIND_OFFICE, .id = { { 9, [15] = 1 } } };
	uint8_t body[OFFICE_BODY_MAX];
	struct writer w;

	if (strcmp(word->name, "revoked") == 0) {
		said.state = OFFICE_REVOKED;
		said.has_end = true;
		said.end.epoch = 1;
	}
	writer_init(&w, body, sizeof(body));
	office_encode(&said, &w);
	rec.body = writer_span(&w);
	cr_assert_geq(fold_apply(fold, txn, &oplog, 0, 1, 1, &rec), 0);
}

static void begin_register(struct txn *txn, struct fold *ret_fold) {
	struct office own = { .id = { { 8 } }, .code = 27, .code_digits = 2, .level = span_str("province"),
		.name = span_str("A"), .state = OFFICE_ACTIVE };
	uint32_t number;

	cr_assert_eq(offices_put(txn, &own, &(struct office_former){ 0 }, &number), 0);
	cr_assert_eq(offices_set_own(txn, &own.id, 1), 0);
	own.parent = own.id;
	for (uint8_t who = 1; who <= 3; who++) {
		own.id = (struct id){ { 1, [15] = who } };
		cr_assert_eq(offices_put(txn, &own, &(struct office_former){ 0 }, &number), 0);
	}
	cr_assert_eq(fold_init(ret_fold, txn, NULL), 0);
}

/* The register after the words came, @order saying from which of the speakers each was. */
static struct office_row row_after(const struct word *const words[3], const size_t n[3], const uint8_t *order) {
	struct scratch home = scratch_new();
	struct store *store = scratch_store(&home);
	struct txn *txn = scratch_txn(store);
	size_t next[3] = { 0 }, n_all = n[0] + n[1] + n[2];
	struct fold fold;
	struct office_row row;

	begin_register(txn, &fold);
	for (size_t i = 0; i < n_all; i++)
		say(&fold, txn, &words[order[i]][next[order[i]]++]);
	cr_assert_eq(offices_get(txn, &office, &row), 0);
	fold_done(&fold);
	store_abort(txn);
	store_close(store);
	scratch_done(&home);
	return row;
}

/* Every order in which the logs of three offices can come, each of them in its own; the first word is known. */
static unsigned try_orders(const struct word *const words[3], const size_t n[3], uint8_t *order, size_t at,
	struct office_row *want) {
	unsigned tried = 0;
	size_t used[3] = { 0 };

	for (size_t i = 0; i < at; i++)
		used[order[i]]++;
	if (at == n[0] + n[1] + n[2]) {
		struct office_row row = row_after(words, n, order);

		if (want->number == 0)
			*want = row;
		cr_expect(id_eq(&row.office.parent, &want->office.parent));
		cr_expect_eq(row.office.tenure, want->office.tenure);
		cr_expect_eq(row.office.state, want->office.state);
		cr_expect_eq(row.office.valid_from_ms, want->office.valid_from_ms);
		cr_expect_eq(row.name[0], want->name[0]);
		cr_expect_eq(row.parents.n, want->parents.n);
		cr_expect_eq(memcmp(row.parents.list, want->parents.list, row.parents.n * sizeof(row.parents.list[0])), 0);
		return 1;
	}
	for (uint8_t who = 0; who < 3; who++) {
		if (used[who] == n[who] || (at == 0 && who > 0))
			continue;
		order[at] = who;
		tried += try_orders(words, n, order, at + 1, want);
	}
	return tried;
}

Test(moves, a_register_is_the_same_whatever_order_the_words_of_parents_came_in, .timeout = 300) {
	static const struct {
		struct word words[3][6];
		const struct id *parent;
		uint8_t state;
		size_t n_parents;
	} cases[] = {
		/* there, with another name, and back, with another still */
		{ { { { &first, &first, 0, "a" }, { &first, &second, 0, "a" }, { &first, &first, 1, "c" } },
			  { { &second, &second, 0, "a" }, { &second, &second, 0, "b" }, { &second, &first, 0, "b" } } },
			&first, OFFICE_ACTIVE, 2 },
		/* taken back, since the new one said nothing; and handed over again */
		{ { { { &first, &first, 0, "a" }, { &first, &second, 0, "a" }, { &first, &first, 1, "b" },
				{ &first, &second, 1, "b" } }, { { &second, &second, 1, "c" } } },
			&second, OFFICE_ACTIVE, 3 },
		/* taken back, and the new one did speak, and goes on speaking as one that never heard of it */
		{ { { { &first, &first, 0, "a" }, { &first, &second, 0, "a" }, { &first, &first, 1, "b" },
				{ &first, &second, 1, "b" } }, { { &second, &second, 0, "c" }, { &second, &second, 0, "d" } } },
			&second, OFFICE_ACTIVE, 1 },
		/* revoked in time */
		{ { { { &first, &first, 0, "a" }, { &first, &second, 0, "a" }, { &first, &first, 1, "revoked" } } },
			&first, OFFICE_REVOKED, 2 },
		/* from one to the next, of which one says so only later */
		{ { { { &first, &first, 0, "a" }, { &first, &second, 0, "a" } },
			  { { &second, &second, 0, "b" }, { &second, &third, 0, "b" } },
			  { { &third, &third, 0, "c" }, { &third, &first, 0, "c" } } },
			&first, OFFICE_MOVING, 3 },
		/* whom nobody gave it cannot have it, nor give it away */
		{ { { { &first, &first, 0, "a" }, { &first, &second, 0, "a" } },
			  { { &second, &second, 0, "b" } },
			  { { &third, &third, 0, "c" }, { &third, &first, 0, "c" }, { &third, &third, 1, "d" } } },
			&second, OFFICE_ACTIVE, 1 },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct word *const words[3] = { cases[i].words[0], cases[i].words[1], cases[i].words[2] };
		struct office_row row = { 0 };
		uint8_t order[18];
		size_t n[3] = { 0 };

		for (size_t who = 0; who < 3; who++)
			while (n[who] < 6 && words[who][n[who]].speaker)
				n[who]++;
		cr_expect_gt(try_orders(words, n, order, 0, &row), 0);
		cr_expect(id_eq(&row.office.parent, cases[i].parent), "case %zu", i);
		cr_expect_eq(row.office.state, cases[i].state, "case %zu", i);
		cr_expect_eq(row.parents.n, cases[i].n_parents, "case %zu", i);
	}
}

Test(moves, no_office_moves_that_forked_and_is_not_settled, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *from = &cores->nodes[1], *to = &cores->nodes[2], *commune = &cores->nodes[3];
	struct scratch copy = keep_copy(commune);

	cores_connect(cores, 3);
	cores_take_petitions(commune, 100, 30);
	cores_settle(cores);
	exchange(commune, &copy);
	cores_take_petitions(commune, 500, 40);
	reconnect(cores, 3);
	cr_assert_eq(known(from, commune)->forks.found, 2);
	cr_expect_eq(move_office(from, commune, to), CONTROL_FORKED);
	cr_expect_eq(unfork(from, commune), CONTROL_OK);
	restart_restored(commune);
	reconnect_all(cores);
	cr_expect_eq(move_office(from, commune, to), CONTROL_OK);
	scratch_done(&copy);
}

Test(moves, an_office_comes_back_and_goes_again, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *province = &cores->nodes[0], *from = &cores->nodes[1], *to = &cores->nodes[2],
			  *commune = &cores->nodes[3], *village;

	cores_add(cores, 3);
	village = &cores->nodes[4];
	reconnect_all(cores);
	for (unsigned round = 0; round < 3; round++) {
		cr_assert_eq(move_office(from, commune, to), CONTROL_OK, "round %u", round);
		cores_settle(cores);
		cores_join(cores, 3, 2);
		cr_assert_eq(change(to, commune, "Xã Mới", OFFICE_ACTIVE), CONTROL_OK);
		cores_take_petitions(commune, 100 * round, 3);
		reconnect_all(cores);
		expect_below(cores, commune, to, from);
		cr_expect_eq(known(province, commune)->parents.n, 2 * round + 1);
		cr_assert_eq(move_office(to, commune, from), CONTROL_OK);
		cores_settle(cores);
		cores_join(cores, 3, 1);
		cr_assert_eq(change(from, commune, "Xã Cũ", OFFICE_ACTIVE), CONTROL_OK);
		cores_take_petitions(village, 100 * round, 2);
		reconnect_all(cores);
		expect_below(cores, commune, from, to);
		expect_below(cores, village, commune, NULL);
	}
	cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 9);
	cr_expect_eq(cores_count(province, village, MEASURE_RECEIVED), 6);
	for (size_t i = 0; i < cores->n; i++)
		expect_rebuilt(&cores->nodes[i]);
	cr_assert_eq(move_office(from, commune, to), CONTROL_OK, "the seventh");
	cr_assert_eq(move_office(from, commune, from), CONTROL_OK, "taken back");
	cr_expect_eq(move_office(from, commune, to), CONTROL_TOO_MANY, "it could not be taken back from there");
}

Test(moves, a_move_is_undone_by_who_made_it_until_the_new_parent_has_spoken, .timeout = 120) {
	for (unsigned back = 0; back < 3; back++) {
		_cleanup_(cores_freep) struct cores *cores = two_districts();
		struct cores_node *province = &cores->nodes[0], *from = &cores->nodes[1], *to = &cores->nodes[2],
				  *commune = &cores->nodes[3];

		cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
		cores_settle(cores);
		cr_expect_eq(move_office(to, commune, from), CONTROL_NOT_BELOW);
		cr_expect_eq(change(province, commune, NULL, OFFICE_REVOKED), CONTROL_NOT_BELOW);
		cr_expect_eq(change(from, commune, "Xã Khác", OFFICE_ACTIVE), CONTROL_NOT_BELOW);
		if (back == 2) {
			cr_expect_eq(change(from, commune, NULL, OFFICE_REVOKED), CONTROL_OK);
			cores_settle(cores);
			cr_expect_eq(known(province, commune)->office.state, OFFICE_REVOKED);
			cr_expect_eq(known(from, commune)->office.state, OFFICE_REVOKED);
			cr_expect_eq(move_office(from, commune, from), CONTROL_REVOKED);
			continue;
		}
		if (back == 0)
			cr_expect_eq(move_office(from, commune, from), CONTROL_OK);
		cores_join(cores, 3, 1);
		cores_take_petitions(commune, 0, 5);
		reconnect_all(cores);
		for (size_t i = 0; i < cores->n; i++)
			if (&cores->nodes[i] != to)
				cr_expect(id_eq(&known(&cores->nodes[i], commune)->office.parent, &from->id), "node %zu", i);
		cr_expect_eq(known(province, commune)->office.state, OFFICE_ACTIVE);
		cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 5);
		cr_expect_eq(change(from, commune, "Xã Khác", OFFICE_ACTIVE), CONTROL_OK);
		cores_settle(cores);
		expect_below(cores, commune, from, to);
		expect_rebuilt(province);
	}
}

Test(moves, what_is_above_has_all_of_an_office_before_it_leaves, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *from = &cores->nodes[1], *to = &cores->nodes[2], *commune = &cores->nodes[3];

	cores_add(cores, 3);
	reconnect_all(cores);
	from->cut = true;
	cores_take_petitions(&cores->nodes[4], 0, 5); /* also of those below it */
	cores_settle(cores);
	cr_expect_eq(move_office(from, commune, to), CONTROL_BEHIND);
	cores_connect(cores, 1);
	cores_take_petitions(to, 0, 5);
	cores_settle(cores);
	cr_expect_eq(move_office(from, commune, to), CONTROL_OK);
	cores_settle(cores);
	cores_join(cores, 3, 2);
	reconnect_all(cores);
	cr_expect_eq(cores_count(&cores->nodes[0], &cores->nodes[4], MEASURE_RECEIVED), 5);
}

Test(moves, an_office_works_while_it_moves, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *from = &cores->nodes[1], *to = &cores->nodes[2], *commune = &cores->nodes[3];
	struct id id;

	cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
	cores_settle(cores);
	cr_expect(id_eq(&known(commune, commune)->office.parent, &to->id), "it hears of it");
	cr_expect_str_eq(core_parent_address(commune->core), "");
	id = take_one(commune);
	cr_expect_eq(step_to(commune, &id, ACTION_ACCEPTED, NULL), CONTROL_OK);
	cr_expect_eq(step_to(commune, &id, ACTION_HANDED_OVER, &from->id), CONTROL_NOT_ABOVE);
	cr_expect_eq(step_to(commune, &id, ACTION_HANDED_OVER, &to->id), CONTROL_OK);
	cores_join(cores, 3, 2);
	reconnect_all(cores);
	cr_expect_eq(step_to(to, &id, ACTION_RESOLVED, NULL), CONTROL_OK);
	cores_settle(cores);
	cr_expect_eq(step_to(commune, &id, ACTION_ANSWERED, NULL), CONTROL_NOT_HOLDER);
	for (size_t i = 0; i < cores->n; i++)
		expect_rebuilt(&cores->nodes[i]);
}

static struct case_row case_at(struct cores_node *node, const struct id *id) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct case_row row;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(cases_get(txn, id, &row), 0);
	return row;
}

static void find_late(struct cores_node *node) {
	node->config.rules[0] = (struct rule){ .name = "commune-is-late", .cause = CAUSE_OVERDUE, .scope = RULE_SEEN,
		.state = CASE_RECEIVED, .days = 20, .lane = LANE_NORMAL };
	node->config.n_rules = 1;
}

/* What its former parent does about it does not come here any more: it is nobody's to find late. */
Test(moves, no_clock_runs_for_what_a_former_parent_holds, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *province = &cores->nodes[0], *from = &cores->nodes[1], *to = &cores->nodes[2],
			  *commune = &cores->nodes[3];
	struct id id = take_one(commune);

	find_late(to);
	cr_assert_eq(step_to(commune, &id, ACTION_HANDED_OVER, &from->id), CONTROL_OK);
	cores_settle(cores);
	cr_expect_eq(move_office(from, commune, to), CONTROL_HOLDS_CASES);
	cr_assert_eq(step_to(from, &id, ACTION_ACCEPTED, NULL), CONTROL_OK);
	cr_assert_eq(step_to(from, &id, ACTION_RESOLVED, NULL), CONTROL_OK);
	cr_assert_eq(step_to(from, &id, ACTION_ANSWERED, NULL), CONTROL_OK);
	cores_settle(cores);
	cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
	cores_settle(cores);
	cores_join(cores, 3, 2);
	reconnect_all(cores);
	cores->now_ms += UINT64_C(40) * 86400000;
	reconnect_all(cores);
	cr_expect_not(case_at(to, &id).escalated);
	cr_expect_eq(cores_count(province, commune, MEASURE_ESCALATED), 0);
	cr_expect_eq(cores_count(province, commune, MEASURE_ANSWERED), 1);
	for (size_t i = 0; i < cores->n; i++)
		expect_rebuilt(&cores->nodes[i]);
}

/* It came to the former parent only when the office had left: nobody there will act. */
Test(moves, a_case_that_a_former_parent_did_not_take_is_its_offices_again, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *province = &cores->nodes[0], *from = &cores->nodes[1], *to = &cores->nodes[2],
			  *commune = &cores->nodes[3];
	struct id id;

	commune->cut = true;
	id = take_one(commune);
	cr_assert_eq(step_to(commune, &id, ACTION_ACCEPTED, NULL), CONTROL_OK);
	cr_assert_eq(step_to(commune, &id, ACTION_HANDED_OVER, &from->id), CONTROL_OK);
	cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
	cores_settle(cores);
	cores_join(cores, 3, 2);
	cores_connect(cores, 3);
	reconnect_all(cores);
	cr_expect_eq(step_to(commune, &id, ACTION_RESOLVED, NULL), CONTROL_OK);
	cr_expect_eq(step_to(commune, &id, ACTION_ANSWERED, NULL), CONTROL_OK);
	reconnect_all(cores);
	cr_expect_eq(case_at(to, &id).state, CASE_ANSWERED);
	cr_expect_eq(cores_count(province, commune, MEASURE_ANSWERED), 1);
}

/* An escalation may come before the word that makes its finder the office's parent. */
Test(moves, an_escalation_counts_as_soon_as_the_move_is_heard_of) {
	static const struct word enrolled = { &first, &first, 0, "a" }, moved = { &first, &second, 0, "a" };
	const struct petition petition = { .legal_kind = LEGAL_PETITION, .category = CATEGORY_LAND,
		.channel = CHANNEL_LETTER, .people = 1, .received_ms = CORES_START_MS, .village = span_str("A"),
		.text = span_str("B") };
	struct escalation escalation = { .cause = CAUSE_PEOPLE, .rule = span_str("many"), .state = CASE_RECEIVED };
	struct record rec = { .kind = KIND_PETITION, .id = { { 7 } }, .time_ms = CORES_START_MS };
	struct scratch home = scratch_new();
	struct store *store = scratch_store(&home);
	struct txn *txn = scratch_txn(store);
	struct office_row row;
	const struct tally_entry *counts;
	struct case_row found;
	uint8_t body[512];
	struct writer w;
	struct fold fold;
	size_t n;

	begin_register(txn, &fold);
	say(&fold, txn, &enrolled);
	cr_assert_eq(offices_get(txn, &office, &row), 0);
	writer_init(&w, body, sizeof(body));
	petition_encode(&petition, &w);
	rec.body = writer_span(&w);
	cr_assert_eq(fold_apply(&fold, txn, &(struct oplog_id){ office, 1, LANE_NORMAL }, 0, row.number, 1, &rec), 0);
	escalation.petition = rec.id;
	writer_init(&w, body, sizeof(body));
	escalation_encode(&escalation, &w);
	rec = (struct record){ .kind = KIND_ESCALATION, .id = { { 8 } }, .time_ms = CORES_START_MS, .body = writer_span(&w) };
	cr_assert_eq(offices_get(txn, &second, &row), 0);
	cr_assert_eq(fold_apply(&fold, txn, &(struct oplog_id){ second, 1, LANE_NORMAL }, 0, row.number, 2, &rec), 0);
	cr_assert_eq(cases_get(txn, &escalation.petition, &found), 0);
	cr_expect_not(found.escalated);
	say(&fold, txn, &moved);
	cr_assert_eq(fold_finish(&fold, txn, &counts, &n), 0);
	cr_assert_eq(cases_get(txn, &escalation.petition, &found), 0);
	cr_expect(found.escalated);
	fold_done(&fold);
	store_abort(txn);
	store_close(store);
	scratch_done(&home);
}

Test(moves, tables_are_those_of_a_rebuild_before_and_after_a_move_is_heard_of, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *province = &cores->nodes[0], *from = &cores->nodes[1], *to = &cores->nodes[2],
			  *commune = &cores->nodes[3];
	struct id id = take_one(commune);

	find_late(from);
	find_late(to);
	from->config.rules[0].days = 10;
	cores_settle(cores);
	cores->now_ms += UINT64_C(15) * 86400000;
	reconnect_all(cores);
	cr_assert(case_at(province, &id).escalated, "it is read at the province");
	from->cut = true;
	cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
	cores_settle(cores);
	cores_join(cores, 3, 2);
	reconnect_all(cores);
	cores->now_ms += UINT64_C(15) * 86400000;
	reconnect_all(cores);
	cr_expect(id_eq(&known(province, commune)->office.parent, &from->id));
	expect_rebuilt(province);
	cores_connect(cores, 1);
	reconnect_all(cores);
	cr_expect(id_eq(&known(province, commune)->office.parent, &to->id));
	expect_rebuilt(province);
}

Test(moves, who_is_below_an_office_that_moved_goes_on, .timeout = 60) {
	for (unsigned again = 0; again < 3; again++) {
		_cleanup_(cores_freep) struct cores *cores = two_districts();
		struct cores_node *province = &cores->nodes[0], *from = &cores->nodes[1], *to = &cores->nodes[2],
				  *commune = &cores->nodes[3], *village;

		cores_add(cores, 3);
		village = &cores->nodes[4];
		reconnect_all(cores);
		village->cut = again; /* then it hears of nothing, until it joins again */
		cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
		cores_settle(cores);
		cores_join(cores, 3, 2);
		reconnect_all(cores);
		if (again == 2) { /* there and back, and there again when it hears of it */
			cr_assert_eq(move_office(to, commune, from), CONTROL_OK);
			cores_settle(cores);
			cores_join(cores, 3, 1);
			reconnect_all(cores);
		}
		if (again)
			cores_join(cores, 4, 3);
		if (again == 2) {
			cores_connect(cores, 4);
			reconnect_all(cores);
			expect_below(cores, commune, from, to);
			cr_expect_eq(known(village, commune)->parents.n, 2);
			cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
			cores_settle(cores);
			cores_join(cores, 3, 2);
		}
		cores_connect(cores, 4);
		reconnect_all(cores);
		cores_take_petitions(village, 0, 4);
		cores_settle(cores);
		expect_below(cores, commune, to, from);
		cr_expect_eq(known(village, commune)->parents.n, again == 2 ? 3 : 1);
		cr_expect_eq(known(village, commune)->parents.list[again == 2 ? 2 : 0].tenure, again == 2);
		cr_expect_eq(cores_count(province, village, MEASURE_RECEIVED), 4);
		cores_take_petitions(to, 0, 1);
		reconnect_all(cores);
		cr_expect_eq(village->core->refusals[REFUSAL_NOT_YOURS], 0);
		cr_expect_gt(cores_leaves(village, to, LANE_NORMAL, &(uint64_t){ 0 }), 0, "what comes from above");
	}
}

/* @node says of so many offices that they are below @parent. */
static void invent(struct cores_node *node, const struct id *parent, unsigned from, unsigned n, uint8_t tag) {
	for (unsigned i = 0; i < n;) {
		cores_begin(node);
		for (unsigned k = 0; k < 500 && i < n; k++, i++) {
			struct office made = cores_office(node->cores, 0);
			struct record rec = { .kind = KIND_OFFICE, .time_ms = node->cores->now_ms };
			uint8_t body[OFFICE_BODY_MAX];
			struct writer w;

			made.id = (struct id){ { 0x01, 0x90, [6] = 0x70, [8] = 0x80, [9] = tag } };
			put_be32(made.id.b + 12, from + i);
			made.parent = *parent;
			rec.id = made.id;
			rec.id.b[10] = parent->b[15];
			rec.id.b[11] = 7;
			writer_init(&w, body, sizeof(body));
			office_encode(&made, &w);
			rec.body = writer_span(&w);
			cr_assert_eq(core_write(node->core, LANE_URGENT, &rec, NULL, 0), 0);
		}
		cores_end(node);
	}
	cores_settle(node->cores);
}

static enum control_result add_another(struct cores_node *node) {
	struct office made = cores_office(node->cores, 0);
	uint8_t request[ENROL_FILE_MAX], command[ENROL_FILE_MAX + 256];
	struct signer *signer;
	struct writer w, f;

	cr_assert_eq(signer_new((const uint8_t[SIGN_SEED_LEN]){ 77 }, &signer), 0);
	made.code = 9999;
	made.code_digits = 5;
	made.id = (struct id){ { 0x01, 0x91, [6] = 0x70, [8] = 0x80 } };
	signer_public(signer, made.sign_key);
	memset(made.curve_key, 77, sizeof(made.curve_key));
	writer_init(&f, request, sizeof(request));
	cr_assert_eq(enrol_request_write(&made, signer, &f), 0);
	signer_free(signer);
	writer_init(&w, command, sizeof(command));
	control_write_add_office(&w, 1, writer_span(&f), span_str("tcp://127.0.0.1:7400"));
	return cores_ask(node, writer_span(&w)).result;
}

Test(moves, no_office_can_fill_the_registers_of_others, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[3];

	invent(commune, &commune->id, 0, 3000, 1);
	for (size_t i = 0; i < cores->n; i++)
		cr_expect_lt(cores->nodes[i].core->reg.n, 4 + 1100, "node %zu keeps %zu", i, cores->nodes[i].core->reg.n);
	cr_expect_eq(cores_leaves(province, commune, LANE_URGENT, &(uint64_t){ 0 }), 3000, "the records are kept all the same");
	cores_add(cores, 1);
	cores_connect(cores, 4);
	cores_take_petitions(&cores->nodes[4], 0, 1);
	cores_settle(cores);
	cr_expect_eq(cores_count(province, &cores->nodes[4], MEASURE_RECEIVED), 1, "there is room for another office");
	invent(district, &district->id, 10000, 9000, 2);
	cr_expect_lt(province->core->reg.n, 4 + 8192 + 10);
	cr_expect_eq(add_another(commune), CONTROL_NO_MORE_BELOW);
	cores_take_petitions(commune, 0, 1);
	cores_settle(cores);
	cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 1);
}

/* Its copy is from before it heard of the other district, and of where it goes. */
Test(moves, who_is_put_back_may_join_a_parent_that_it_has_not_heard_of, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *from = &cores->nodes[1], *to, *commune;
	struct scratch copy;

	cores_add(cores, 0);
	cores_add(cores, 1);
	to = &cores->nodes[2];
	commune = &cores->nodes[3];
	copy = keep_copy(commune);
	cores_connect(cores, 2);
	cores_connect(cores, 3);
	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
	cores_settle(cores);
	cores_join(cores, 3, 2);
	cores_connect(cores, 3);
	cores_settle(cores);
	mark_restored(&copy);
	exchange(commune, &copy);
	cr_assert_null(register_find(&commune->core->reg, &to->id));
	cores_join(cores, 3, 2);
	cores_connect(cores, 3);
	reconnect_all(cores);
	cr_expect_eq(epoch_of(commune), 2);
	cr_expect_eq(cases_at(commune), 10);
	cores_take_petitions(commune, 100, 1);
	cores_settle(cores);
	cr_expect_eq(cores_count(&cores->nodes[0], commune, MEASURE_RECEIVED), 11);
	scratch_done(&copy);
}

/* With the key that it began with: what it changed that to is its own to say, and whoever verifies looks for both. */
Test(moves, an_office_is_enrolled_again_as_it_was_the_first_time, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_districts();
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct cores_node *from = &cores->nodes[1], *to = &cores->nodes[2], *commune = &cores->nodes[3];
	const struct office before = known(from, commune)->office;
	struct office said;

	cr_assert_eq(rotate(commune, 100), CONTROL_OK);
	cores_settle(cores);
	cr_assert_neq(memcmp(known(from, commune)->office.sign_key, before.sign_key, sizeof(before.sign_key)), 0);
	cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
	cr_assert_eq(move_office(from, commune, from), CONTROL_OK);
	cr_assert_eq(store_begin_read(from->store, &txn), 0);
	cr_assert_eq(offices_get_word(txn, &(struct office_word){ commune->id, from->id, 1, false }, &said), 0);
	cr_expect_arr_eq(said.sign_key, before.sign_key, sizeof(before.sign_key));
}

/* Nothing told it of the move, nor of the district that it goes to. */
Test(moves, whose_line_was_down_meanwhile_joins_all_the_same, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *from = &cores->nodes[1], *to, *commune;

	cores_add(cores, 0);
	cores_add(cores, 1);
	to = &cores->nodes[2];
	commune = &cores->nodes[3];
	cores_connect(cores, 2);
	cores_settle(cores);
	cores_take_petitions(commune, 0, 10);
	cr_assert_eq(move_office(from, commune, to), CONTROL_OK);
	cores_settle(cores);
	cr_assert_null(register_find(&commune->core->reg, &to->id));
	cores_join(cores, 3, 2);
	cores_connect(cores, 3);
	cores_settle(cores);
	cr_expect_eq(cores_count(&cores->nodes[0], commune, MEASURE_RECEIVED), 10);
}

/* What a parent said is looked up, not searched for in all that it ever wrote. */
Test(moves, many_moves_cost_little, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];

	invent(commune, &commune->id, 0, 1000, 1);
	invent(district, &district->id, 0, 2000, 2);
	invent(district, &commune->id, 0, 2000, 2); /* the test's time would be over */
	cr_expect_eq(province->core->reg.n, 3 + 3000);
}
