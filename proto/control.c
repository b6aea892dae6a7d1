/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/control.h"

#include "proto/enrol.h"
#include "proto/kinds/access.h"
#include "proto/kinds/reply.h"
#include "proto/reference.h"

enum {
	VERSION_MAX = 64,
	BEGINNING = 2,      /* number and command, or number and result */
	FAILURE_VALUES = 2, /* index, detail */
	FAULT_FIELDS = 3,
	DRAFT_FIELDS = 6,
	REFUSAL_FIELDS = 2,
	LINK_FIELDS = 9,
	FROM_FIELDS = 4,
	REFUSED_FIELDS = 5,
};

#define VALID_MAX_MS (366ull * 24 * 3600 * 1000) /* a text that lies about longer is forgotten */

static void read_draft(struct reader *r, struct draft *ret_draft) {
	read_array(r, DRAFT_FIELDS, DRAFT_FIELDS);
	ret_draft->kind = read_uint(r, UINT8_MAX);
	ret_draft->organisation = read_uint(r, UINT8_MAX);
	ret_draft->lane = read_uint(r, UINT8_MAX);
	read_id_or_nil(r, &ret_draft->id);
	ret_draft->has_id = !id_is_nil(&ret_draft->id);
	ret_draft->body = read_body(r);
	ret_draft->private = (struct span){ 0 };
	if (reader_peek(r) == VALUE_NIL)
		read_nil(r);
	else
		ret_draft->private = read_body(r);
	read_end(r);
}

/*
 * Leaves @request's reader before the first draft, after a look at them all: whoever is called for
 * the last draft need not fear that a later one is damaged.
 */
static void read_drafts(struct reader *r, struct request *request) {
	struct draft draft;

	request->n_drafts = read_array(r, 0, CONTROL_DRAFTS_MAX);
	request->drafts = *r;
	while (reader_peek(r) != VALUE_END)
		read_draft(r, &draft);
	read_end(r);
}

/* What an office is called. */
static void read_labels(struct reader *r, struct office *ret_office) {
	ret_office->code = read_uint(r, REFERENCE_CODE_MAX);
	ret_office->code_digits = read_uint(r, UINT8_MAX);
	ret_office->level = read_line(r, 1, OFFICE_LEVEL_MAX);
	ret_office->name = read_line(r, 1, OFFICE_NAME_MAX);
	if (!reference_code_ok(ret_office->code, ret_office->code_digits))
		reader_fail(r);
}

static void write_labels(struct writer *w, const struct office *office) {
	write_uint(w, office->code);
	write_uint(w, office->code_digits);
	write_str(w, office->level);
	write_str(w, office->name);
}

/* As the body of a request, of which a tool of this version writes no more elements than it has. */
static void read_inquiry(struct reader *r, struct inquiry *ret_inquiry) {
	const struct span body = read_raw(r);
	struct reader beginning;

	reader_init(&beginning, body);
	read_array(&beginning, INQUIRY_FIELDS, INQUIRY_FIELDS);
	if (beginning.failed || inquiry_decode(body, ret_inquiry))
		reader_fail(r);
}

void control_read_from(struct reader *r, struct held *ret_from) {
	*ret_from = (struct held){ 0 };
	if (reader_peek(r) == VALUE_NIL) {
		read_nil(r);
		return;
	}
	read_array(r, FROM_FIELDS, FROM_FIELDS);
	oplog_id_read(r, &ret_from->oplog);
	ret_from->size = read_uint(r, UINT64_MAX);
	read_end(r);
	if (id_is_nil(&ret_from->oplog.office))
		reader_fail(r);
}

void control_write_from(struct writer *w, const struct held *from) {
	if (id_is_nil(&from->oplog.office)) {
		write_nil(w);
		return;
	}
	write_array(w, FROM_FIELDS);
	oplog_id_write(w, &from->oplog);
	write_uint(w, from->size);
}

void control_read_refused(struct reader *r, struct refuse *ret_refuse) {
	read_array(r, REFUSED_FIELDS, REFUSED_FIELDS);
	oplog_id_read(r, &ret_refuse->oplog);
	ret_refuse->size = read_uint(r, UINT64_MAX);
	ret_refuse->reason = read_uint(r, UINT64_MAX);
	read_end(r);
}

void control_write_refused(struct writer *w, const struct refuse *refuse) {
	write_array(w, REFUSED_FIELDS);
	oplog_id_write(w, &refuse->oplog);
	write_uint(w, refuse->size);
	write_uint(w, refuse->reason);
}

/* As read_drafts(). */
static void read_messages(struct reader *r, struct request *request) {
	(void)read_array(r, 0, BUNDLE_MESSAGES_MAX);
	request->messages = *r;
	while (reader_peek(r) != VALUE_END)
		read_bin(r, 1, MESSAGE_MAX);
	read_end(r);
}

static void read_arguments(struct reader *r, struct request *request) {
	switch (request->command) {
	case COMMAND_SUBMIT:
		request->check_only = read_bool(r);
		read_drafts(r, request);
		break;
	case COMMAND_STATUS:
		break;
	case COMMAND_ADD_OFFICE:
		request->file = read_bin(r, 0, ENROL_FILE_MAX);
		request->address = read_line(r, 0, ENROL_ADDRESS_MAX);
		break;
	case COMMAND_JOIN:
		request->file = read_bin(r, 0, ENROL_FILE_MAX);
		break;
	case COMMAND_SINCE:
		request->since = read_uint(r, UINT64_MAX);
		request->max = read_uint(r, UINT64_MAX);
		break;
	case COMMAND_SNAPSHOT:
		request->after = read_bin(r, 0, CONTROL_KEY_MAX);
		break;
	case COMMAND_READ:
	case COMMAND_ERASE:
		read_id(r, &request->record);
		request->who = read_line(r, 1, ACCESS_WHO_MAX);
		request->reason = read_line(r, 1, ACCESS_REASON_MAX);
		break;
	case COMMAND_CHANGE_OFFICE:
		read_id(r, &request->office.id);
		read_labels(r, &request->office);
		request->office.state = read_uint(r, OFFICE_REVOKED);
		if (request->office.state == 0)
			reader_fail(r);
		break;
	case COMMAND_ROTATE:
		break;
	case COMMAND_ASK:
		read_inquiry(r, &request->inquiry);
		break;
	case COMMAND_GRANT:
	case COMMAND_DENY:
		read_id(r, &request->record);
		request->who = read_line(r, 1, REPLY_WHO_MAX);
		if (request->command == COMMAND_DENY)
			request->reason = read_line(r, 1, REPLY_REASON_MAX);
		break;
	case COMMAND_INVITE:
		read_labels(r, &request->office);
		request->address = read_line(r, 0, ENROL_ADDRESS_MAX);
		request->valid_ms = read_uint(r, VALID_MAX_MS);
		request->automatic = read_bool(r);
		break;
	case COMMAND_HOLD_LINE:
		request->held = read_bool(r);
		request->until_ms = read_uint(r, UINT64_MAX);
		break;
	case COMMAND_MOVE_OFFICE:
		read_id(r, &request->record);
		read_id(r, &request->office.id);
		break;
	case COMMAND_EXPORT:
		read_id(r, &request->record);
		request->max = read_uint(r, UINT64_MAX);
		control_read_from(r, &request->from);
		break;
	case COMMAND_IMPORT:
		read_id(r, &request->record);
		read_messages(r, request);
		break;
	case COMMAND_ACCEPT:
	case COMMAND_DECLINE:
	case COMMAND_UNFORK:
		read_id(r, &request->record);
		break;
	default: /* a newer tool's: the node says so, under the request's number */
		while (reader_peek(r) != VALUE_END)
			read_raw(r);
		break;
	}
}

int control_request_decode(struct span in, struct request *ret_request) {
	struct request request = { 0 };
	struct reader r;

	if (in.len > CONTROL_MAX)
		return CONTROL_MALFORMED;
	reader_init(&r, in);
	read_array(&r, BEGINNING, UINT64_MAX);
	request.number = read_uint(&r, UINT64_MAX);
	request.command = read_uint(&r, UINT8_MAX);
	read_arguments(&r, &request);
	if (reader_peek(&r) != VALUE_END) /* to do half of what is asked would be worse than nothing */
		reader_fail(&r);
	read_end(&r);
	if (reader_done(&r) != 0) {
		*ret_request = (struct request){ .number = request.number }; /* who asked can be told */
		return CONTROL_MALFORMED;
	}
	*ret_request = request;
	return 0;
}

bool control_draft_next(struct request *request, struct draft *ret_draft) {
	if (request->command != COMMAND_SUBMIT || reader_peek(&request->drafts) == VALUE_END)
		return false;
	read_draft(&request->drafts, ret_draft);
	return true;
}

bool control_message_next(struct request *request, struct span *ret_message) {
	if (request->command != COMMAND_IMPORT || reader_peek(&request->messages) == VALUE_END)
		return false;
	*ret_message = read_bin(&request->messages, 1, MESSAGE_MAX);
	return true;
}

int control_answer_decode(struct span in, struct answer *ret_answer) {
	struct answer answer = { 0 };
	struct reader r;

	if (in.len > CONTROL_MAX)
		return CONTROL_MALFORMED;
	reader_init(&r, in);
	read_array(&r, BEGINNING, UINT64_MAX);
	answer.number = read_uint(&r, UINT64_MAX);
	answer.result = read_uint(&r, UINT8_MAX);
	if (answer.result != CONTROL_OK) {
		answer.index = read_uint(&r, UINT64_MAX);
		answer.detail = read_text(&r, 0, CONTROL_DETAIL_MAX);
	}
	answer.values = r;
	read_end(&r);
	if (reader_done(&r) != 0)
		return CONTROL_MALFORMED;
	*ret_answer = answer;
	return 0;
}

bool control_fault_next(struct answer *answer, struct control_fault *ret_fault) {
	struct reader *r = &answer->values;

	if (answer->result == CONTROL_OK)
		return false;
	if (reader_peek(r) == VALUE_ARRAY && r->depth == 1)
		(void)read_array(r, 0, CONTROL_FAULTS_MAX);
	if (reader_peek(r) == VALUE_END)
		return false;
	(void)read_array(r, FAULT_FIELDS, UINT64_MAX);
	ret_fault->result = read_uint(r, UINT8_MAX);
	ret_fault->index = read_uint(r, UINT64_MAX);
	ret_fault->detail = read_text(r, 0, CONTROL_DETAIL_MAX);
	read_end(r);
	return !r->failed;
}

static void write_request(struct writer *w, uint64_t number, enum command command,
	size_t n_arguments) {
	write_array(w, BEGINNING + n_arguments);
	write_uint(w, number);
	write_uint(w, command);
}

void control_write_submit(struct writer *w, uint64_t number, bool check_only, size_t n_drafts) {
	write_request(w, number, COMMAND_SUBMIT, 2);
	write_bool(w, check_only);
	write_array(w, n_drafts);
}

void control_write_draft(struct writer *w, const struct draft *draft) {
	write_array(w, DRAFT_FIELDS);
	write_uint(w, draft->kind);
	write_uint(w, draft->organisation);
	write_uint(w, draft->lane);
	if (draft->has_id)
		write_id_or_nil(w, &draft->id);
	else
		write_nil(w);
	write_raw(w, draft->body);
	if (draft->private.len > 0)
		write_raw(w, draft->private);
	else
		write_nil(w);
}

void control_write_status(struct writer *w, uint64_t number) {
	write_request(w, number, COMMAND_STATUS, 0);
}

void control_write_add_office(struct writer *w, uint64_t number, struct span file,
	struct span address) {
	write_request(w, number, COMMAND_ADD_OFFICE, 2);
	write_bin(w, file);
	write_str(w, address);
}

void control_write_join(struct writer *w, uint64_t number, struct span file) {
	write_request(w, number, COMMAND_JOIN, 1);
	write_bin(w, file);
}

void control_write_since(struct writer *w, uint64_t number, uint64_t since, uint64_t max) {
	write_request(w, number, COMMAND_SINCE, 2);
	write_uint(w, since);
	write_uint(w, max);
}

void control_write_snapshot(struct writer *w, uint64_t number, struct span after) {
	write_request(w, number, COMMAND_SNAPSHOT, 1);
	write_bin(w, after);
}

void control_write_private(struct writer *w, uint64_t number, enum command command,
	const struct id *record, struct span who, struct span reason) {
	write_request(w, number, command, 3);
	write_id(w, record);
	write_str(w, who);
	write_str(w, reason);
}

void control_write_invite(struct writer *w, uint64_t number, const struct office *office,
	struct span address, uint64_t valid_ms, bool automatic) {
	write_request(w, number, COMMAND_INVITE, 7);
	write_labels(w, office);
	write_str(w, address);
	write_uint(w, valid_ms);
	write_bool(w, automatic);
}

void control_write_change_office(struct writer *w, uint64_t number, const struct office *office) {
	write_request(w, number, COMMAND_CHANGE_OFFICE, 6);
	write_id(w, &office->id);
	write_labels(w, office);
	write_uint(w, office->state);
}

void control_write_export(struct writer *w, uint64_t number, const struct id *office, uint64_t max,
	const struct held *from) {
	write_request(w, number, COMMAND_EXPORT, 3);
	write_id(w, office);
	write_uint(w, max);
	control_write_from(w, from);
}

void control_write_import(struct writer *w, uint64_t number, const struct id *office, struct span messages) {
	write_request(w, number, COMMAND_IMPORT, 2);
	write_id(w, office);
	write_raw(w, messages);
}

void control_write_move_office(struct writer *w, uint64_t number, const struct id *office, const struct id *parent) {
	write_request(w, number, COMMAND_MOVE_OFFICE, 2);
	write_id(w, office);
	write_id(w, parent);
}

void control_write_hold_line(struct writer *w, uint64_t number, bool held, uint64_t until_ms) {
	write_request(w, number, COMMAND_HOLD_LINE, 2);
	write_bool(w, held);
	write_uint(w, until_ms);
}

void control_write_rotate(struct writer *w, uint64_t number) {
	write_request(w, number, COMMAND_ROTATE, 0);
}

void control_write_ask(struct writer *w, uint64_t number, const struct inquiry *inquiry) {
	write_request(w, number, COMMAND_ASK, 1);
	inquiry_encode(inquiry, w);
}

void control_write_reply(struct writer *w, uint64_t number, enum command command, const struct id *request,
	struct span who, struct span reason) {
	write_request(w, number, command, command == COMMAND_DENY ? 3 : 2);
	write_id(w, request);
	write_str(w, who);
	if (command == COMMAND_DENY)
		write_str(w, reason);
}

void control_write_decision(struct writer *w, uint64_t number, enum command command,
	const struct id *office) {
	write_request(w, number, command, 1);
	write_id(w, office);
}

void control_write_ok(struct writer *w, uint64_t number, size_t n_values) {
	write_array(w, BEGINNING + n_values);
	write_uint(w, number);
	write_uint(w, CONTROL_OK);
}

/* @n_more: values that follow. */
static void write_failure(struct writer *w, uint64_t number, const struct control_fault *fault,
	size_t n_more) {
	write_array(w, BEGINNING + FAILURE_VALUES + n_more);
	write_uint(w, number);
	write_uint(w, fault->result);
	write_uint(w, fault->index);
	write_str(w, fault->detail);
}

void control_write_faults(struct writer *w, uint64_t number, const struct control_fault *faults,
	size_t n_faults) {
	write_failure(w, number, &faults[0], 1);
	write_array(w, n_faults - 1);
	for (size_t i = 1; i < n_faults; i++) {
		write_array(w, FAULT_FIELDS);
		write_uint(w, faults[i].result);
		write_uint(w, faults[i].index);
		write_str(w, faults[i].detail);
	}
}

void control_write_failure(struct writer *w, uint64_t number, enum control_result result,
	uint64_t index, struct span detail) {
	write_failure(w, number, &(struct control_fault){ result, index, detail }, 0);
}

static void write_link(struct writer *w, const struct link_report *link) {
	write_array(w, LINK_FIELDS);
	write_id(w, &link->office);
	write_bool(w, link->up);
	write_uint(w, link->state);
	write_uint(w, link->since_ms);
	write_uint(w, link->last_progress_ms);
	write_uint(w, link->trouble.code);
	write_uint(w, link->trouble.reason);
	write_str(w, span_str(link->trouble.detail));
	write_uint(w, (uint64_t)link->clock_skew_ms); /* two's complement: codec has no sign */
}

static void read_link(struct reader *r, struct link_report *ret_link) {
	struct span detail;

	read_array(r, LINK_FIELDS, UINT64_MAX);
	read_id(r, &ret_link->office);
	ret_link->up = read_bool(r);
	ret_link->state = read_uint(r, UINT8_MAX);
	ret_link->since_ms = read_uint(r, UINT64_MAX);
	ret_link->last_progress_ms = read_uint(r, UINT64_MAX);
	ret_link->trouble = (struct trouble){ .code = read_uint(r, UINT8_MAX) };
	ret_link->trouble.reason = read_uint(r, UINT32_MAX);
	detail = read_line(r, 0, TROUBLE_DETAIL_MAX);
	if (detail.len > 0)
		memcpy(ret_link->trouble.detail, detail.data, detail.len);
	ret_link->clock_skew_ms = (int64_t)read_uint(r, UINT64_MAX);
	read_end(r);
}

void control_write_status_values(struct writer *w, const struct control_status *status,
	const struct link_report *links, size_t n_links) {
	size_t n_reasons = 0;

	for (size_t reason = 0; reason < REFUSAL_N; reason++)
		n_reasons += status->refusals[reason] != 0;
	write_uint(w, status->pid);
	write_uint(w, status->started_ms);
	write_str(w, status->version);
	write_uint(w, status->turns);
	write_array(w, n_reasons);
	for (size_t reason = 0; reason < REFUSAL_N; reason++) {
		if (status->refusals[reason] == 0)
			continue;
		write_array(w, REFUSAL_FIELDS);
		write_uint(w, reason);
		write_uint(w, status->refusals[reason]);
	}
	write_array(w, n_links);
	for (size_t i = 0; i < n_links; i++)
		write_link(w, &links[i]);
	write_uint(w, status->line.why);
	write_uint(w, status->line.since_ms);
	write_uint(w, status->line.until_ms);
}

/* Reasons that only a newer node knows are passed over. */
static void read_refusals(struct reader *r, uint64_t ret_refusals[REFUSAL_N]) {
	read_array(r, 0, UINT64_MAX);
	while (reader_peek(r) != VALUE_END) {
		uint64_t reason;
		uint64_t n;

		read_array(r, REFUSAL_FIELDS, UINT64_MAX);
		reason = read_uint(r, UINT64_MAX);
		n = read_uint(r, UINT64_MAX);
		read_end(r);
		if (reason < REFUSAL_N)
			ret_refusals[reason] = n;
	}
	read_end(r);
}

int control_status_read(struct answer *answer, struct control_status *ret_status) {
	struct reader *r = &answer->values;
	struct control_status status = { 0 };
	struct link_report link;

	status.pid = read_uint(r, UINT64_MAX);
	status.started_ms = read_uint(r, UINT64_MAX);
	status.version = read_line(r, 0, VERSION_MAX);
	status.turns = read_uint(r, UINT64_MAX);
	read_refusals(r, status.refusals);
	status.n_links = read_array(r, 0, UINT64_MAX);
	status.links = *r;
	while (reader_peek(r) != VALUE_END)
		read_link(r, &link);
	read_end(r);
	status.line.why = read_uint(r, UINT8_MAX);
	status.line.since_ms = read_uint(r, UINT64_MAX);
	status.line.until_ms = read_uint(r, UINT64_MAX);
	if (r->failed)
		return CONTROL_MALFORMED;
	*ret_status = status;
	return 0;
}

bool control_link_next(struct control_status *status, struct link_report *ret_link) {
	if (reader_peek(&status->links) == VALUE_END)
		return false;
	read_link(&status->links, ret_link);
	return true;
}
