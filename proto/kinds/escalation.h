/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * escalation - a rule of an office found that a case needs those above
 *
 * Body: [case, reference, cause, rule, state, clock_step, measured, threshold, people,
 * category]. It names no text of the
 * petition, so it may travel all the way up; the office that found it is the record's origin.
 */
#include "proto/codec.h"

enum cause {
	CAUSE_URGENT = 1,  /* the petition is marked urgent */
	CAUSE_PEOPLE = 2,  /* measured: people concerned; threshold: the rule's number */
	CAUSE_OVERDUE = 3, /* measured: days since the state began; threshold: the days allowed */
	CAUSE_N,
};

enum {
	ESCALATION_RULE_MAX = 64,
	ESCALATION_FIELDS = 10,
};

enum {
	ESCALATION_MALFORMED = 1,
};

struct escalation {
	struct id petition; /* the case */
	uint64_t reference;
	uint8_t cause;
	struct span rule;   /* its name in the office's configuration */
	uint8_t state;      /* of the case when it was found: enum case_state */
	uint32_t clock_step; /* the step that had set the case's clock; 0: the petition */
	uint64_t measured;
	uint64_t threshold;
	uint32_t people;
	uint8_t category;
};

void escalation_encode(const struct escalation *escalation, struct writer *w);
int escalation_decode(struct span body, struct escalation *ret_escalation);
