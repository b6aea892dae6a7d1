/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/escalation.h"

void escalation_encode(const struct escalation *escalation, struct writer *w) {
	write_array(w, ESCALATION_FIELDS);
	write_id(w, &escalation->petition);
	write_uint(w, escalation->reference);
	write_uint(w, escalation->cause);
	write_str(w, escalation->rule);
	write_uint(w, escalation->state);
	write_uint(w, escalation->clock_step);
	write_uint(w, escalation->measured);
	write_uint(w, escalation->threshold);
	write_uint(w, escalation->people);
	write_uint(w, escalation->category);
}

int escalation_decode(struct span body, struct escalation *ret_escalation) {
	struct escalation escalation;
	struct reader r;

	reader_init(&r, body);
	read_array(&r, ESCALATION_FIELDS, UINT64_MAX);
	read_id(&r, &escalation.petition);
	escalation.reference = read_uint(&r, UINT64_MAX);
	escalation.cause = read_uint(&r, UINT8_MAX);
	escalation.rule = read_line(&r, 0, ESCALATION_RULE_MAX);
	escalation.state = read_uint(&r, UINT8_MAX);
	escalation.clock_step = read_uint(&r, UINT32_MAX);
	escalation.measured = read_uint(&r, UINT64_MAX);
	escalation.threshold = read_uint(&r, UINT64_MAX);
	escalation.people = read_uint(&r, UINT32_MAX);
	escalation.category = read_uint(&r, UINT8_MAX);
	read_end(&r);
	if (reader_done(&r) != 0)
		return ESCALATION_MALFORMED;
	*ret_escalation = escalation;
	return 0;
}
