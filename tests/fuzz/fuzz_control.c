/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A request that was read, written again, gives the same bytes: none of it was passed over. So does
 * a failure, and the values of a status, if nothing followed that only a newer node knows.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/control.h"

static void check_request(struct span in) {
	struct request request;
	struct writer w;
	struct draft draft;
	uint64_t n = 0;

	if (control_request_decode(in, &request) != 0)
		return;
	writer_init_grow(&w);
	switch (request.command) {
	case COMMAND_SUBMIT:
		control_write_submit(&w, request.number, request.check_only, request.n_drafts);
		for (; control_draft_next(&request, &draft); n++)
			control_write_draft(&w, &draft);
		assert(n == request.n_drafts);
		break;
	case COMMAND_STATUS:
		control_write_status(&w, request.number);
		break;
	case COMMAND_ADD_OFFICE:
		control_write_add_office(&w, request.number, request.file, request.address);
		break;
	case COMMAND_JOIN:
		control_write_join(&w, request.number, request.file);
		break;
	case COMMAND_SINCE:
		control_write_since(&w, request.number, request.since, request.max);
		break;
	case COMMAND_SNAPSHOT:
		control_write_snapshot(&w, request.number, request.after);
		break;
	case COMMAND_READ:
	case COMMAND_ERASE:
		control_write_private(&w, request.number, request.command, &request.record, request.who,
			request.reason);
		break;
	case COMMAND_INVITE:
		control_write_invite(&w, request.number, &request.office, request.address,
			request.valid_ms, request.automatic);
		break;
	case COMMAND_HOLD_LINE:
		control_write_hold_line(&w, request.number, request.held, request.until_ms);
		break;
	case COMMAND_ASK:
		control_write_ask(&w, request.number, &request.inquiry);
		break;
	case COMMAND_GRANT:
	case COMMAND_DENY:
		control_write_reply(&w, request.number, request.command, &request.record, request.who,
			request.reason);
		break;
	case COMMAND_EXPORT:
		control_write_export(&w, request.number, &request.record, request.max, &request.from);
		break;
	case COMMAND_IMPORT: {
		struct writer messages;
		struct request at = request;
		struct span message;
		size_t len = 0;

		while (control_message_next(&at, &message))
			len++;
		writer_init_grow(&messages);
		write_array(&messages, len);
		while (control_message_next(&request, &message))
			write_bin(&messages, message);
		control_write_import(&w, request.number, &request.record, writer_span(&messages));
		writer_done(&messages);
		break;
	}
	case COMMAND_ACCEPT:
	case COMMAND_DECLINE:
		control_write_decision(&w, request.number, request.command, &request.record);
		break;
	default:
		write_raw(&w, in);
		break;
	}
	assert(writer_ok(&w) && span_eq(writer_span(&w), in));
	writer_done(&w);
}

/* Writes the status in @in again. False if there is none. */
static bool rewrite_status(struct span in, struct writer *w) {
	struct control_status status;
	struct link_report *links;
	struct answer answer;
	size_t n = 0;

	if (control_answer_decode(in, &answer) != 0 || answer.result != CONTROL_OK)
		return false;
	if (control_status_read(&answer, &status) != 0)
		return false;
	links = calloc(status.n_links + 1, sizeof(*links));
	assert(links);
	while (control_link_next(&status, &links[n]))
		n++;
	assert(n == status.n_links);
	control_write_ok(w, answer.number, CONTROL_STATUS_VALUES);
	control_write_status_values(w, &status, links, n);
	free(links);
	return true;
}

static void check_answer(struct span in) {
	struct writer once, twice;
	struct answer answer;

	if (control_answer_decode(in, &answer) != 0)
		return;
	writer_init_grow(&once);
	writer_init_grow(&twice);
	if (answer.result != CONTROL_OK) {
		struct control_fault fault;
		size_t n = 0;

		control_write_failure(&once, answer.number, answer.result, answer.index, answer.detail);
		assert(once.len <= in.len);
		assert(once.len < in.len || span_eq(writer_span(&once), in));
		while (control_fault_next(&answer, &fault))
			n++;
		assert(n < in.len);
	} else if (rewrite_status(in, &once)) {
		assert(rewrite_status(writer_span(&once), &twice));
		assert(span_eq(writer_span(&once), writer_span(&twice)));
	}
	writer_done(&once);
	writer_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	check_request((struct span){ data, size });
	check_answer((struct span){ data, size });
	return 0;
}
