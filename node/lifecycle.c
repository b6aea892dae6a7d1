/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What becomes of an office after it was enrolled: its parent changes its labels or ends it, it changes its key. */
#include "node/core_internal.h"

#include <errno.h>

#include "store/cursor.h"

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

/* Writes what this office says of one that is below it, or from now on is not; it must count. */
static int say_office(struct core *core, const struct office *office) {
	const struct register_entry *entry;
	int r = write_office(core, office);

	if (r)
		return r;
	entry = register_find(&core->reg, &office->id);
	return entry && id_eq(&entry->row.office.parent, &office->parent) &&
		entry->row.office.valid_from_ms == office->valid_from_ms ? 0 : -EIO; /* it was set aside: nothing of it may stay */
}

/* The words of this office on @entry's from now on (NULL: one that it did not know) are of this tenure. */
static uint8_t tenure_of(const struct core *core, const struct register_entry *entry) {
	const struct id *own = &core->reg.own->row.office.id;

	if (!entry)
		return 0;
	return id_eq(&entry->row.office.parent, own) ? entry->row.office.tenure
						      : office_next_tenure(&entry->row.parents, own);
}

bool core_may_take_back(const struct core *core, const struct register_entry *entry) {
	const struct office_parents *parents = &entry->row.parents;
	const struct id *own = &core->reg.own->row.office.id;

	return entry->row.office.state == OFFICE_MOVING && parents->n > 0 && parents->n < OFFICE_PARENTS_MAX &&
		id_eq(&parents->list[parents->n - 1].id, own) &&
		!register_is_within(&core->reg, own, &entry->row.office.id);
}

/* After what was said before, though the clock may have been set back. */
static uint64_t next_from(const struct core *core, const struct register_entry *entry) {
	return entry && core->wall_ms <= entry->row.office.valid_from_ms ? entry->row.office.valid_from_ms + 1
									  : core->wall_ms;
}

int core_enrol(struct core *core, struct office *office) {
	const struct register_entry *held = register_find(&core->reg, &office->id);
	struct txn *txn;
	int r = core_txn(core, &txn);

	if (r == 0)
		r = held ? 1 : fold_has_room(txn, &core->reg.own->row.office.id);
	if (r <= 0)
		return r < 0 ? r : CONTROL_NO_MORE_BELOW;
	office->tenure = tenure_of(core, held);
	office->parent = core->reg.own->row.office.id;
	office->state = OFFICE_ACTIVE;
	office->valid_from_ms = next_from(core, held);
	office->has_end = false;
	if (held) /* what it changed them to is its own to say, in records of its own */
		memcpy(office->sign_key, office_term_key(&held->row.office, &held->row.former, 0), sizeof(office->sign_key));
	return say_office(core, office);
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

/* Its parent does; what was handed over, and nobody answers for yet, can still be revoked by whoever did that. */
static bool may_change(const struct core *core, const struct register_entry *entry, uint8_t state) {
	const struct office *own = &core->reg.own->row.office, *office = &entry->row.office;

	/* the topmost has no office above it that could change its name */
	if (entry == core->reg.own)
		return id_is_nil(&own->parent) && state == OFFICE_ACTIVE;
	if (office->state == OFFICE_MOVING) /* perhaps to this one, where it was not enrolled yet: see core_add_office() */
		return state == OFFICE_REVOKED && core_may_take_back(core, entry);
	return id_eq(&office->parent, &own->id);
}

int core_change_office(struct core *core, struct span client, const struct request *request) {
	const struct register_entry *entry = register_find(&core->reg, &request->office.id);
	const struct register_entry *taken;
	struct office office;
	struct txn *txn;
	int r;

	if (!entry || !may_change(core, entry, request->office.state))
		return core_answer_failure(core, client, request->number, CONTROL_NOT_BELOW, 0, span_str(""));
	if (entry->row.office.state == OFFICE_REVOKED)
		return core_answer_failure(core, client, request->number, CONTROL_REVOKED, 0, span_str(""));
	office = entry->row.office;
	office.tenure = tenure_of(core, entry);
	if (entry != core->reg.own)
		office.parent = core->reg.own->row.office.id;
	office.code = request->office.code;
	office.code_digits = request->office.code_digits;
	office.level = request->office.level;
	office.name = request->office.name;
	office.state = request->office.state;
	office.valid_from_ms = next_from(core, entry);
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
		r = say_office(core, &office);
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

/*
 * Whether an office of this one can go to @to: those that hear this office must hear that one too, or they would
 * never learn that it took it. So it goes up, down, or to one beside this.
 */
static bool is_in_reach(const struct core *core, const struct office *to) {
	const struct office_register *reg = &core->reg;
	const struct office *own = &reg->own->row.office;

	return id_eq(&to->parent, &own->parent) || register_is_within(reg, &own->id, &to->id) ||
		register_is_within(reg, &to->id, &own->id);
}

/*
 * Whether the office above has all that is here of an office and of those below it, and what this one says of
 * offices: whom it leaves would send elsewhere only what it has itself. 0 (no), 1 or -errno.
 */
static int is_known_above(struct core *core, struct txn *txn, const struct id *office) {
	const struct office *above = core_parent(core);

	for (size_t i = 0; above && i < core->n_oplogs; i++) {
		const struct held_oplog *held = core->oplogs[i];
		bool own = held && id_eq(&held->id.office, &core->author.office) && held->id.lane == LANE_URGENT;
		uint64_t acked;
		int r;

		if (!held || !(own || register_is_within(&core->reg, &held->id.office, office)))
			continue;
		r = cursor_get(txn, &above->id, &held->id, &acked);
		if (r || acked < held->size)
			return r;
	}
	return 1;
}

/* Why an office of this one cannot move now. 0: it can; or -errno. */
static int why_not_now(struct core *core, const struct register_entry *entry) {
	struct open_cases open = { entry->row.number, &core->fold.own_id };
	struct txn *txn;
	int r;

	if (entry->row.parents.n + 2 > OFFICE_PARENTS_MAX) /* there must be room to take it back */
		return CONTROL_TOO_MANY;
	if (entry->row.forks.settled < entry->row.forks.found) /* another parent could not settle it */
		return CONTROL_FORKED;
	r = core_txn(core, &txn);
	if (r == 0) /* what came in this turn is acknowledged */
		r = receive_finish(core->receive, txn, core->refusals);
	if (r == 0)
		r = cases_each(txn, find_open, &open);
	if (r) /* what is done about them here would not reach it any more */
		return r < 0 ? r : CONTROL_HOLDS_CASES;
	r = is_known_above(core, txn, &entry->row.office.id);
	return r < 0 ? r : r == 0 ? CONTROL_BEHIND : 0;
}

static int move_office(struct core *core, const struct register_entry *entry, const struct register_entry *to) {
	const struct register_entry *own = core->reg.own;
	struct office office = entry->row.office;
	int r;

	if (to == own && core_may_take_back(core, entry))
		return core_enrol(core, &office);
	if (!id_eq(&office.parent, &own->row.office.id))
		return CONTROL_NOT_BELOW;
	if (office.state == OFFICE_REVOKED)
		return CONTROL_REVOKED;
	if (!to || to == own || to->row.office.state != OFFICE_ACTIVE || !is_in_reach(core, &to->row.office) ||
		register_is_within(&core->reg, &to->row.office.id, &office.id))
		return CONTROL_NOT_THERE;
	r = why_not_now(core, entry);
	office.parent = to->row.office.id;
	office.valid_from_ms = next_from(core, entry);
	return r ? r : say_office(core, &office);
}

int core_move_office(struct core *core, struct span client, const struct request *request) {
	const struct register_entry *entry = register_find(&core->reg, &request->record);
	int r = entry ? move_office(core, entry, register_find(&core->reg, &request->office.id)) : CONTROL_NOT_BELOW;

	return r < 0 ? r : r ? core_answer_failure(core, client, request->number, (enum control_result)r, 0, span_str(""))
			     : answer_done(core, client, request->number);
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
