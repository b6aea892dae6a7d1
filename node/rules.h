/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * rules - what an office must tell those above: configured conditions on cases
 *
 * Pure: says what was found, the core writes it. A rule finds a case once: an urgent mark or many
 * people when its record comes in, an overdue step when its clock runs out. A case is never overdue
 * before the office has had a day since it was recorded, so that an old paper register can be keyed
 * in, first the petitions and then what was done about them.
 */
#include "node/config.h"
#include "store/cases.h"

enum {
	RULES_GRACE_MS = 24 * 3600 * 1000,
};

struct finding {
	const struct rule *rule;
	uint64_t measured;
	uint64_t threshold;
};

/* The rules that a new case meets; at most config->n_rules. @held: this office must act on it. */
size_t rules_on_record(const struct config *config, const struct case_row *row, bool held,
	struct finding ret_findings[CONFIG_RULES_MAX]);
/* Whether @rule finds the case overdue at @wall_ms. */
bool rules_overdue(const struct rule *rule, const struct case_row *row, bool held, uint64_t wall_ms,
	struct finding *ret_finding);
/* Entries of the clock index (cases.h) up to this time are worth a rules_overdue(). */
uint64_t rules_horizon_ms(const struct rule *rule, bool has_due, uint64_t wall_ms);
