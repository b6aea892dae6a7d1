/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/step.h"

void step_encode(const struct step *step, struct writer *w) {
	write_array(w, STEP_FIELDS);
	write_id(w, &step->petition);
	write_uint(w, step->sequence);
	write_uint(w, step->action);
	write_uint(w, step->date_ms);
	write_uint(w, step->due_ms);
	write_id_or_nil(w, &step->office);
	write_str(w, step->to);
	write_str(w, step->text);
	if (step->sequence)
		write_hash(w, &step->follows);
	else
		write_nil(w);
}

int step_decode(struct span body, struct step *ret_step) {
	struct step step = { 0 };
	struct reader r;

	reader_init(&r, body);
	read_array(&r, STEP_FIELDS, UINT64_MAX);
	read_id(&r, &step.petition);
	step.sequence = read_uint(&r, STEP_SEQUENCE_MAX);
	step.action = read_uint(&r, UINT8_MAX);
	step.date_ms = read_uint(&r, TIME_MAX_MS);
	step.due_ms = read_uint(&r, TIME_MAX_MS);
	read_id_or_nil(&r, &step.office);
	step.to = read_line(&r, 0, STEP_TO_MAX);
	step.text = read_text(&r, 0, STEP_TEXT_MAX);
	if (step.sequence)
		read_hash(&r, &step.follows);
	else
		read_nil(&r);
	read_end(&r);
	if (reader_done(&r) != 0)
		return STEP_MALFORMED;
	*ret_step = step;
	return 0;
}
