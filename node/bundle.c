/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The same batches and acknowledgements as on a line, for a file that somebody carries (proto/bundle.h). */
#include <errno.h>

#include "node/core_internal.h"

/* Messages for one chunk, as they come from the link. */
struct chunk {
	struct writer w;
	size_t n;
	size_t max;
};

static bool add_message(void *userdata, const struct id *neighbour, struct span frame) {
	struct chunk *chunk = userdata;

	(void)neighbour;
	write_bin(&chunk->w, frame);
	chunk->n++;
	return chunk->n < BUNDLE_MESSAGES_MAX && chunk->w.len + MESSAGE_MAX <= chunk->max;
}

static int not_neighbour(struct core *core, struct span client, const struct request *request) {
	return core_answer_failure(core, client, request->number, CONTROL_NOT_NEIGHBOUR, 0, span_str(""));
}

int core_export(struct core *core, struct txn *txn, const struct core_asked *query) {
	const struct request *request = &query->request;
	const struct link *link = core_find_link(core, &request->record);
	struct chunk chunk = { .max = request->max < BUNDLE_PLAIN_MAX ? request->max : BUNDLE_PLAIN_MAX };
	struct link_io io = core_link_io(core);
	struct link_bundled bundled;
	int r;

	if (!link)
		return not_neighbour(core, query->client, request);
	io.userdata = &chunk;
	io.send = add_message;
	chunk.max -= chunk.max < 16 ? chunk.max : 16; /* the array around them */
	writer_init_grow(&chunk.w);
	r = link_export(link, core->work, &io, txn, &request->from, &bundled);
	if (r == 0 && !writer_ok(&chunk.w))
		r = -ENOMEM;
	if (r == 0) {
		core_answer_begin(core, query->client);
		control_write_ok(&core->answers, request->number, 3);
		write_array(&core->answers, chunk.n);
		write_raw(&core->answers, writer_span(&chunk.w));
		write_uint(&core->answers, bundled.records);
		control_write_from(&core->answers, &bundled.next);
		r = core_answer_end(core);
	}
	writer_done(&chunk.w);
	return r;
}

static int take_batch(struct core *core, struct txn *txn, struct link *stick, const struct batch *batch) {
	struct span plain;
	int r = link_unpack_alone(stick, batch, &plain);

	if (r > 0) {
		core->refusals[r]++;
		return link_refuse(stick, &batch->oplog, batch->first, r);
	}
	return r ? r : receive_batch(core->receive, txn, stick, batch, plain, core->refusals);
}

/* What is neither batch nor acknowledgement is of a later version. */
static int take_messages(struct core *core, struct txn *txn, struct link *stick, struct link *link,
	struct request messages) {
	struct link_io io = core_link_io(core);
	struct message message;
	struct span bytes;
	int r = 0;

	while (r == 0 && control_message_next(&messages, &bytes)) {
		if (message_decode(bytes, &message))
			core->refusals[REFUSAL_MALFORMED]++;
		else if (message.type == MESSAGE_ACK)
			r = link_told(link, &io, txn, &message);
		else if (message.type == MESSAGE_BATCH)
			r = take_batch(core, txn, stick, &message.batch);
	}
	return r;
}

static int answer_import(struct core *core, struct span client, const struct request *request, uint64_t records,
	const struct link *stick) {
	core_answer_begin(core, client);
	control_write_ok(&core->answers, request->number, 2);
	write_uint(&core->answers, records);
	write_array(&core->answers, stick->n_refusals);
	for (size_t i = 0; i < stick->n_refusals; i++)
		control_write_refused(&core->answers, &stick->refusals[i]);
	return core_answer_end(core);
}

/*
 * As what a neighbour sends in a session, on a link of its own, whose notes are the answer: what came by the line in
 * this turn is finished first. It is acknowledged in the next bundle, or in the next session.
 */
int core_import(struct core *core, struct span client, const struct request *request) {
	struct link *link = core_find_link(core, &request->record), *stick;
	size_t before;
	struct txn *txn;
	int r;

	if (!link)
		return not_neighbour(core, client, request);
	r = core_txn(core, &txn);
	if (!r)
		r = receive_finish(core->receive, txn, core->refusals);
	if (!r)
		r = link_new(&link->neighbour, link->up, core->work, core->wall_ms, &stick);
	if (r)
		return r;
	before = core->n_records;
	r = take_messages(core, txn, stick, link, *request);
	if (!r)
		r = receive_finish(core->receive, txn, core->refusals);
	if (r == 0 && core->n_records > before)
		link->last_progress_ms = core->wall_ms;
	if (r == 0)
		r = answer_import(core, client, request, core->n_records - before, stick);
	receive_clear(core->receive); /* nothing there may point to it any more */
	link_free(stick);
	return r;
}
