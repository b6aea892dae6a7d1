/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The change stream, a JSON line a row. What is published may be lost on the way, so every row is
 * counted: at a gap, and now and then when nothing comes, the node is asked for what is missing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include "proto/reference.h"
#include "store/changes.h"
#include "tools/client.h"
#include "tools/dates.h"
#include "tools/home.h"

enum {
	QUIET_MS = 5000, /* without a row, then the node is asked */
	ROWS_QUEUED = 10000,
};

struct stream {
	const struct tool *tool;
	struct client *client;
	void *context;
	void *socket;
	uint64_t number; /* of the last row shown */
};

static json_t *period_text(uint32_t period) {
	return json_sprintf("%04u-%02u", period / 100, period % 100);
}

static json_t *word_value(const struct words *words, uint64_t value) {
	const char *word = words_name(words, value);

	return word ? json_string(word) : json_integer((json_int_t)value);
}

static json_t *tally_value(const char *office, const struct tally_row *row) {
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:I}",
		"type", "tally",
		"office", office,
		"period", period_text(row->period),
		"category", word_value(&words_category, row->category),
		"organisation", word_value(&words_organisation, row->organisation),
		"measure", word_value(&words_measure, row->measure),
		"count", (json_int_t)row->n);
}

static json_t *escalation_value(const char *office, const struct escalation *escalation) {
	char petition[OFFICE_ID_TEXT_LEN + 1];
	char reference[REFERENCE_TEXT_MAX];

	id_format(&escalation->petition, petition);
	reference_format(escalation->reference, reference);
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s%, s:o, s:I, s:I, s:I, s:o}",
		"type", "escalation",
		"office", office,
		"petition_id", petition,
		"reference", reference,
		"cause", word_value(&words_cause, escalation->cause),
		"rule", (const char *)escalation->rule.data, escalation->rule.len,
		"state", word_value(&words_state, escalation->state),
		"measured", (json_int_t)escalation->measured,
		"threshold", (json_int_t)escalation->threshold,
		"people", (json_int_t)escalation->people,
		"category", word_value(&words_category, escalation->category));
}

static int show_row(uint64_t number, struct span row) {
	char office[OFFICE_ID_TEXT_LEN + 1];
	char time[DATE_TEXT_MAX];
	struct change change;
	json_t *value;

	if (change_decode(row, &change)) {
		/* a newer version's: its number is told all the same, so that no gap is seen */
		return json_line(json_pack("{s:I, s:n}", "number", (json_int_t)number, "type"));
	}
	id_format(&change.office, office);
	value = change.type == CHANGE_TALLY ? tally_value(office, &change.tally) :
					      escalation_value(office, &change.escalation);
	date_format_iso(change.time_ms, time);
	if (!value || json_object_set_new(value, "number", json_integer((json_int_t)number)) != 0 ||
		json_object_set_new(value, "time", json_string(time)) != 0) {
		json_decref(value);
		return fail_memory();
	}
	return json_line(value);
}

/* Rows of one answer, in order. */
static int show_rows(struct stream *stream, struct answer *answer, uint64_t *ret_n,
	uint64_t *ret_last) {
	struct reader *r = &answer->values;
	uint64_t n = read_array(r, 0, CONTROL_ROWS_MAX);

	for (uint64_t i = 0; i < n; i++) {
		uint64_t number;
		struct span row;
		int ending;

		read_array(r, 2, 2);
		number = read_uint(r, UINT64_MAX);
		row = read_raw(r);
		read_end(r);
		if (r->failed || number != stream->number + 1)
			return client_explain(stream->tool, CLIENT_STRANGE);
		ending = show_row(number, row);
		if (ending)
			return ending;
		stream->number = number;
	}
	read_end(r);
	*ret_last = read_uint(r, UINT64_MAX);
	*ret_n = n;
	return r->failed ? client_explain(stream->tool, CLIENT_STRANGE) : DONE;
}

static int ask(struct stream *stream, struct writer *w, struct answer *ret_answer) {
	int r = client_ask_again(stream->client, w, CLIENT_PATIENT_MS, CLIENT_PATIENT_MS, ret_answer);

	if (r)
		return client_explain(stream->tool, r);
	return ret_answer->result == CONTROL_OK ? DONE : client_refused(ret_answer, "stream");
}

/* Everything after the last row shown. */
static int catch_up(struct stream *stream) {
	struct answer answer;
	struct writer w;
	uint64_t last = 0;
	uint64_t n = 0;
	int ending;

	do {
		uint8_t request[32];

		writer_init(&w, request, sizeof(request));
		control_write_since(&w, client_number(stream->client), stream->number,
			CONTROL_ROWS_MAX);
		ending = ask(stream, &w, &answer);
		if (ending == DONE)
			ending = show_rows(stream, &answer, &n, &last);
	} while (ending == DONE && n > 0 && stream->number < last);
	if (ending == DONE && fflush(stdout) != 0)
		return fail(_("cannot write: %s"), strerror(errno));
	return ending;
}

static int open_socket(struct stream *stream) {
	static const char topic[] = "change";
	int queued = ROWS_QUEUED;
	int linger = 0;
	char *path = home_path(stream->tool, "stream.sock");
	char *address = NULL;
	int r = 0;

	if (!path || asprintf(&address, "ipc://%s", path) < 0) {
		free(path);
		return -ENOMEM;
	}
	stream->context = zmq_ctx_new();
	stream->socket = stream->context ? zmq_socket(stream->context, ZMQ_SUB) : NULL;
	if (!stream->socket ||
		zmq_setsockopt(stream->socket, ZMQ_LINGER, &linger, sizeof(linger)) < 0 ||
		zmq_setsockopt(stream->socket, ZMQ_RCVHWM, &queued, sizeof(queued)) < 0 ||
		zmq_setsockopt(stream->socket, ZMQ_SUBSCRIBE, topic, sizeof(topic) - 1) < 0 ||
		zmq_connect(stream->socket, address) < 0)
		r = -errno;
	free(address);
	free(path);
	return r;
}

static int take_row(struct stream *stream, zmq_msg_t *message) {
	struct reader r;
	uint64_t number;
	struct span row;

	reader_init(&r, (struct span){ zmq_msg_data(message), zmq_msg_size(message) });
	read_array(&r, 2, UINT64_MAX);
	number = read_uint(&r, UINT64_MAX);
	row = read_raw(&r);
	if (r.failed || number <= stream->number)
		return DONE; /* shown already, while catching up */
	if (number > stream->number + 1)
		return catch_up(stream);
	stream->number = number;
	return show_row(number, row);
}

/* Takes what has been published, without waiting. */
static int take_rows(struct stream *stream) {
	zmq_msg_t message;
	int ending = DONE;

	zmq_msg_init(&message);
	while (ending == DONE && zmq_msg_recv(&message, stream->socket, ZMQ_DONTWAIT) >= 0) {
		if (!zmq_msg_more(&message)) /* the first part is only the topic */
			ending = take_row(stream, &message);
	}
	zmq_msg_close(&message);
	if (ending == DONE && fflush(stdout) != 0)
		return fail(_("cannot write: %s"), strerror(errno));
	return ending;
}

static int follow(struct stream *stream) {
	int ending = DONE;

	while (ending == DONE) {
		zmq_pollitem_t item = { stream->socket, 0, ZMQ_POLLIN, 0 };
		int n = zmq_poll(&item, 1, QUIET_MS);

		if (n < 0 && errno != EINTR)
			return fail(_("cannot follow the stream: %s"), zmq_strerror(errno));
		if (n > 0)
			ending = take_rows(stream);
		else if (n == 0)
			ending = catch_up(stream);
	}
	return ending;
}

static int show_piece(struct stream *stream, struct answer *answer, uint64_t *ret_number,
	struct writer *after, bool *ret_more) {
	struct reader *r = &answer->values;
	uint64_t n = read_array(r, 0, CONTROL_ROWS_MAX);
	int ending = DONE;

	for (uint64_t i = 0; i < n && ending == DONE; i++) {
		char office[OFFICE_ID_TEXT_LEN + 1];
		struct tally_row row;
		struct id id;

		read_array(r, 6, UINT64_MAX);
		read_id(r, &id);
		row.period = read_uint(r, UINT32_MAX);
		row.category = read_uint(r, UINT8_MAX);
		row.organisation = read_uint(r, UINT8_MAX);
		row.measure = read_uint(r, UINT8_MAX);
		row.n = read_uint(r, UINT64_MAX);
		read_end(r);
		if (r->failed)
			break;
		id_format(&id, office);
		ending = json_line(tally_value(office, &row));
	}
	if (ending)
		return ending;
	read_end(r);
	*ret_number = read_uint(r, UINT64_MAX);
	*ret_more = reader_peek(r) == VALUE_BIN;
	if (*ret_more) {
		struct span key = read_bin(r, 1, CONTROL_KEY_MAX);

		after->len = 0;
		write_raw(after, key);
	}
	return r->failed ? client_explain(stream->tool, CLIENT_STRANGE) : DONE;
}

/* Counts are absolute, so the changes since the first piece may be applied on top of the last. */
static int snapshot(struct stream *stream) {
	_cleanup_(writer_done) struct writer after, w;
	uint64_t first_number = 0;
	bool first = true;
	bool more = true;
	int ending = DONE;

	writer_init_grow(&after);
	writer_init_grow(&w);
	while (ending == DONE && more) {
		struct answer answer;
		uint64_t number;

		w.len = 0;
		control_write_snapshot(&w, client_number(stream->client), writer_span(&after));
		ending = ask(stream, &w, &answer);
		if (ending == DONE)
			ending = show_piece(stream, &answer, &number, &after, &more);
		if (ending == DONE && first)
			first_number = number;
		first = false;
	}
	if (ending)
		return ending;
	return json_line(json_pack("{s:s, s:I}", "type", "snapshot", "number",
		(json_int_t)first_number));
}

static int run(struct stream *stream, bool once, bool whole) {
	int ending;
	int r;

	r = client_open(stream->tool, &stream->client);
	if (r == 0 && !once && !whole)
		r = open_socket(stream);
	if (r)
		return client_explain(stream->tool, r);
	if (whole)
		return snapshot(stream);
	ending = catch_up(stream);
	return ending || once ? ending : follow(stream);
}

int command_stream(struct tool *tool, int argc, char **argv) {
	struct stream stream = { .tool = tool };
	const char *since = NULL;
	bool once = false;
	bool whole = false;
	const struct option_def options[] = {
		{ "since", N_("NUMBER"), N_("of the last row that you have; default 0: all that are kept"),
			.value = &since },
		{ "once", NULL, N_("end when all rows so far are shown; otherwise wait for more"),
			.flag = &once },
		{ "snapshot", NULL, N_("all counts as they are, then the number to go on from"),
			.flag = &whole },
	};
	const struct usage usage = { "stream", NULL,
		N_("Follows the change stream: a JSON line for each count that changed and each escalation, in the order of their numbers, none left out, none twice."),
		options, N_ELEMENTS(options), 0, 0 };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending) ||
		!option_number("since", since, &stream.number, &ending))
		return ending;
	ending = run(&stream, once, whole);
	client_close(stream.client);
	if (stream.socket)
		zmq_close(stream.socket);
	if (stream.context)
		zmq_ctx_term(stream.context);
	return ending;
}
