/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/rules.h"

#include "proto/calendar.h"

static bool in_scope(const struct rule *rule, const struct case_row *row, bool held) {
	return (rule->scope == RULE_SEEN || held) && (!rule->legal_kind || rule->legal_kind == row->legal_kind);
}

size_t rules_on_record(const struct config *config, const struct case_row *row, bool held,
	struct finding ret_findings[CONFIG_RULES_MAX]) {
	size_t n = 0;

	for (size_t i = 0; i < config->n_rules; i++) {
		const struct rule *rule = &config->rules[i];

		if (!in_scope(rule, row, held))
			continue;
		if (rule->cause == CAUSE_URGENT && row->urgent)
			ret_findings[n++] = (struct finding){ rule, 1, 1 };
		else if (rule->cause == CAUSE_PEOPLE && row->people >= rule->at_least)
			ret_findings[n++] = (struct finding){ rule, row->people, rule->at_least };
	}
	return n;
}

bool rules_overdue(const struct rule *rule, const struct case_row *row, bool held, uint64_t wall_ms,
	struct finding *ret_finding) {
	uint64_t due, days;

	if (rule->cause != CAUSE_OVERDUE || rule->state != row->state || row->overdue ||
		!in_scope(rule, row, held))
		return false;
	due = row->due_ms ? row->due_ms : calendar_add_days(row->since_ms, rule->days, rule->working_days);
	if (wall_ms < due || wall_ms < row->recorded_ms + RULES_GRACE_MS)
		return false;
	days = wall_ms > row->since_ms ? (wall_ms - row->since_ms) / CALENDAR_DAY_MS : 0; /* a step may be dated ahead */
	*ret_finding = (struct finding){ rule, days, rule->days };
	return true;
}

uint64_t rules_horizon_ms(const struct rule *rule, bool has_due, uint64_t wall_ms) {
	uint64_t span = has_due ? 0 : (uint64_t)rule->days * CALENDAR_DAY_MS; /* working days only take longer */

	return wall_ms > span ? wall_ms - span : 0;
}
