/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/disclosure.h"

#include <errno.h>
#include <stdlib.h>

#include "node/core_internal.h"
#include "proto/kinds/step.h"
#include "store/requests.h"

static const char state_name[] = "disclosed-to"; /* in TABLE_META */

int core_disclosures_load(struct core *core) {
	struct core_disclosures *own = &core->disclosures;
	struct span value;
	int r = meta_get(core->txn, state_name, &value);

	memset(own->state, 0, sizeof(own->state));
	if (r == 0 && value.len == sizeof(own->state))
		memcpy(own->state, value.data, sizeof(own->state));
	return r < 0 ? r : 0;
}

void core_disclosures_clear(struct core *core) {
	core->disclosures.n_notes = core->disclosures.n_come = 0;
}

void core_disclosures_done(struct core *core) {
	free(core->disclosures.notes);
	free(core->disclosures.come);
}

/* What becomes due */

static int note(struct core *core, const struct disclosure_note *what) {
	struct core_disclosures *own = &core->disclosures;

	if (own->n_notes > 0 && memcmp(&own->notes[own->n_notes - 1], what, sizeof(*what)) == 0)
		return 0;
	if (own->n_notes == own->cap_notes) {
		size_t cap = own->cap_notes ? 2 * own->cap_notes : 64;
		struct disclosure_note *notes = realloc(own->notes, cap * sizeof(*notes));

		if (!notes)
			return -ENOMEM;
		own->notes = notes;
		own->cap_notes = cap;
	}
	own->notes[own->n_notes++] = *what;
	return 0;
}

int core_disclose_case(struct core *core, const struct id *petition) {
	struct disclosure_note what;

	if (!register_parent(&core->reg))
		return 0;
	memset(&what, 0, sizeof(what)); /* also between its members: it is compared as bytes */
	what.petition = *petition;
	return note(core, &what);
}

/* To the present parent: what another was granted is not for it. 0 (no), 1 or -errno. */
static int is_granted(struct core *core, const struct id *petition) {
	const struct register_entry *above = register_parent(&core->reg);

	return above ? grants_to(core->txn, petition, core->fold.own, above->row.number) : 0;
}

int core_is_read_above(struct core *core, const struct id *petition) {
	int r = escalations_by(core->txn, petition, core->fold.own);

	return r ? r : is_granted(core, petition);
}

/* The same of a case that was just folded: its row knows whether anything was found of it. */
static int is_read_above_now(struct core *core, const struct id *petition) {
	return core->changed && !core->changed_row.escalated ? is_granted(core, petition)
							      : core_is_read_above(core, petition);
}

/* Who is to act on a case must be able to read it, also where nothing was found of it. */
static bool is_handed_over(const struct core *core, const struct case_row *row) {
	return row->origin == core->fold.own && !id_is_nil(&row->handed_to);
}

static int note_record(struct core *core, const struct id *petition, uint32_t office, uint64_t arrival) {
	struct disclosure_note what;

	memset(&what, 0, sizeof(what));
	what.petition = *petition;
	what.office = office;
	what.arrival = arrival;
	return note(core, &what);
}

static int disclose_step(struct core *core, uint32_t origin, uint64_t arrival, const struct record *rec) {
	struct step step;
	int r;

	if (step_decode(rec->body, &step))
		return 0;
	r = is_read_above_now(core, &step.petition);
	if (r)
		return r < 0 ? r : note_record(core, &step.petition, origin, arrival);
	if (core->changed && origin == core->fold.own && is_handed_over(core, &core->changed_row))
		return core_disclose_case(core, &step.petition);
	return 0;
}

int core_disclose_record(struct core *core, uint32_t origin, uint64_t arrival, const struct record *rec) {
	int r = 0;

	if (!register_parent(&core->reg))
		return 0;
	if (rec->kind == KIND_STEP)
		return disclose_step(core, origin, arrival, rec);
	/* what was found of it may have been here before the petition: in an oplog that was fetched back */
	if (rec->kind == KIND_PETITION && core->changed && origin != core->fold.own)
		r = is_read_above_now(core, &rec->id);
	return r > 0 ? core_disclose_case(core, &rec->id) : r;
}

/*
 * Whether the office above has hashes of a record of this one's: what was written before the rule, or the parent,
 * changed, may have gone by the one before.
 */
static bool is_withheld(const struct core *core, const struct oplog_id *oplog, uint64_t index) {
	const uint8_t *since = core->disclosures.state + DISCLOSURE_RULE_LEN;
	uint32_t epoch = get_be32(since);

	return core->config->detail == DETAIL_ESCALATED || oplog->epoch < epoch ||
		(oplog->epoch == epoch && index < get_be64(since + 4 + 8 * oplog->lane));
}

/* Rows for the records of one case. */
struct putting {
	struct core *core;
	const struct id *parent;
	const struct id *origin; /* of the case */
	uint64_t arrival;
	bool any;
};

static int put_place(void *userdata, const struct oplog *oplog) {
	struct putting *putting = userdata;
	struct disclosure due = { .oplog = oplog->number };
	int r = oplog_index_of(putting->core->txn, oplog, putting->arrival, &due.index);

	if (r)
		return r < 0 ? r : 0;
	if (id_eq(&oplog->id.office, &putting->core->reg.own->row.office.id) &&
		!is_withheld(putting->core, &oplog->id, due.index))
		return 1;
	putting->any = true;
	r = disclosures_put(putting->core->txn, putting->parent, &due);
	return r ? r : 1;
}

/* Of a case only what those wrote who can have held it: anybody may write a step that says it is of it. */
static int put_record(struct putting *putting, uint32_t office, uint64_t arrival) {
	struct core *core = putting->core;
	const struct register_entry *writer = register_by_number(&core->reg, office);
	int r;

	if (!writer || register_depth(&core->reg, &writer->row.office.id, &core->reg.own->row.office.id) < 0 ||
		!register_is_within(&core->reg, putting->origin, &writer->row.office.id))
		return 0;
	putting->arrival = arrival;
	r = oplog_each_of(core->txn, &writer->row.office.id, put_place, putting);
	return r < 0 ? r : 0;
}

static int put_step(void *userdata, const struct step_row *row) {
	return put_record(userdata, row->office, row->arrival);
}

static int put_note(struct putting *putting, const struct disclosure_note *what) {
	struct core *core = putting->core;
	const struct register_entry *origin;
	struct case_row row;
	int r = cases_get(core->txn, &what->petition, &row);

	if (r)
		return r < 0 ? r : 0; /* what is here of it is noted when its petition comes */
	origin = register_by_number(&core->reg, row.origin);
	if (!origin)
		return -EIO;
	putting->origin = &origin->row.office.id;
	if (what->office)
		return put_record(putting, what->office, what->arrival);
	r = put_record(putting, row.origin, row.arrival);
	return r ? r : steps_each(core->txn, &what->petition, put_step, putting);
}

/* Everything again */

static int note_escalation(void *userdata, const struct id *petition, const struct escalation_row *row) {
	struct core *core = userdata;

	return row->office == core->fold.own ? core_disclose_case(core, petition) : 0;
}

static int note_grant(void *userdata, const struct id *petition, uint32_t office) {
	struct core *core = userdata;
	int r = office == core->fold.own ? is_granted(core, petition) : 0;

	return r > 0 ? core_disclose_case(core, petition) : r;
}

static int note_handed_over(void *userdata, const struct id *petition, const struct case_row *row) {
	struct core *core = userdata;

	return is_handed_over(core, row) ? core_disclose_case(core, petition) : 0;
}

/* A record of ours that stands twice, since a store was put back, is read above where it went last. */
static int note_leaf(struct core *core, const struct leaf *leaf, uint64_t arrival) {
	struct case_row row;
	struct record rec;
	struct step step;
	struct id petition;
	int r;

	if (leaf->withheld || record_decode(leaf->bytes, &rec) ||
		(rec.kind != KIND_PETITION && (rec.kind != KIND_STEP || step_decode(rec.body, &step))))
		return 0;
	petition = rec.kind == KIND_PETITION ? rec.id : step.petition;
	r = cases_get(core->txn, &petition, &row);
	if (r)
		return r < 0 ? r : 0;
	r = is_handed_over(core, &row) ? 1 : core_is_read_above(core, &petition);
	return r > 0 ? note_record(core, &petition, core->fold.own, arrival) : r;
}

static int note_oplog(void *userdata, const struct oplog *oplog) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct core *core = userdata;
	uint64_t index, arrival;
	struct leaf leaf;
	int r;

	if (oplog->id.epoch != core->fold.epoch || !is_withheld(core, &oplog->id, 0))
		return 0;
	r = oplog_walk_open(core->txn, oplog, 0, &walk);
	while (!r && (r = oplog_walk_next(walk, &index, &leaf, &arrival)) == 0)
		r = note_leaf(core, &leaf, arrival);
	return r == STORE_NOT_FOUND ? 0 : r;
}

static int note_all(struct core *core) {
	int r = disclosures_clear(core->txn);

	if (!r)
		r = escalations_each(core->txn, NULL, note_escalation, core);
	if (!r)
		r = grants_each(core->txn, note_grant, core);
	if (!r)
		r = cases_each(core->txn, note_handed_over, core);
	if (!r && core->fold.epoch > 1)
		r = oplog_each_of(core->txn, &core->reg.own->row.office.id, note_oplog, core);
	return r;
}

/* From here on the office's own records go by the rule that is new. */
static int mark_since(struct core *core, uint8_t ret_since[DISCLOSURE_STATE_LEN - DISCLOSURE_RULE_LEN]) {
	struct oplog_id id = { core->reg.own->row.office.id, core->fold.epoch, 0 };
	struct oplog oplog;

	put_be32(ret_since, id.epoch);
	for (; id.lane < LANE_N; id.lane++) {
		int r = oplog_load(core->txn, &id, &oplog);

		if (r < 0)
			return r;
		put_be64(ret_since + 4 + 8 * id.lane, r ? 0 : oplog.frontier.size);
	}
	return 0;
}

/* The rows were made for another parent, in another life of this office, by another rule, or the parent lost some. */
static int look_at_state(struct core *core, const struct id *parent) {
	struct core_disclosures *own = &core->disclosures;
	struct link *link = core_find_link(core, parent);
	static const uint8_t none[DISCLOSURE_RULE_LEN];
	uint8_t rule[DISCLOSURE_RULE_LEN];
	struct txn *txn;
	bool same;
	int r;

	memcpy(rule, parent->b, 16);
	put_be32(rule + 16, core->fold.epoch);
	rule[20] = core->config->detail == DETAIL_ESCALATED;
	same = memcmp(rule, own->state, sizeof(rule)) == 0;
	if (same && !(link && link->went_back))
		return 0;
	r = core_txn(core, &txn);
	if (!r && !same && memcmp(own->state, none, sizeof(none)) != 0)
		r = mark_since(core, own->state + sizeof(rule));
	if (!r)
		r = note_all(core);
	memcpy(own->state, rule, sizeof(rule));
	if (!r)
		r = meta_put(txn, state_name, (struct span){ own->state, sizeof(own->state) });
	if (link)
		link->went_back = false;
	return r;
}

int core_put_disclosures(struct core *core) {
	const struct register_entry *above = register_parent(&core->reg);
	struct core_disclosures *own = &core->disclosures;
	struct putting putting = { .core = core };
	struct link *link;
	int r;

	if (!above)
		return 0;
	putting.parent = &above->row.office.id;
	r = look_at_state(core, putting.parent);
	for (size_t i = 0; r == 0 && i < own->n_notes; i++)
		r = put_note(&putting, &own->notes[i]);
	own->n_notes = 0;
	link = core_find_link(core, putting.parent);
	if (link)
		link->disclosing.look |= putting.any;
	return r;
}

/* What comes */

int core_take_disclosure(struct core *core, struct link *link, const struct disclose *disclose) {
	struct core_disclosures *own = &core->disclosures;

	if (!link->greeted)
		return REFUSAL_NO_SESSION;
	core->n_records++;
	if (link->up && core->recovery.on && id_eq(&disclose->oplog.office, &core->author.office))
		return core_recovery_give(core, disclose->record);
	if (core->full) {
		core->refusals[REFUSAL_FULL]++;
		return disclose_answer(&link->disclosing, disclose, REFUSAL_FULL);
	}
	if (own->n_come == own->cap_come) {
		size_t cap = own->cap_come ? 2 * own->cap_come : 16;
		struct disclosure_come *come = realloc(own->come, cap * sizeof(*come));

		if (!come)
			return -ENOMEM;
		own->come = come;
		own->cap_come = cap;
	}
	own->come[own->n_come++] = (struct disclosure_come){ link, *disclose };
	return 0;
}

/* Only these are ever withheld from one office and disclosed by another; what else counts, counts when it came. */
static bool is_detail(const struct record *rec) {
	return rec->kind == KIND_PETITION || rec->kind == KIND_STEP || rec->kind == KIND_MEETING;
}

/* Keeps one. 0: it is kept, or was; a refusal, or -errno. */
static int keep(struct core *core, const struct link *link, const struct disclose *disclose) {
	struct leaf leaf;
	struct oplog oplog;
	struct record rec;
	uint64_t arrival;
	struct hash held, hash;
	int r;

	r = receive_permitted(core->receive, link, &disclose->oplog.office);
	if (r)
		return r;
	r = oplog_load(core->txn, &disclose->oplog, &oplog);
	if (r < 0)
		return r;
	if (r == STORE_NOT_FOUND || disclose->index >= oplog.frontier.size)
		return REFUSAL_GAP;
	if (register_is_quarantined(&core->reg, &disclose->oplog))
		return REFUSAL_QUARANTINED;
	r = oplog_leaf(core->txn, &oplog, disclose->index, &leaf, &arrival);
	if (r)
		return r < 0 ? r : -EIO;
	leaf_hash(&leaf, &held);
	leaf_hash_of(disclose->record, &hash);
	if (memcmp(hash.b, held.b, sizeof(hash.b)) != 0)
		return REFUSAL_ROOT;
	if (!leaf.withheld)
		return 0;
	if (record_decode(disclose->record, &rec) || !is_detail(&rec))
		return REFUSAL_MALFORMED;
	r = oplog_disclose(core->txn, arrival, disclose->record);
	return r ? r : core_kept(core, &disclose->oplog, disclose->index, arrival, disclose->record);
}

int core_keep_disclosures(struct core *core) {
	struct core_disclosures *own = &core->disclosures;
	struct txn *txn;
	int r = own->n_come ? core_txn(core, &txn) : 0;

	for (size_t i = 0; r == 0 && i < own->n_come; i++) {
		struct disclosure_come *come = &own->come[i];
		int outcome = keep(core, come->link, &come->disclose);

		if (outcome > 0)
			core->refusals[outcome]++;
		r = outcome < 0 ? outcome : disclose_answer(&come->link->disclosing, &come->disclose,
			(uint64_t)outcome);
	}
	own->n_come = 0;
	return r;
}
