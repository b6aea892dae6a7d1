/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A CSV file from anywhere. The first byte chooses the type; the rest is the file. Whatever the
 * bytes: each fault has a text and a line of the file; and a row without fault has a body that its
 * kind decodes, and that encodes to the same bytes again, and a private part that may go to the node.
 */
#include <assert.h>
#include <string.h>

#include "proto/kinds/meeting.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/private.h"
#include "proto/kinds/step.h"
#include "tests/fuzz/fuzz.h"
#include "tools/import.h"

/* Every other name is known, so that both ways are walked. */
static enum import_lookup find_case(void *userdata, struct span name,
	struct import_case *ret_case) {
	*ret_case = (struct import_case){ .received_ms = name.len * 1000000000000 };
	memset(&ret_case->id, 7, sizeof(ret_case->id));
	ret_case->id.b[0] = name.data[0];
	return name.data[0] & 1 ? IMPORT_FOUND : (enum import_lookup)(name.len % 4);
}

static char *list_cases(void *userdata, struct span name) {
	return strdup("A; B");
}

static enum import_lookup find_office(void *userdata, struct span code, struct id *ret_id) {
	memset(ret_id, 9, sizeof(*ret_id));
	return code.len & 1 ? IMPORT_FOUND : IMPORT_NONE;
}

static enum import_lookup find_number(void *userdata, uint8_t kind, struct span number,
	unsigned year, size_t nth, struct import_held *ret_held) {
	*ret_held = (struct import_held){ .reference = nth, .body = number };
	return number.len > 20 && nth < 2 ? IMPORT_FOUND : IMPORT_NONE;
}

static void check_body(const struct draft *draft) {
	struct petition petition;
	struct meeting meeting;
	struct step step;
	struct writer w;

	writer_init_grow(&w);
	switch (draft->kind) {
	case KIND_PETITION:
		assert(petition_decode(draft->body, &petition) == 0);
		petition_encode(&petition, &w);
		break;
	case KIND_STEP:
		assert(step_decode(draft->body, &step) == 0);
		step_encode(&step, &w);
		break;
	default:
		assert(draft->kind == KIND_MEETING && meeting_decode(draft->body, &meeting) == 0);
		meeting_encode(&meeting, &w);
		break;
	}
	assert(writer_ok(&w) && span_eq(writer_span(&w), draft->body));
	writer_done(&w);
}

/* Of a denunciation it is sealed, of anything else not. */
static void check_private(const struct draft *draft) {
	struct private_part part;
	struct petition petition;

	if (draft->private.len == 0)
		return;
	assert(draft->kind == KIND_PETITION && petition_decode(draft->body, &petition) == 0);
	assert(private_decode(draft->private, &part) == 0);
	assert((part.form == PRIVATE_SEALED) == (petition.legal_kind == LEGAL_DENUNCIATION));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	static const uint8_t key[32] = { 9 };
	const struct import_context context = {
		.now_ms = 1900000000000,
		.denunciation_key = key,
		.find_case = find_case,
		.list_cases = list_cases,
		.find_office = find_office,
		.find_number = find_number,
	};
	struct import import;
	uint64_t n_lines = 1;
	int r;

	if (size == 0)
		return 0;
	for (size_t i = 1; i < size; i++)
		n_lines += data[i] == '\n';
	r = import_file(data[0] % IMPORT_N, &context, (struct span){ data + 1, size - 1 }, &import);
	assert(r == 0);
	for (size_t i = 0; i < import.n_faults; i++)
		assert(import.faults[i].text && import.faults[i].text[0] &&
			import.faults[i].line <= n_lines);
	for (size_t i = 0; i < import.n_rows && import.n_faults == 0; i++) {
		assert(import.rows[i].draft.has_id);
		check_body(&import.rows[i].draft);
		check_private(&import.rows[i].draft);
	}
	import_done(&import);
	return 0;
}
