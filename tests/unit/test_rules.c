/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>

#include "node/rules.h"
#include "proto/calendar.h"

#define DAY_MS (24ull * 3600 * 1000)
/* Midnight in Asia/Ho_Chi_Minh (UTC+7) before Saturday, 1 June 2024. */
#define JUNE_2024_MS (1717200000000ull - 7 * 3600 * 1000)

Test(rules, working_days_leave_out_saturday_and_sunday) {
	static const struct {
		unsigned start, days;
		bool working;
		unsigned end;
	} cases[] = { /* days of June 2024: the 3rd is a Monday */
		{ 3, 1, true, 4 },
		{ 3, 4, true, 7 },
		{ 3, 5, true, 10 },
		{ 3, 10, true, 17 },
		{ 7, 1, true, 10 },
		{ 1, 1, true, 3 },
		{ 2, 5, true, 10 },
		{ 3, 10, false, 13 },
		{ 3, 0, true, 3 },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		cr_expect_eq(calendar_add_days(JUNE_2024_MS + (cases[i].start - 1) * DAY_MS, cases[i].days,
				     cases[i].working), JUNE_2024_MS + (cases[i].end - 1) * DAY_MS, "case %zu", i);
}

static const struct rule overdue = { .name = "late", .cause = CAUSE_OVERDUE, .scope = RULE_HELD,
	.state = CASE_RECEIVED, .days = 10 };

Test(rules, a_case_is_overdue_when_its_clock_has_run_out_and_not_a_moment_before) {
	struct case_row row = { .kind = KIND_PETITION, .state = CASE_RECEIVED,
		.since_ms = JUNE_2024_MS, .recorded_ms = JUNE_2024_MS };
	struct finding finding;

	cr_expect_not(rules_overdue(&overdue, &row, true, JUNE_2024_MS + 10 * DAY_MS - 1, &finding));
	cr_expect(rules_overdue(&overdue, &row, true, JUNE_2024_MS + 10 * DAY_MS, &finding));
	cr_expect_eq(finding.measured, 10);
	cr_expect_not(rules_overdue(&overdue, &row, false, JUNE_2024_MS + 11 * DAY_MS, &finding),
		"another office holds it");
	row.overdue = true;
	cr_expect_not(rules_overdue(&overdue, &row, true, JUNE_2024_MS + 11 * DAY_MS, &finding),
		"found before");
}

Test(rules, a_case_from_an_old_register_is_not_overdue_on_the_day_it_is_keyed_in) {
	struct case_row row = { .kind = KIND_PETITION, .state = CASE_RECEIVED,
		.since_ms = JUNE_2024_MS, .recorded_ms = JUNE_2024_MS + 300 * DAY_MS };
	struct finding finding;

	cr_expect_not(rules_overdue(&overdue, &row, true, row.recorded_ms + DAY_MS - 1, &finding));
	cr_expect(rules_overdue(&overdue, &row, true, row.recorded_ms + DAY_MS, &finding));
}

Test(rules, a_due_time_that_was_set_counts_instead_of_the_days_of_the_rule) {
	struct case_row row = { .kind = KIND_PETITION, .state = CASE_RECEIVED,
		.since_ms = JUNE_2024_MS, .recorded_ms = JUNE_2024_MS,
		.due_ms = JUNE_2024_MS + 30 * DAY_MS };
	struct finding finding;

	cr_expect_not(rules_overdue(&overdue, &row, true, JUNE_2024_MS + 29 * DAY_MS, &finding));
	cr_expect(rules_overdue(&overdue, &row, true, JUNE_2024_MS + 30 * DAY_MS, &finding));
}

Test(rules, a_clock_that_a_step_dated_ahead_set_has_run_for_no_day) {
	struct case_row row = { .kind = KIND_PETITION, .state = CASE_RECEIVED,
		.since_ms = JUNE_2024_MS + 20 * DAY_MS, .recorded_ms = JUNE_2024_MS,
		.due_ms = JUNE_2024_MS + 2 * DAY_MS };
	struct finding finding;

	cr_assert(rules_overdue(&overdue, &row, true, JUNE_2024_MS + 10 * DAY_MS, &finding));
	cr_expect_eq(finding.measured, 0);
}

Test(rules, a_new_case_meets_every_rule_that_fits_it_and_no_other) {
	static const struct config config = { .n_rules = 3, .rules = {
		{ .name = "urgent", .cause = CAUSE_URGENT },
		{ .name = "crowd", .cause = CAUSE_PEOPLE, .at_least = 50, .scope = RULE_SEEN },
		{ .name = "late", .cause = CAUSE_OVERDUE, .state = CASE_RECEIVED, .days = 1 },
	} };
	static const struct {
		bool urgent, held;
		uint32_t people;
		size_t n;
	} cases[] = {
		{ false, true, 49, 0 }, { false, true, 50, 1 }, { true, true, 1, 1 }, { true, true, 60, 2 },
		{ true, false, 60, 1 },
	};
	struct finding findings[CONFIG_RULES_MAX];

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct case_row row = { .urgent = cases[i].urgent, .people = cases[i].people };

		cr_expect_eq(rules_on_record(&config, &row, cases[i].held, findings), cases[i].n, "case %zu", i);
	}
}
