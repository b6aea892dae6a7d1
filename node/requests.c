/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * An office asks the one below it for a case of which it has only hashes, and is answered. Who grants a case
 * discloses it (disclosure.h), as who escalates it does; only the office that was asked can.
 */
#include "node/core_internal.h"

#include <errno.h>

#include "store/requests.h"

/* The office directly below this one through which @office is reached. NULL: it is not below this one. */
static const struct register_entry *way_to(const struct core *core, const struct id *office) {
	const struct id *own = &core->reg.own->row.office.id;
	const struct register_entry *entry = register_find(&core->reg, office);

	if (register_depth(&core->reg, office, own) <= 0)
		return NULL;
	while (!id_eq(&entry->row.office.parent, own))
		entry = register_find(&core->reg, &entry->row.office.parent);
	return entry;
}

static int write_record(struct core *core, uint8_t kind, const struct writer *body, const struct id *audience,
	struct id *ret_id) {
	struct record rec = { .kind = kind, .time_ms = core->wall_ms, .body = writer_span(body) };
	int r = writer_ok(body) ? author_make_id(&core->author, core->wall_ms, &rec.id) : -ENOBUFS;

	if (r == 0)
		r = core_write(core, LANE_URGENT, &rec, audience, audience ? 1 : 0);
	*ret_id = rec.id;
	return r > 0 ? -EIO : r;
}

struct same_search {
	struct core *core;
	const struct inquiry *wanted;
	struct id found;
};

static int look_for_same(void *userdata, const struct request_row *row) {
	struct same_search *search = userdata;
	struct request_state state;
	int r;

	if (row->office != search->core->fold.own || !id_eq(&row->record, &row->request))
		return 0;
	r = requests_look(search->core->txn, &row->request, row->office, &state);
	if (r)
		return r < 0 ? r : 0;
	if (state.outcome == REPLY_REFUSED || !inquiry_same(&state.inquiry, search->wanted))
		return 0;
	search->found = state.id;
	return 1;
}

/* Whether there is nothing to ask for. 0, or the result, or -errno. */
static int look_here(struct core *core, const struct inquiry *inquiry) {
	struct case_row row;
	struct oplog oplog;
	struct leaf leaf;
	uint64_t arrival;
	int r = id_is_nil(&inquiry->petition) ? STORE_NOT_FOUND : cases_get(core->txn, &inquiry->petition, &row);

	if (r != STORE_NOT_FOUND)
		return r < 0 ? r : CONTROL_READABLE;
	if (id_is_nil(&inquiry->oplog.office))
		return 0;
	r = oplog_load(core->txn, &inquiry->oplog, &oplog);
	if (r == 0 && inquiry->index < oplog.frontier.size)
		r = oplog_leaf(core->txn, &oplog, inquiry->index, &leaf, &arrival);
	else if (r == 0)
		r = STORE_NOT_FOUND;
	if (r)
		return r < 0 ? r : CONTROL_NO_CASE;
	return leaf.withheld ? 0 : CONTROL_READABLE;
}

static int answer_with(struct core *core, struct span client, uint64_t number, enum outcome outcome,
	const struct id *id) {
	core_answer_begin(core, client);
	control_write_ok(&core->answers, number, 2);
	write_uint(&core->answers, outcome);
	write_id(&core->answers, id);
	return core_answer_end(core);
}

int core_ask(struct core *core, struct span client, const struct request *request) {
	struct inquiry inquiry = request->inquiry;
	const struct register_entry *way = way_to(core, &inquiry.asked);
	const struct id origin = inquiry.asked;
	struct same_search search = { core, &inquiry, { { 0 } } };
	uint8_t body[INQUIRY_WHO_MAX + INQUIRY_REASON_MAX + 128];
	struct txn *txn;
	struct writer w;
	struct id id;
	int r = core_txn(core, &txn);

	if (r == 0 && !way)
		return core_answer_failure(core, client, request->number, CONTROL_NOT_BELOW, 0, span_str(""));
	if (r == 0)
		r = look_here(core, &inquiry);
	if (r)
		return r < 0 ? r : core_answer_failure(core, client, request->number, (enum control_result)r, 0,
			span_str(""));
	inquiry.asked = way->row.office.id;
	r = requests_each(txn, NULL, look_for_same, &search);
	if (r)
		return r < 0 ? r : answer_with(core, client, request->number, OUTCOME_HELD, &search.found);
	writer_init(&w, body, sizeof(body));
	inquiry_encode(&inquiry, &w);
	r = write_record(core, KIND_REQUEST, &w, &origin, &id);
	return r ? r : answer_with(core, client, request->number, OUTCOME_ADDED, &id);
}

/* The request that can be answered. 0, a result, or -errno. */
static int find_request(struct core *core, const struct id *id, struct request_state *ret_state) {
	const struct register_entry *above = register_parent(&core->reg);
	int r = above ? requests_look(core->txn, id, above->row.number, ret_state) : STORE_NOT_FOUND;

	if (r)
		return r < 0 ? r : CONTROL_NO_REQUEST;
	if (!id_eq(&ret_state->inquiry.asked, &core->reg.own->row.office.id))
		return CONTROL_NO_REQUEST;
	return ret_state->outcome ? CONTROL_ANSWERED : 0;
}

/* The office whose case it is, to which the answer travels down; NULL: this one, or not known. */
static const struct id *origin_of(const struct core *core, const struct case_row *row, const struct inquiry *inquiry) {
	const struct register_entry *origin = row ? register_by_number(&core->reg, row->origin)
						  : register_find(&core->reg, &inquiry->oplog.office);

	return origin && origin != core->reg.own ? &origin->row.office.id : NULL;
}

static int reply_to(struct core *core, const struct request *request, const struct request_state *state) {
	struct reply reply = { .request = state->id, .who = request->who, .reason = request->reason,
		.outcome = request->command == COMMAND_GRANT ? REPLY_GRANTED : REPLY_REFUSED };
	uint8_t body[REPLY_WHO_MAX + REPLY_REASON_MAX + 64];
	struct case_row row;
	struct writer w;
	struct id id;
	int known, read_above = 0;
	int r;

	known = requests_find_case(core->txn, &state->inquiry, &reply.petition, &row);
	if (known < 0)
		return known;
	if (known > 0 && reply.outcome == REPLY_GRANTED)
		return known == REQUESTS_SEVERAL ? CONTROL_SEVERAL : CONTROL_NO_CASE;
	if (known == 0)
		read_above = core_is_read_above(core, &reply.petition);
	else
		reply.petition = state->inquiry.petition;
	if (read_above < 0)
		return read_above;
	writer_init(&w, body, sizeof(body));
	reply_encode(&reply, &w);
	r = write_record(core, KIND_REPLY, &w, origin_of(core, known == 0 ? &row : NULL, &state->inquiry), &id);
	return r || reply.outcome != REPLY_GRANTED || read_above ? r : core_disclose_case(core, &reply.petition);
}

int core_answer_request(struct core *core, struct span client, const struct request *request) {
	struct request_state state;
	struct txn *txn;
	int r = core_txn(core, &txn);

	if (r == 0)
		r = find_request(core, &request->record, &state);
	if (r == 0)
		r = reply_to(core, request, &state);
	if (r)
		return r < 0 ? r : core_answer_failure(core, client, request->number, (enum control_result)r, 0,
			span_str(""));
	core_answer_begin(core, client);
	control_write_ok(&core->answers, request->number, 0);
	return core_answer_end(core);
}
