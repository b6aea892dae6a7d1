/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/petition.h"
#include "store/cases.h"

#include "tests/unit/scratch.h"

static const struct case_row fresh = {
	.kind = KIND_PETITION, .state = CASE_RECEIVED, .category = 4, .organisation = 1,
	.origin = 1, .people = 12, .arrival = 70000, .reference = 91632400042,
	.received_ms = 1700000000000, .recorded_ms = 1700000005000, .since_ms = 1700000000000,
};

/* Every field another value, each at its greatest. */
static const struct case_row full = {
	255, 254, 253, 252, 251, true, false, true, UINT32_MAX, { { 255, [15] = 1 } }, UINT32_MAX - 2,
	UINT32_MAX - 3, UINT32_MAX - 4, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 2, UINT64_MAX - 3,
	UINT64_MAX - 4, UINT64_MAX - 5, UINT64_MAX - 6, UINT64_MAX - 7, UINT64_MAX - 8,
	UINT64_MAX - 9, UINT64_MAX - 10,
};

static void expect_row(const struct case_row *row, const struct case_row *want) {
	cr_expect_eq(row->kind, want->kind);
	cr_expect_eq(row->legal_kind, want->legal_kind);
	cr_expect_eq(row->state, want->state);
	cr_expect_eq(row->category, want->category);
	cr_expect_eq(row->organisation, want->organisation);
	cr_expect_eq(row->overdue, want->overdue);
	cr_expect_eq(row->urgent, want->urgent);
	cr_expect_eq(row->escalated, want->escalated);
	cr_expect_eq(row->origin, want->origin);
	cr_expect(id_eq(&row->handed_to, &want->handed_to));
	cr_expect_eq(row->people, want->people);
	cr_expect_eq(row->n_steps, want->n_steps);
	cr_expect_eq(row->clock_step, want->clock_step);
	cr_expect_eq(row->arrival, want->arrival);
	cr_expect_eq(row->last, want->last);
	cr_expect_eq(row->reference, want->reference);
	cr_expect_eq(row->received_ms, want->received_ms);
	cr_expect_eq(row->recorded_ms, want->recorded_ms);
	cr_expect_eq(row->since_ms, want->since_ms);
	cr_expect_eq(row->due_ms, want->due_ms);
	cr_expect_eq(row->accepted_ms, want->accepted_ms);
	cr_expect_eq(row->forwarded_ms, want->forwarded_ms);
	cr_expect_eq(row->resolved_ms, want->resolved_ms);
	cr_expect_eq(row->answered_ms, want->answered_ms);
}

Test(cases, a_row_comes_back_as_it_was_put_and_a_fresh_one_is_small) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	const struct id id = scratch_id(1), other = scratch_id(2);
	struct case_row row;
	struct span value;

	cr_expect_eq(cases_get(txn, &id, &row), STORE_NOT_FOUND);
	cr_assert_eq(cases_put(txn, &id, &fresh), 0);
	cr_assert_eq(cases_put(txn, &other, &full), 0);
	cr_assert_eq(cases_get(txn, &id, &row), 0);
	expect_row(&row, &fresh);
	cr_assert_eq(cases_get(txn, &other, &row), 0);
	expect_row(&row, &full);
	cr_assert_eq(txn_get(txn, TABLE_CASES, (struct span){ id.b, 16 }, &value), 0);
	cr_expect_leq(value.len, 64);
	cr_assert_eq(cases_put(txn, &id, &full), 0);
	cr_assert_eq(cases_get(txn, &id, &row), 0);
	expect_row(&row, &full);

	cr_assert_eq(txn_put(txn, TABLE_CASES, (struct span){ id.b, 16 }, span_str("damaged")), 0);
	cr_expect_lt(cases_get(txn, &id, &row), 0);
}

struct walk {
	struct txn *txn;
	uint64_t n;
	uint64_t last;
	uint64_t stop_at;
};

static int move_on(void *userdata, const struct id *id, const struct case_row *row) {
	struct walk *walk = userdata;
	const struct id again = scratch_id(get_be64(id->b) - 1);
	struct case_row changed = *row;

	cr_assert(walk->n == 0 || get_be64(id->b) > walk->last);
	walk->last = get_be64(id->b);
	changed.state = CASE_ACCEPTED;
	cr_assert_eq(cases_put(walk->txn, id, &changed), 0);
	cr_assert_eq(cases_put(walk->txn, &again, &full), 0); /* before it: not seen */
	return ++walk->n == walk->stop_at ? -5 : 0;
}

Test(cases, are_walked_in_order_of_time_while_they_change) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	struct walk walk = { .txn = txn };

	for (uint64_t i = 0; i < 500; i++) {
		const struct id id = scratch_id(10 + (i * 7) % 500 * 2);

		cr_assert_eq(cases_put(txn, &id, &fresh), 0);
	}
	cr_expect_eq(cases_each(txn, move_on, &walk), 0);
	cr_expect_eq(walk.n, 500);
	walk = (struct walk){ .txn = txn, .stop_at = 3 };
	cr_expect_eq(cases_each(txn, move_on, &walk), -5, "what stops it is returned");
	cr_expect_eq(walk.n, 3);
}

static int list_step(void *userdata, const struct step_row *row) {
	char *list = userdata;

	snprintf(list + strlen(list), 40, "%u:%u:%lu:%lu ", row->sequence, row->office,
		get_be64(row->record.b), row->arrival);
	return row->sequence == 300 ? 1 : 0;
}

Test(cases, their_steps_stand_in_order_of_sequence_then_office_then_record) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	static const struct {
		uint64_t petition;
		uint32_t sequence;
		uint32_t office;
		uint64_t record;
	} steps[] = {
		{ 2, 2, 8, 50 }, { 2, 1, 9, 60 }, { 2, 2, 8, 40 }, { 1, 1, 8, 10 }, { 3, 1, 8, 10 },
		{ 2, 256, 7, 1 }, { 2, 2, 8, 40 }, { 2, 300, 7, 5 }, { 2, 301, 7, 5 }, { 2, 2, 7, 90 },
	};
	char list[400] = "";

	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		const struct id petition = scratch_id(steps[i].petition);
		const struct step_row row = {
			steps[i].sequence, steps[i].office, { { 0 } }, scratch_id(steps[i].record), i,
		};

		cr_assert_eq(steps_put(txn, &petition, &row), 0);
	}
	cr_expect_eq(steps_each(txn, &(struct id){ { 0 } }, list_step, list), 0);
	cr_expect_str_eq(list, "");
	cr_expect_eq(steps_each(txn, &(struct id){ { [0 ... 15] = 255 } }, list_step, list), 0);
	cr_expect_str_eq(list, "");
	const struct id petition = scratch_id(2);
	cr_expect_eq(steps_each(txn, &petition, list_step, list), 1);
	cr_expect_str_eq(list, "1:9:60:1 2:7:90:9 2:8:40:6 2:8:50:0 256:7:1:5 300:7:5:7 ");
	list[0] = '\0';
	cr_expect_eq(steps_of(txn, &petition, &(struct step_row){ .sequence = 2, .office = 8 }, list_step, list), 0);
	cr_expect_str_eq(list, "2:8:40:6 2:8:50:0 ");
}

static int list_escalation(void *userdata, const struct id *petition,
	const struct escalation_row *row) {
	char *list = userdata;

	snprintf(list + strlen(list), 40, "%lu:%lu:%u:%lu ", get_be64(petition->b),
		get_be64(row->record.b), row->office, row->arrival);
	return 0;
}

Test(cases, their_escalations_are_found_for_one_and_for_all) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	char all[200] = "", one[200] = "";

	for (uint64_t i = 0; i < 6; i++) {
		const struct id petition = scratch_id(3 - i % 3);
		const struct escalation_row row = { 7, 2, 0, scratch_id(10 - i), 100 + i };

		cr_assert_eq(escalations_put(txn, &petition, &row), 0);
	}
	cr_expect_eq(escalations_each(txn, NULL, list_escalation, all), 0);
	cr_expect_str_eq(all, "1:5:7:105 1:8:7:102 2:6:7:104 2:9:7:101 3:7:7:103 3:10:7:100 ");
	const struct id petition = scratch_id(2);
	cr_expect_eq(escalations_each(txn, &petition, list_escalation, one), 0);
	cr_expect_str_eq(one, "2:6:7:104 2:9:7:101 ");
}

struct clock_walk {
	struct txn *txn;
	bool end; /* delete each entry that is given */
	uint64_t n;
	uint64_t last_ms;
};

static int clock_found(void *userdata, uint64_t time_ms, const struct id *id) {
	struct clock_walk *walk = userdata;

	cr_assert_geq(time_ms, walk->last_ms);
	walk->last_ms = time_ms;
	walk->n++;
	if (walk->end)
		cr_assert_eq(clock_delete(walk->txn, &(struct clock){ true, LEGAL_PETITION, false, CASE_ACCEPTED, time_ms }, id), 0);
	return 0;
}

Test(cases, running_clocks_are_found_by_kind_state_and_time_and_may_be_ended_meanwhile) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	static const struct {
		bool has_due;
		uint8_t state;
		uint64_t until_ms;
		uint64_t want;
	} cases[] = {
		{ false, CASE_ACCEPTED, 0, 1 },
		{ false, CASE_ACCEPTED, 99, 100 },
		{ false, CASE_ACCEPTED, 49, 50 },
		{ true, CASE_ACCEPTED, 49, 50 },
		{ false, CASE_RECEIVED, UINT64_MAX, 100 },
		{ false, CASE_RETURNED, UINT64_MAX, 0 },
		{ true, CASE_FORWARDED, UINT64_MAX, 100 },
		{ true, 255, UINT64_MAX, 0 },
	};
	static const uint8_t states[] = { CASE_RECEIVED, CASE_ACCEPTED, CASE_FORWARDED };
	static const struct clock accepted = { true, LEGAL_PETITION, false, CASE_ACCEPTED, 0 };
	struct clock_walk walk;

	for (uint64_t i = 0; i < 100; i++)
		for (size_t s = 0; s < 2 * N_ELEMENTS(states); s++) {
			const struct id id = scratch_id(1000 - i);

			cr_assert_eq(clock_put(txn, &(struct clock){ true, LEGAL_PETITION, s % 2, states[s / 2], i * 37 % 100 }, &id), 0);
			cr_assert_eq(clock_put(txn, &(struct clock){ s % 3 == 0, s % 3, s % 2, states[s / 2], i }, &id), 0);
		}
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		walk = (struct clock_walk){ .txn = txn };
		cr_expect_eq(clocks_each(txn, &(struct clock){ true, LEGAL_PETITION, cases[i].has_due, cases[i].state, 0 },
			cases[i].until_ms, clock_found, &walk), 0);
		cr_expect_eq(walk.n, cases[i].want, "case %zu: %lu", i, walk.n);
	}
	walk = (struct clock_walk){ .txn = txn, .end = true };
	cr_expect_eq(clocks_each(txn, &accepted, 79, clock_found, &walk), 0);
	cr_expect_eq(walk.n, 80);
	walk = (struct clock_walk){ .txn = txn };
	cr_expect_eq(clocks_each(txn, &accepted, UINT64_MAX, clock_found, &walk), 0);
	cr_expect_eq(walk.n, 20);
	const struct id id = scratch_id(1);
	cr_expect_eq(clock_delete(txn, &(struct clock){ true, LEGAL_PETITION, false, CASE_ACCEPTED, 1 }, &id), STORE_NOT_FOUND);
}

Test(cases, every_state_has_a_name) {
	for (unsigned state = 1; state < CASE_STATE_N; state++)
		cr_expect_str_neq(case_state_name(state), "unknown");
	cr_expect_str_eq(case_state_name(CASE_FORWARDED), "forwarded");
	cr_expect_str_eq(case_state_name(0), "unknown");
	cr_expect_str_eq(case_state_name(CASE_STATE_N), "unknown");
	cr_expect_str_eq(case_state_name(255), "unknown");
}
