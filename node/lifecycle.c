/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What becomes of an office after it was enrolled: its parent changes its labels or ends it, it changes its key. */
#include "node/core_internal.h"

#include <errno.h>

static int write_urgent(struct core *core, uint8_t kind, const struct writer *body) {
	struct record rec = { .kind = kind, .time_ms = core->wall_ms, .body = writer_span(body) };
	int r = writer_ok(body) ? author_make_id(&core->author, core->wall_ms, &rec.id) : -ENOBUFS;

	if (r == 0)
		r = core_write(core, LANE_URGENT, &rec, NULL, 0);
	return r > 0 ? -EIO : r;
}

static int write_office(struct core *core, const struct office *office) {
	uint8_t body[OFFICE_BODY_MAX];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	office_encode(office, &w);
	return write_urgent(core, KIND_OFFICE, &w);
}

int core_begin_term(struct core *core, const struct office_end *end) {
	struct office office = core->reg.own->row.office;
	size_t n = core->reg.own->row.former.n;
	int r;

	office.has_end = true;
	office.end = *end;
	r = write_office(core, &office);
	return r == 0 && core->reg.own->row.former.n == n ? -EIO : r; /* it was set aside: nothing of it may stay */
}

int core_write_fork(struct core *core, const struct fork *fork) {
	uint8_t body[FORK_BODY_MAX];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	fork_encode(fork, &w);
	return write_urgent(core, KIND_FORK, &w);
}

int core_enrol(struct core *core, struct office *office) {
	office->parent = core->reg.own->row.office.id;
	office->state = OFFICE_ACTIVE;
	office->valid_from_ms = core->wall_ms;
	office->has_end = false;
	return write_office(core, office);
}

static int answer_done(struct core *core, struct span client, uint64_t number) {
	core_answer_begin(core, client);
	control_write_ok(&core->answers, number, 0);
	return core_answer_end(core);
}

static int last_epoch(void *userdata, const struct oplog *oplog) {
	struct office_end *end = userdata;

	if (oplog->id.epoch > end->epoch)
		*end = (struct office_end){ .epoch = oplog->id.epoch };
	if (oplog->id.epoch == end->epoch)
		end->sizes[oplog->id.lane] = oplog->frontier.size;
	return 0;
}

int core_change_office(struct core *core, struct span client, const struct request *request) {
	struct register_entry *entry = register_find(&core->reg, &request->office.id);
	const struct office *own = &core->reg.own->row.office;
	const struct register_entry *taken;
	struct office office;
	struct txn *txn;
	int r;

	/* the topmost has no office above it that could change its name */
	if (!entry || !(entry == core->reg.own ? id_is_nil(&own->parent) && request->office.state == OFFICE_ACTIVE
					       : id_eq(&entry->row.office.parent, &own->id)))
		return core_answer_failure(core, client, request->number, CONTROL_NOT_BELOW, 0, span_str(""));
	if (entry->row.office.state == OFFICE_REVOKED)
		return core_answer_failure(core, client, request->number, CONTROL_REVOKED, 0, span_str(""));
	if (entry->row.office.state == OFFICE_MOVING) /* it was not enrolled here yet: see core_add_office() */
		return core_answer_failure(core, client, request->number, CONTROL_NOT_BELOW, 0, span_str(""));
	office = entry->row.office;
	office.code = request->office.code;
	office.code_digits = request->office.code_digits;
	office.level = request->office.level;
	office.name = request->office.name;
	office.state = request->office.state;
	office.valid_from_ms = core->wall_ms > office.valid_from_ms ? core->wall_ms : office.valid_from_ms + 1;
	taken = office.state == OFFICE_ACTIVE ? core_taken_by(core, &office) : NULL;
	if (taken && taken != entry)
		return core_answer_failure(core, client, request->number, CONTROL_TAKEN, 0, taken->row.office.name);
	r = core_txn(core, &txn);
	if (r == 0 && office.state == OFFICE_REVOKED) {
		/* what came in this turn was kept already: it counts */
		r = receive_finish(core->receive, txn, core->refusals);
		office.has_end = true;
		office.end = (struct office_end){ 0 };
		if (r == 0)
			r = oplog_each_of(txn, &office.id, last_epoch, &office.end);
	}
	if (r == 0)
		r = write_office(core, &office);
	return r ? r : answer_done(core, client, request->number);
}

struct open_cases {
	uint32_t origin;
	const struct id *holder;
};

static int find_open(void *userdata, const struct id *id, const struct case_row *row) {
	const struct open_cases *open = userdata;

	return row->kind == KIND_PETITION && row->origin == open->origin &&
		id_eq(&row->handed_to, open->holder) && row->state < CASE_ANSWERED;
}

int core_move_office(struct core *core, struct span client, const struct request *request) {
	const struct register_entry *entry = register_find(&core->reg, &request->record);
	const struct register_entry *to = register_find(&core->reg, &request->office.id);
	struct open_cases open;
	struct office office;
	struct txn *txn;
	int r;

	if (!entry || !id_eq(&entry->row.office.parent, &core->reg.own->row.office.id))
		return core_answer_failure(core, client, request->number, CONTROL_NOT_BELOW, 0, span_str(""));
	if (entry->row.office.state == OFFICE_REVOKED)
		return core_answer_failure(core, client, request->number, CONTROL_REVOKED, 0, span_str(""));
	if (!to || to == core->reg.own || to->row.office.state != OFFICE_ACTIVE ||
		register_is_within(&core->reg, &to->row.office.id, &entry->row.office.id))
		return core_answer_failure(core, client, request->number, CONTROL_NOT_THERE, 0, span_str(""));
	open = (struct open_cases){ entry->row.number, &core->fold.own_id };
	r = core_txn(core, &txn);
	if (r == 0)
		r = cases_each(txn, find_open, &open);
	if (r > 0) /* what is done about them here would not reach it any more */
		return core_answer_failure(core, client, request->number, CONTROL_HOLDS_CASES, 0, span_str(""));
	office = entry->row.office;
	office.parent = to->row.office.id;
	office.valid_from_ms = core->wall_ms > office.valid_from_ms ? core->wall_ms : office.valid_from_ms + 1;
	if (r == 0)
		r = write_office(core, &office);
	return r ? r : answer_done(core, client, request->number);
}

int core_unfork(struct core *core, struct span client, const struct request *request) {
	const struct register_entry *entry = register_find(&core->reg, &request->record);
	struct fork fork = { .state = FORK_SETTLED };
	int r;

	if (!entry || !id_eq(&entry->row.office.parent, &core->reg.own->row.office.id))
		return core_answer_failure(core, client, request->number, CONTROL_NOT_BELOW, 0, span_str(""));
	if (entry->row.forks.settled >= entry->row.forks.found)
		return core_answer_failure(core, client, request->number, CONTROL_NOT_FORKED, 0, span_str(""));
	fork.oplog = (struct oplog_id){ request->record, entry->row.forks.found - 1, LANE_URGENT };
	r = core_write_fork(core, &fork);
	return r ? r : answer_done(core, client, request->number);
}

/* Everything up to the record that says so is signed with the key until now; what follows, with @next. */
static int rotate(struct core *core, struct txn *txn, struct signer *next) {
	struct office office = core->reg.own->row.office;
	uint64_t signed_sizes[LANE_N];
	int r = author_seal(&core->author, txn, office.end.sizes);

	signer_public(next, office.sign_key);
	office.has_end = true;
	office.end.epoch = core->author.epoch;
	office.end.sizes[LANE_URGENT]++;
	if (r == 0)
		r = write_office(core, &office);
	if (r == 0)
		r = author_seal(&core->author, txn, signed_sizes);
	if (r == 0 && !office_has_key(&core->reg.own->row.office, &core->reg.own->row.former, office.sign_key))
		r = -EIO; /* our own record was set aside: nothing of this turn may stay */
	if (r == 0)
		core->author.signer = next;
	return r;
}

int core_rotate(struct core *core, struct span client, const struct request *request) {
	const struct office_row *own = &core->reg.own->row;
	uint8_t key[SIGN_PUBLIC_LEN];
	struct signer *next;
	struct txn *txn;
	int r;

	if (own->former.n == OFFICE_FORMER_MAX || core->next_signer)
		return core_answer_failure(core, client, request->number, CONTROL_TOO_MANY, 0, span_str(""));
	r = core->io->next_key(core->io->userdata, &next);
	if (r)
		return r < 0 ? r : core_answer_failure(core, client, request->number, CONTROL_BAD_FILE, 0, span_str(""));
	signer_public(next, key);
	if (office_has_key(&own->office, &own->former, key)) {
		signer_free(next);
		return core_answer_failure(core, client, request->number, CONTROL_ALREADY, 0, own->office.name);
	}
	core->next_signer = next;
	r = core_txn(core, &txn);
	if (r == 0)
		r = rotate(core, txn, next);
	return r ? r : answer_done(core, client, request->number);
}
