/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a clerk submits: all drafts of a request are kept, or none. So each is first checked against
 * the store and against the drafts before it, without writing anything; only when all may be kept
 * are they written. After the check nothing can be refused any more.
 */
#include "node/core_internal.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/kinds/meeting.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/private.h"
#include "proto/kinds/step.h"
#include "proto/reference.h"
#include "store/private.h"

/* A draft, read and checked once. */
struct checked {
	struct draft draft;
	struct id id;
	enum outcome outcome;
	struct petition petition; /* of a petition: what is still missing is its reference */
	bool sealed; /* who brought it, to a key that is not on this computer */
};

/* A case as the drafts so far will have made it. */
struct planned {
	struct id id;
	struct case_row row;
	bool blamed; /* a step was refused: what those after it would meet is not known */
};

struct intake {
	struct core *core;
	struct txn *txn;
	void *planned; /* tsearch(3) tree of struct planned */
	struct control_fault why; /* the last refusal; its index is filled in by check_all() */
	struct control_fault faults[CONTROL_FAULTS_MAX];
	size_t n_faults;
};

static int compare_planned(const void *a, const void *b) {
	return memcmp(a, b, sizeof(struct id)); /* the id stands first */
}

static int refuse(struct intake *intake, enum control_result result, const char *detail) {
	intake->why = (struct control_fault){ result, 0, span_str(detail) };
	return 1;
}

/* The case as it is, or will be once the drafts before this one are kept. NULL: there is none. */
static int plan(struct intake *intake, const struct id *id, struct planned **ret_planned) {
	struct planned **found = tfind(id, &intake->planned, compare_planned);
	struct planned *planned;
	int r;

	if (found) {
		*ret_planned = *found;
		return 0;
	}
	planned = calloc(1, sizeof(*planned));
	if (!planned)
		return -ENOMEM;
	planned->id = *id;
	r = cases_get(intake->txn, id, &planned->row);
	if (r == 0 && !tsearch(planned, &intake->planned, compare_planned))
		r = -ENOMEM;
	if (r) {
		free(planned);
		*ret_planned = NULL;
		return r < 0 ? r : 0;
	}
	*ret_planned = planned;
	return 0;
}

static int plan_new(struct intake *intake, const struct id *id, const struct case_row *row) {
	struct planned *planned = calloc(1, sizeof(*planned));

	if (!planned)
		return -ENOMEM;
	planned->id = *id;
	planned->row = *row;
	if (!tsearch(planned, &intake->planned, compare_planned)) {
		free(planned);
		return -ENOMEM;
	}
	return 0;
}

/* The body of a record that is held already. 0 or -errno. */
static int held_body(struct intake *intake, uint64_t arrival, struct span *ret_body) {
	struct record rec;
	struct leaf leaf;
	int r;

	r = oplog_leaf_at(intake->txn, arrival, &leaf);
	if (r || leaf.withheld || record_decode(leaf.bytes, &rec))
		return r < 0 ? r : -EIO;
	*ret_body = rec.body;
	return 0;
}

/* References have two digits for the year, so a date is of this century. */
static bool date_ok(uint64_t time_ms) {
	uint32_t year = fold_period(time_ms) / 100;

	return year >= 2000 && year <= 2099;
}

/* The first field in which two petitions differ, but for the reference, which the node gave. */
static const char *other_in_petition(const struct petition *a, const struct petition *b) {
	return a->legal_kind != b->legal_kind ? "kind"
		: a->category != b->category ? "category"
		: a->channel != b->channel ? "channel"
		: a->urgent != b->urgent ? "urgent"
		: a->people != b->people ? "people"
		: a->received_ms != b->received_ms ? "received"
		: !span_eq(a->number, b->number) ? "number"
		: !span_eq(a->village, b->village) ? "village"
		: !span_eq(a->text, b->text) ? "text"
		: !span_eq(a->asked_of, b->asked_of) ? "asked_of"
						     : NULL;
}

static const char *other_in_meeting(const struct meeting *a, const struct meeting *b) {
	return a->type != b->type ? "type"
		: a->date_ms != b->date_ms ? "date"
		: a->attendance != b->attendance || a->attendance_accuracy != b->attendance_accuracy
			? "attendance"
		: a->opinions != b->opinions ? "opinions"
		: a->on_the_spot != b->on_the_spot ? "on_the_spot"
		: a->later != b->later ? "later"
		: a->pending != b->pending ? "pending"
		: !span_eq(a->number, b->number) ? "number"
		: !span_eq(a->host, b->host) ? "host"
		: !span_eq(a->topic, b->topic) ? "topic"
					       : NULL;
}

/*
 * Who brought a petition that is kept already is as it was kept, or was erased; it is not added later. It is
 * not compared: whoever was told that it differs could try names, and no record would say that he did.
 */
static int check_private(struct intake *intake, const struct checked *checked) {
	int r = checked->draft.private.len > 0 ? private_state(intake->txn, &checked->id, NULL) : 0;

	return r == STORE_NOT_FOUND ? refuse(intake, CONTROL_CONFLICT, "petitioner") : r < 0 ? r : 0;
}

/* A closed office brings what it has to an end; one that moves goes on. */
static bool takes_in(const struct intake *intake) {
	uint8_t state = intake->core->reg.own->row.office.state;

	return state == OFFICE_ACTIVE || state == OFFICE_MOVING;
}

static int check_petition(struct intake *intake, struct checked *checked) {
	struct petition petition, held;
	struct planned *planned;
	struct span body;
	int r;

	if (petition_decode(checked->draft.body, &petition) || petition.reference)
		return refuse(intake, CONTROL_BAD_FIELD, "petition");
	if (petition.legal_kind == 0 || petition.legal_kind >= LEGAL_N)
		return refuse(intake, CONTROL_BAD_FIELD, "kind");
	if (petition.category >= CATEGORY_N)
		return refuse(intake, CONTROL_BAD_FIELD, "category");
	if (petition.channel == 0 || petition.channel >= CHANNEL_N)
		return refuse(intake, CONTROL_BAD_FIELD, "channel");
	if (petition.text.len == 0)
		return refuse(intake, CONTROL_BAD_FIELD, "text");
	if (!date_ok(petition.received_ms))
		return refuse(intake, CONTROL_BAD_FIELD, "received");
	if (petition.legal_kind == LEGAL_DENUNCIATION && checked->draft.private.len > 0 && !checked->sealed)
		return refuse(intake, CONTROL_UNSEALED, "");
	checked->petition = petition;
	if (checked->draft.has_id) {
		r = plan(intake, &checked->id, &planned);
		if (r)
			return r;
		if (planned && planned->row.arrival == UINT64_MAX)
			return refuse(intake, CONTROL_CONFLICT, "");
		if (planned && planned->row.origin != intake->core->fold.own)
			return refuse(intake, CONTROL_CONFLICT, "office");
		if (planned) {
			r = held_body(intake, planned->row.arrival, &body);
			if (r)
				return r;
			if (petition_decode(body, &held))
				return refuse(intake, CONTROL_CONFLICT, "");
			if (other_in_petition(&petition, &held))
				return refuse(intake, CONTROL_CONFLICT, other_in_petition(&petition, &held));
			r = check_private(intake, checked);
			if (r)
				return r;
			checked->outcome = OUTCOME_HELD;
			return 0;
		}
		if (!takes_in(intake))
			return refuse(intake, CONTROL_CLOSED, "");
		return plan_new(intake, &checked->id, &(struct case_row){ .kind = KIND_PETITION,
			.state = CASE_RECEIVED, .origin = intake->core->fold.own,
			.received_ms = petition.received_ms, .arrival = UINT64_MAX });
	}
	return takes_in(intake) ? 0 : refuse(intake, CONTROL_CLOSED, "");
}

static int check_meeting(struct intake *intake, struct checked *checked) {
	struct meeting meeting, held;
	struct planned *planned;
	struct span body;
	int r;

	if (meeting_decode(checked->draft.body, &meeting))
		return refuse(intake, CONTROL_BAD_FIELD, "meeting");
	if (meeting.type == 0 || meeting.type >= MEETING_TYPE_N)
		return refuse(intake, CONTROL_BAD_FIELD, "type");
	if (!date_ok(meeting.date_ms))
		return refuse(intake, CONTROL_BAD_FIELD, "date");
	if (!checked->draft.has_id)
		return takes_in(intake) ? 0 : refuse(intake, CONTROL_CLOSED, "");
	r = plan(intake, &checked->id, &planned);
	if (r)
		return r;
	if (!planned && !takes_in(intake))
		return refuse(intake, CONTROL_CLOSED, "");
	if (!planned)
		return plan_new(intake, &checked->id, &(struct case_row){ .kind = KIND_MEETING, .state = CASE_HELD,
			.arrival = UINT64_MAX });
	if (planned->row.arrival == UINT64_MAX)
		return refuse(intake, CONTROL_CONFLICT, "");
	if (planned->row.origin != intake->core->fold.own)
		return refuse(intake, CONTROL_CONFLICT, "office");
	r = held_body(intake, planned->row.arrival, &body);
	if (r)
		return r;
	if (meeting_decode(body, &held))
		return refuse(intake, CONTROL_CONFLICT, "");
	if (other_in_meeting(&meeting, &held))
		return refuse(intake, CONTROL_CONFLICT, other_in_meeting(&meeting, &held));
	checked->outcome = OUTCOME_HELD;
	return 0;
}

struct step_search {
	const struct id *record;
	uint32_t own;
	uint64_t arrival;
};

static int find_step(void *userdata, const struct step_row *row) {
	struct step_search *search = userdata;

	if (row->office != search->own || !id_eq(&row->record, search->record))
		return 0; /* what another office calls so was not said here */
	search->arrival = row->arrival;
	return 1;
}

static const char *other_in_step(const struct step *a, const struct step *b) {
	return a->action != b->action ? "step"
		: a->date_ms != b->date_ms ? "date"
		: a->due_ms != b->due_ms ? "due"
		: !id_eq(&a->office, &b->office) || !span_eq(a->to, b->to) ? "to"
		: !span_eq(a->text, b->text) ? "text"
					     : NULL;
}

/* Whether the step is held already, perhaps under another sequence. 0, 1 (refused) or -errno. */
static int check_held_step(struct intake *intake, const struct step *step, struct checked *checked) {
	struct step_search search = { &checked->id, intake->core->fold.own, 0 };
	struct span body;
	struct step held;
	int r;

	r = steps_each(intake->txn, &step->petition, find_step, &search);
	if (r <= 0)
		return r;
	r = held_body(intake, search.arrival, &body);
	if (r)
		return r;
	if (step_decode(body, &held))
		return refuse(intake, CONTROL_CONFLICT, "");
	if (other_in_step(step, &held))
		return refuse(intake, CONTROL_CONFLICT, other_in_step(step, &held));
	checked->outcome = OUTCOME_HELD;
	return 0;
}

static const char *missing_field(const struct step *step) {
	switch (step->action) {
	case ACTION_RETURNED:
	case ACTION_RESOLVED:
	case ACTION_ANSWERED:
	case ACTION_REOPENED:
		return step->text.len ? NULL : "text";
	case ACTION_FORWARDED:
	case ACTION_PUBLISHED:
		return step->to.len ? NULL : "to";
	case ACTION_EXTENDED:
		return step->due_ms == 0 ? "due" : step->text.len ? NULL : "text";
	case ACTION_MERGED:
	case ACTION_HANDED_OVER:
		return id_is_nil(&step->office) ? "office" : NULL;
	default:
		return NULL;
	}
}

/* That the petition into which another is merged is here. 0, 1 (refused) or -errno. */
static int check_merge(struct intake *intake, const struct step *step) {
	struct planned *into;
	int r = plan(intake, &step->office, &into);

	if (r)
		return r;
	if (!into || into->row.kind != KIND_PETITION || id_eq(&step->office, &step->petition))
		return refuse(intake, CONTROL_NO_CASE, "");
	return 0;
}

/*
 * A case that was handed to an office which is not above this one any more, and did nothing about it, is this
 * office's again. 0 or -errno.
 */
static int take_back(struct intake *intake, struct case_row *row) {
	const struct core *core = intake->core;
	int r = 0;

	if (!id_eq(&row->handed_to, &core->reg.own->row.office.parent))
		r = fold_takes_back(intake->txn, row, core->fold.own);
	if (r > 0)
		row->handed_to = (struct id){ 0 };
	return r < 0 ? r : 0;
}

static const struct register_entry *holder_of(const struct core *core, const struct case_row *row) {
	return id_is_nil(&row->handed_to) ? register_by_number(&core->reg, row->origin)
					  : register_find(&core->reg, &row->handed_to);
}

static int check_step(struct intake *intake, struct checked *checked) {
	const struct core *core = intake->core;
	const struct register_entry *holder;
	struct planned *planned;
	struct step step;
	int r;

	if (step_decode(checked->draft.body, &step) || step.sequence)
		return refuse(intake, CONTROL_BAD_FIELD, "step");
	if (step.action == 0 || step.action >= ACTION_N)
		return refuse(intake, CONTROL_BAD_FIELD, "step");
	if (missing_field(&step))
		return refuse(intake, CONTROL_BAD_FIELD, missing_field(&step));
	if (checked->draft.has_id) {
		r = check_held_step(intake, &step, checked);
		if (r || checked->outcome == OUTCOME_HELD)
			return r;
	}
	r = plan(intake, &step.petition, &planned);
	if (r)
		return r;
	if (!planned || planned->row.kind != KIND_PETITION)
		return refuse(intake, CONTROL_NO_CASE, "");
	if (planned->blamed)
		return 0;
	planned->blamed = true; /* until it is known to be good */
	if (step.action == ACTION_MERGED) {
		r = check_merge(intake, &step);
		if (r)
			return r;
	}
	if (!date_ok(step.date_ms) || fold_day(step.date_ms) < fold_day(planned->row.received_ms))
		return refuse(intake, CONTROL_BAD_FIELD, "date"); /* nothing was done before it was asked */
	step.sequence = planned->row.n_steps + 1;
	if (step.sequence > STEP_SEQUENCE_MAX)
		return refuse(intake, CONTROL_TOO_MANY, "");
	r = take_back(intake, &planned->row);
	if (r)
		return r;
	if (step.action == ACTION_HANDED_OVER && (!register_parent(&core->reg) ||
			!id_eq(&step.office, &core->reg.own->row.office.parent)))
		return refuse(intake, CONTROL_NOT_ABOVE, "");
	if (step.action == ACTION_EXTENDED && step.due_ms <= planned->row.due_ms)
		return refuse(intake, CONTROL_BAD_FIELD, "due"); /* no extension takes time away */
	switch (fold_step(&planned->row, &step, core->fold.own, &core->fold.own_id)) {
	case 0:
		planned->blamed = false;
		return 0;
	case FOLD_NOT_ABOVE:
		return refuse(intake, CONTROL_NOT_ABOVE, "");
	case FOLD_NOT_HOLDER:
		holder = holder_of(core, &planned->row);
		intake->why = (struct control_fault){ CONTROL_NOT_HOLDER, 0,
			holder ? holder->row.office.name : span_str("") };
		return 1;
	default:
		return refuse(intake, CONTROL_WRONG_STATE, case_state_name(planned->row.state));
	}
}

static int check(struct intake *intake, struct checked *checked) {
	struct private_part part = { 0 };

	if (checked->draft.organisation >= ORGANISATION_N)
		return refuse(intake, CONTROL_BAD_FIELD, "organisation");
	if (checked->draft.lane >= LANE_N)
		return refuse(intake, CONTROL_BAD_FIELD, "lane");
	if (checked->draft.body.len > RECORD_BODY_MAX)
		return refuse(intake, CONTROL_BAD_FIELD, "text");
	intake->core->heard_private |= checked->draft.private.len > 0;
	if (checked->draft.private.len > 0 && (checked->draft.kind != KIND_PETITION ||
			checked->draft.private.len > PRIVATE_MAX || private_decode(checked->draft.private, &part)))
		return refuse(intake, CONTROL_BAD_FIELD, "petitioner");
	checked->sealed = part.form == PRIVATE_SEALED;
	switch (checked->draft.kind) {
	case KIND_PETITION:
		return check_petition(intake, checked);
	case KIND_MEETING:
		return check_meeting(intake, checked);
	case KIND_STEP:
		return check_step(intake, checked);
	default:
		return refuse(intake, CONTROL_BAD_FIELD, "kind of record");
	}
}

/* The next reference of the year in which a petition was received. */
static int next_reference(struct core *core, struct txn *txn, uint64_t received_ms,
	uint64_t *ret_reference) {
	const struct office *own = &core->reg.own->row.office;
	uint32_t year = fold_period(received_ms) / 100;
	struct span value;
	uint8_t bytes[4];
	char name[32];
	int r;

	if (year != core->serial_year) {
		if (core->serial_dirty) {
			snprintf(name, sizeof(name), "serial-%u", core->serial_year);
			put_be32(bytes, core->serial);
			r = meta_put(txn, name, (struct span){ bytes, sizeof(bytes) });
			if (r)
				return r;
			core->serial_dirty = false;
		}
		snprintf(name, sizeof(name), "serial-%u", year);
		r = meta_get(txn, name, &value);
		if (r < 0)
			return r;
		core->serial = r == 0 && value.len == 4 ? get_be32(value.data) : 0;
		core->serial_year = year;
	}
	core->serial++; /* beyond REFERENCE_SERIAL_MAX a store has long been full */
	core->serial_dirty = true;
	*ret_reference = reference_make(own->code, own->code_digits, year, core->serial);
	return 0;
}

static int keep_petition(struct intake *intake, struct petition *petition, struct writer *w) {
	int r = next_reference(intake->core, intake->txn, petition->received_ms, &petition->reference);

	if (r)
		return r;
	petition_encode(petition, w);
	return 0;
}

static int keep_step(struct intake *intake, struct record *rec, struct writer *w,
	struct id *ret_audience, size_t *ret_n) {
	const struct register_entry *origin;
	struct case_row row;
	struct step step;
	int r;

	if (step_decode(rec->body, &step))
		return -EINVAL;
	r = cases_get(intake->txn, &step.petition, &row);
	if (r)
		return r < 0 ? r : -EIO;
	step.sequence = row.n_steps + 1;
	r = fold_last(intake->txn, &row, &step.follows);
	if (r)
		return r;
	step_encode(&step, w);
	origin = register_by_number(&intake->core->reg, row.origin);
	if (origin && origin != intake->core->reg.own) {
		/* what is done above goes back to the office that took the petition in */
		*ret_audience = origin->row.office.id;
		*ret_n = 1;
	}
	return 0;
}

/* Seals and keeps what the record says only a commitment of. */
static int keep_private(struct intake *intake, struct span part, struct record *rec) {
	struct core *core = intake->core;
	uint8_t salt[PRIVATE_SALT_LEN];
	int r;

	r = core->io->random(core->io->userdata, salt, sizeof(salt));
	if (!r)
		r = private_put(intake->txn, core->keys->keyring, &rec->id, salt, part);
	private_commit(salt, part, &rec->commitment);
	rec->has_commitment = true;
	explicit_bzero(salt, sizeof(salt));
	return r;
}

static int keep(struct intake *intake, struct checked *checked) {
	struct record rec = {
		.kind = checked->draft.kind,
		.organisation = checked->draft.organisation,
		.time_ms = intake->core->wall_ms,
		.id = checked->id,
		.body = checked->draft.body,
	};
	uint8_t body[RECORD_MAX];
	struct id audience;
	size_t n_audience = 0;
	struct writer w;
	int r = 0;

	writer_init(&w, body, sizeof(body));
	if (rec.kind == KIND_PETITION)
		r = keep_petition(intake, &checked->petition, &w);
	else if (rec.kind == KIND_STEP)
		r = keep_step(intake, &rec, &w, &audience, &n_audience);
	else
		write_raw(&w, rec.body);
	if (r == 0 && !writer_ok(&w))
		r = -ENOBUFS;
	rec.body = writer_span(&w);
	if (r == 0 && checked->draft.private.len > 0)
		r = keep_private(intake, checked->draft.private, &rec);
	if (r == 0)
		r = core_write(intake->core, checked->draft.lane, &rec, &audience, n_audience);
	intake->core->n_records++;
	return r;
}

/* Checks every draft, and notes what is wrong. 0 or -errno. */
static int check_all(struct intake *intake, struct request *request, struct checked *drafts) {
	int r = 0;

	for (uint64_t i = 0; r >= 0 && intake->n_faults < CONTROL_FAULTS_MAX &&
		control_draft_next(request, &drafts[i].draft); i++) {
		drafts[i].id = drafts[i].draft.id;
		r = 0;
		if (!drafts[i].draft.has_id && !request->check_only)
			r = author_make_id(&intake->core->author, intake->core->wall_ms, &drafts[i].id);
		if (r == 0)
			r = check(intake, &drafts[i]);
		if (r > 0) {
			intake->why.index = i;
			intake->faults[intake->n_faults++] = intake->why;
		}
	}
	return r < 0 ? r : 0;
}

static int keep_all(struct intake *intake, struct span client, const struct request *request,
	struct checked *drafts) {
	struct core *core = intake->core;
	struct writer *w = &core->answers;
	int r = 0;

	core_answer_begin(core, client);
	control_write_ok(w, request->number, 1);
	write_array(w, request->n_drafts);
	for (uint64_t i = 0; r == 0 && i < request->n_drafts; i++) {
		struct checked *checked = &drafts[i];
		struct case_row held;

		if (checked->outcome == OUTCOME_ADDED && !request->check_only) {
			r = keep(intake, checked);
		} else if (checked->outcome == OUTCOME_HELD && checked->draft.kind == KIND_PETITION) {
			r = cases_get(intake->txn, &checked->id, &held);
			checked->petition.reference = held.reference;
		}
		write_array(w, 3);
		write_uint(w, checked->outcome);
		write_id(w, &checked->id);
		write_uint(w, checked->petition.reference);
	}
	return r ? (r < 0 ? r : -EIO) : core_answer_end(core);
}

static int answer_faults(struct intake *intake, struct span client, uint64_t number) {
	core_answer_begin(intake->core, client);
	control_write_faults(&intake->core->answers, number, intake->faults, intake->n_faults);
	return core_answer_end(intake->core);
}

int core_submit(struct core *core, struct span client, struct request *request) {
	struct intake intake = { .core = core };
	struct checked *drafts;
	int r;

	r = core_txn(core, &intake.txn);
	if (r)
		return r;
	drafts = calloc(request->n_drafts + 1, sizeof(*drafts));
	r = drafts ? check_all(&intake, request, drafts) : -ENOMEM;
	if (r == 0)
		r = intake.n_faults > 0 ? answer_faults(&intake, client, request->number)
					: keep_all(&intake, client, request, drafts);
	tdestroy(intake.planned, free);
	free(drafts);
	return r;
}
