/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A record is applied by reading the row it touches, making the row anew, and writing the
 * difference: the clock index and this office's counts follow from a row before and after, so
 * there is one place (case_replace) where they can change.
 */
#include "store/fold.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/kinds/meeting.h"
#include "proto/kinds/office.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/step.h"

#define STATE(s) (1u << (s))

/* The states from which an action is allowed, and the one it leads to (0: the state stays). */
static const struct {
	unsigned from;
	uint8_t to;
} course[ACTION_N] = {
	[ACTION_ACCEPTED] = { STATE(CASE_RECEIVED) | STATE(CASE_RETURNED), CASE_ACCEPTED },
	[ACTION_RETURNED] = { STATE(CASE_RECEIVED) | STATE(CASE_ACCEPTED), CASE_RETURNED },
	[ACTION_FORWARDED] = { STATE(CASE_ACCEPTED) | STATE(CASE_FORWARDED), CASE_FORWARDED },
	[ACTION_EXTENDED] = { STATE(CASE_ACCEPTED) | STATE(CASE_FORWARDED), 0 },
	[ACTION_RESOLVED] = { STATE(CASE_ACCEPTED) | STATE(CASE_FORWARDED), CASE_RESOLVED },
	[ACTION_ANSWERED] = { STATE(CASE_RESOLVED), CASE_ANSWERED },
	[ACTION_PUBLISHED] = { STATE(CASE_RESOLVED) | STATE(CASE_ANSWERED) | STATE(CASE_CLOSED), 0 },
	[ACTION_REOPENED] = { STATE(CASE_RESOLVED) | STATE(CASE_ANSWERED) | STATE(CASE_CLOSED) |
			STATE(CASE_WITHDRAWN), CASE_ACCEPTED },
	[ACTION_MERGED] = { STATE(CASE_RECEIVED) | STATE(CASE_ACCEPTED) | STATE(CASE_RETURNED) |
			STATE(CASE_FORWARDED), CASE_MERGED },
	[ACTION_HANDED_OVER] = { STATE(CASE_RECEIVED) | STATE(CASE_ACCEPTED) | STATE(CASE_FORWARDED) |
			STATE(CASE_RESOLVED), 0 },
	[ACTION_WITHDRAWN] = { STATE(CASE_RECEIVED) | STATE(CASE_ACCEPTED) | STATE(CASE_RETURNED) |
			STATE(CASE_FORWARDED), CASE_WITHDRAWN },
	[ACTION_CLOSED] = { STATE(CASE_ANSWERED), CASE_CLOSED },
};

/* The states that somebody must end: a clock runs in them. */
static const unsigned clocked = STATE(CASE_RECEIVED) | STATE(CASE_ACCEPTED) | STATE(CASE_FORWARDED) |
	STATE(CASE_RESOLVED);

uint32_t fold_period(uint64_t time_ms) {
	/* Days to a civil date, H. Hinnant's chrono-compatible algorithm; all in unsigned numbers. */
	uint64_t days = (time_ms / 1000 + 7 * 3600) / 86400 + 719468;
	uint64_t era = days / 146097, doe = days % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t mp = (5 * (doe - (365 * yoe + yoe / 4 - yoe / 100)) + 2) / 153;
	uint64_t month = mp < 10 ? mp + 3 : mp - 9;
	uint64_t year = yoe + era * 400 + (month <= 2);

	if (year > 9999)
		return 999912; /* a clock beyond all calendars still falls into some month */
	return (uint32_t)(year * 100 + month);
}

int fold_init(struct fold *fold, struct txn *txn, const struct fold_sink *sink) {
	struct office_row own;
	int r;

	memset(fold, 0, sizeof(*fold));
	fold->sink = sink;
	r = offices_own(txn, &own, &fold->epoch);
	if (r)
		return r;
	fold->own = own.number;
	fold->own_id = own.office.id;
	return 0;
}

void fold_done(struct fold *fold) {
	free(fold->counts);
	fold->counts = NULL;
	fold->n_counts = fold->cap_counts = 0;
}

/* Moves one of this office's counts; rows are kept apart until the turn ends. */
static int count_add(struct fold *fold, struct txn *txn, uint32_t period, const struct case_row *row,
	uint8_t measure, int64_t by) {
	struct tally_row key = { period, row->category, row->organisation, measure, 0 };
	struct tally_entry *entry;
	int r;

	for (size_t i = 0; i < fold->n_counts; i++) {
		entry = &fold->counts[i];
		if (entry->row.measure == measure && entry->row.period == period &&
			entry->row.category == key.category && entry->row.organisation == key.organisation) {
			entry->row.n += (uint64_t)by;
			return 0;
		}
	}
	if (fold->n_counts == fold->cap_counts) {
		size_t cap = fold->cap_counts ? 2 * fold->cap_counts : 64;

		entry = realloc(fold->counts, cap * sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		fold->counts = entry;
		fold->cap_counts = cap;
	}
	entry = &fold->counts[fold->n_counts];
	*entry = (struct tally_entry){ fold->own, 0, key };
	r = tallies_get(txn, fold->own, &key, &entry->row.n, &entry->epoch);
	if (r < 0)
		return r;
	entry->row.n += (uint64_t)by;
	fold->n_counts++;
	return 0;
}

/* What one case adds to this office's counts; a fact counts in the month in which it happened. */
static int count_petition(struct fold *fold, struct txn *txn, const struct case_row *row, int sign) {
	const struct {
		uint64_t time_ms;
		uint8_t measure;
		int64_t n;
	} counts[] = {
		{ row->received_ms, MEASURE_RECEIVED, 1 },
		{ row->received_ms, MEASURE_PEOPLE, row->people },
		{ row->accepted_ms, MEASURE_ACCEPTED, row->accepted_ms != 0 },
		{ row->since_ms, MEASURE_RETURNED, row->state == CASE_RETURNED },
		{ row->forwarded_ms, MEASURE_FORWARDED, row->forwarded_ms != 0 },
		{ row->resolved_ms, MEASURE_RESOLVED, row->resolved_ms != 0 },
		{ row->answered_ms, MEASURE_ANSWERED, row->answered_ms != 0 },
		{ row->since_ms, MEASURE_WITHDRAWN, row->state == CASE_WITHDRAWN },
		{ row->received_ms, MEASURE_ESCALATED, row->escalated },
	};

	for (size_t i = 0; i < N_ELEMENTS(counts); i++) {
		int r;

		if (counts[i].n == 0)
			continue;
		r = count_add(fold, txn, fold_period(counts[i].time_ms), row, counts[i].measure,
			sign * counts[i].n);
		if (r)
			return r;
	}
	return 0;
}

static int count_meeting(struct fold *fold, struct txn *txn, const struct case_row *row,
	const struct meeting *meeting) {
	uint32_t period = fold_period(meeting->date_ms);
	const struct {
		uint8_t measure;
		uint32_t n;
	} counts[] = {
		{ MEASURE_MEETINGS, 1 },
		{ MEASURE_ATTENDANCE, meeting->attendance },
		{ MEASURE_OPINIONS, meeting->opinions },
		{ MEASURE_ON_THE_SPOT, meeting->on_the_spot },
		{ MEASURE_LATER, meeting->later },
		{ MEASURE_PENDING, meeting->pending },
	};

	for (size_t i = 0; i < N_ELEMENTS(counts); i++) {
		int r = count_add(fold, txn, period, row, counts[i].measure, counts[i].n);
		if (r)
			return r;
	}
	return 0;
}

static bool has_clock(const struct case_row *row) {
	return (clocked & STATE(row->state)) && !row->overdue;
}

/* Puts @row where @old (NULL: nothing) was, and everything that follows from a row with it. */
static int case_replace(struct fold *fold, struct txn *txn, const struct id *id,
	const struct case_row *old, const struct case_row *row) {
	int r;

	if (old && has_clock(old)) {
		r = waiting_delete(txn, old->due_ms != 0, old->state,
			old->due_ms ? old->due_ms : old->since_ms, id);
		if (r)
			return r < 0 ? r : -EIO; /* an index that lost an entry is not to be trusted */
	}
	if (has_clock(row)) {
		r = waiting_put(txn, row->due_ms != 0, row->state, row->due_ms ? row->due_ms : row->since_ms,
			id);
		if (r)
			return r;
	}
	if (row->origin == fold->own) {
		r = old ? count_petition(fold, txn, old, -1) : 0;
		if (!r)
			r = count_petition(fold, txn, row, 1);
		if (r)
			return r;
	}
	r = cases_put(txn, id, row);
	if (r)
		return r;
	return fold->sink ? fold->sink->case_changed(fold->sink->userdata, id, row) : 0;
}

int fold_may_step(const struct case_row *row, uint32_t office, uint8_t action) {
	if (row->kind != KIND_PETITION || action == 0 || action >= ACTION_N)
		return FOLD_WRONG_STATE;
	if (row->holder != office)
		return FOLD_NOT_HOLDER;
	return course[action].from & STATE(row->state) ? 0 : FOLD_WRONG_STATE;
}

void fold_step(struct case_row *row, const struct step *step, uint32_t next_holder) {
	uint8_t to = course[step->action].to;

	if (to && to != row->state) {
		row->state = to;
		row->since_ms = step->date_ms;
		row->due_ms = 0;
	}
	if (step->action != ACTION_PUBLISHED) {
		/* another clock runs now, and nobody has found it overdue yet */
		row->clock_step = step->sequence;
		row->overdue = false;
	}
	switch (step->action) {
	case ACTION_ACCEPTED:
		if (!row->accepted_ms)
			row->accepted_ms = step->date_ms;
		break;
	case ACTION_FORWARDED:
		if (!row->forwarded_ms)
			row->forwarded_ms = step->date_ms;
		row->due_ms = step->due_ms;
		break;
	case ACTION_EXTENDED:
		row->due_ms = step->due_ms;
		break;
	case ACTION_RESOLVED:
		row->resolved_ms = step->date_ms;
		break;
	case ACTION_ANSWERED:
		row->answered_ms = step->date_ms;
		break;
	case ACTION_REOPENED:
		row->resolved_ms = row->answered_ms = 0;
		break;
	case ACTION_HANDED_OVER:
		row->holder = next_holder;
		row->since_ms = step->date_ms;
		break;
	}
}

/* The row of a petition as its first record alone makes it. */
static void petition_row(const struct petition *petition, const struct record *rec, uint32_t origin,
	uint64_t arrival, struct case_row *ret_row) {
	*ret_row = (struct case_row){
		.kind = KIND_PETITION,
		.state = CASE_RECEIVED,
		.category = petition->category,
		.organisation = rec->organisation,
		.urgent = petition->urgent,
		.origin = origin,
		.holder = origin,
		.people = petition->people,
		.arrival = arrival,
		.reference = petition->reference,
		.received_ms = petition->received_ms,
		.recorded_ms = rec->time_ms,
		.since_ms = petition->received_ms,
	};
}

struct refold {
	struct txn *txn;
	struct txn *records;
	struct case_row *row;
};

static int next_holder(struct txn *txn, const struct step *step, uint32_t *ret_office) {
	struct office_row row;
	int r;

	*ret_office = 0;
	if (step->action != ACTION_HANDED_OVER)
		return 0;
	r = offices_get(txn, &step->office, &row);
	if (!r)
		*ret_office = row.number;
	return r;
}

static int read_record(struct txn *txn, uint64_t arrival, struct record *ret_rec) {
	struct leaf leaf;
	int r;

	r = oplog_leaf_at(txn, arrival, &leaf);
	if (r)
		return r;
	return leaf.withheld || record_decode(leaf.bytes, ret_rec) ? FOLD_SET_ASIDE : 0;
}

static int refold_step(void *userdata, uint32_t sequence, const struct id *record,
	uint32_t writer, uint64_t arrival) {
	struct refold *refold = userdata;
	struct record rec;
	struct step step;
	uint32_t holder;
	int r;

	r = read_record(refold->records, arrival, &rec);
	if (!r && step_decode(rec.body, &step))
		r = FOLD_SET_ASIDE;
	if (!r)
		r = next_holder(refold->txn, &step, &holder);
	if (r)
		return r < 0 ? r : 0;
	if (sequence > refold->row->n_steps)
		refold->row->n_steps = sequence;
	if (fold_may_step(refold->row, writer, step.action) == 0)
		fold_step(refold->row, &step, holder);
	return 0;
}

static void escalation_mark(struct case_row *row, const struct escalation *escalation) {
	row->escalated = true;
	if (escalation->cause == CAUSE_OVERDUE && escalation->clock_step == row->clock_step)
		row->overdue = true;
}

static int remark(void *userdata, const struct id *petition, const struct id *record,
	uint64_t arrival) {
	struct refold *refold = userdata;
	struct escalation escalation;
	struct record rec;
	int r;

	r = read_record(refold->records, arrival, &rec);
	if (r)
		return r < 0 ? r : 0;
	if (escalation_decode(rec.body, &escalation) == 0)
		escalation_mark(refold->row, &escalation);
	return 0;
}

/* Makes a petition's row again from its first record and everything else known of it. */
static int refold(struct fold *fold, struct txn *txn, const struct id *id, struct case_row *row) {
	struct refold ctx = { txn, fold->records ? fold->records : txn, row };
	int r;

	r = steps_each(txn, id, refold_step, &ctx);
	return r ? r : escalations_each(txn, id, remark, &ctx);
}

static int apply_petition(struct fold *fold, struct txn *txn, uint32_t origin, uint64_t arrival,
	const struct record *rec) {
	struct petition petition;
	struct case_row row, held;
	int r;

	if (petition_decode(rec->body, &petition))
		return FOLD_SET_ASIDE;
	r = cases_get(txn, &rec->id, &held);
	if (r != STORE_NOT_FOUND)
		return r < 0 ? r : FOLD_HELD;
	petition_row(&petition, rec, origin, arrival, &row);
	if (origin != fold->own) {
		/* A step of ours cannot come before the petition; another office's may, by another way. */
		r = refold(fold, txn, &rec->id, &row);
		if (r)
			return r;
	}
	return case_replace(fold, txn, &rec->id, NULL, &row);
}

static int apply_step(struct fold *fold, struct txn *txn, uint32_t origin, uint64_t arrival,
	const struct record *rec) {
	struct case_row row, old;
	struct petition petition;
	struct record first;
	struct step step;
	uint32_t holder;
	int r;

	if (step_decode(rec->body, &step))
		return FOLD_SET_ASIDE;
	r = steps_put(txn, &step.petition, step.sequence, &rec->id, origin, arrival);
	if (r)
		return r;
	r = cases_get(txn, &step.petition, &old);
	if (r)
		return r < 0 ? r : 0; /* its petition is not readable here, or not yet */
	if (old.kind != KIND_PETITION)
		return 0;
	row = old;
	if (step.sequence > old.n_steps) {
		/* the usual case: it comes after all that is known */
		row.n_steps = step.sequence;
		r = next_holder(txn, &step, &holder);
		if (r < 0)
			return r;
		if (r == 0 && fold_may_step(&row, origin, step.action) == 0)
			fold_step(&row, &step, holder);
		/* an escalation of this very clock may have come first, by a faster lane */
		if (row.escalated && row.clock_step != old.clock_step) {
			struct refold ctx = { txn, fold->records ? fold->records : txn, &row };

			r = escalations_each(txn, &step.petition, remark, &ctx);
			if (r)
				return r;
		}
	} else {
		r = read_record(fold->records ? fold->records : txn, old.arrival, &first);
		if (r)
			return r < 0 ? r : 0;
		if (petition_decode(first.body, &petition))
			return FOLD_SET_ASIDE;
		petition_row(&petition, &first, old.origin, old.arrival, &row);
		r = refold(fold, txn, &step.petition, &row);
		if (r)
			return r;
	}
	return case_replace(fold, txn, &step.petition, &old, &row);
}

static int apply_escalation(struct fold *fold, struct txn *txn, const struct id *finder,
	uint64_t arrival, const struct record *rec) {
	struct case_row row, old;
	struct escalation escalation;
	int r;

	if (escalation_decode(rec->body, &escalation))
		return FOLD_SET_ASIDE;
	r = escalations_put(txn, &escalation.petition, &rec->id, arrival);
	if (r)
		return r;
	r = cases_get(txn, &escalation.petition, &old);
	if (r < 0)
		return r;
	if (r == 0 && old.kind == KIND_PETITION) {
		row = old;
		escalation_mark(&row, &escalation);
		r = case_replace(fold, txn, &escalation.petition, &old, &row);
		if (r)
			return r;
	}
	return fold->sink ? fold->sink->escalated(fold->sink->userdata, finder, &escalation) : 0;
}

static int apply_meeting(struct fold *fold, struct txn *txn, uint32_t origin, uint64_t arrival,
	const struct record *rec) {
	struct meeting meeting;
	struct case_row row;
	int r;

	if (meeting_decode(rec->body, &meeting))
		return FOLD_SET_ASIDE;
	r = cases_get(txn, &rec->id, &row);
	if (r != STORE_NOT_FOUND)
		return r < 0 ? r : FOLD_HELD;
	row = (struct case_row){
		.kind = KIND_MEETING,
		.state = CASE_HELD,
		.organisation = rec->organisation,
		.origin = origin,
		.holder = origin,
		.people = meeting.attendance,
		.arrival = arrival,
		.received_ms = meeting.date_ms,
		.recorded_ms = rec->time_ms,
		.since_ms = meeting.date_ms,
	};
	r = cases_put(txn, &rec->id, &row);
	if (!r && origin == fold->own)
		r = count_meeting(fold, txn, &row, &meeting);
	return r;
}

static int apply_tally(struct fold *fold, struct txn *txn, const struct oplog_id *origin,
	uint32_t origin_number, const struct record *rec) {
	struct tally_row rows[TALLY_ROWS_MAX];
	size_t n;
	int r;

	if (origin_number == fold->own)
		return 0; /* made from our rows, not the other way round */
	if (tally_decode(rec->body, rows, &n))
		return FOLD_SET_ASIDE;
	for (size_t i = 0; i < n; i++) {
		struct tally_entry entry = { origin_number, origin->epoch, rows[i] };
		uint64_t held_n;
		uint32_t held_epoch;

		r = tallies_get(txn, origin_number, &rows[i], &held_n, &held_epoch);
		if (r < 0)
			return r;
		if (r == 0 && held_epoch > origin->epoch)
			continue;
		if (r == 0 && held_epoch == origin->epoch && held_n == rows[i].n)
			continue;
		r = tallies_put(txn, &entry);
		if (!r && fold->sink)
			r = fold->sink->tally_changed(fold->sink->userdata, &entry);
		if (r)
			return r;
	}
	return 0;
}

/* Only an office's parent (or, for the topmost, the office itself) may say who it is. */
static int apply_office(struct fold *fold, struct txn *txn, const struct id *origin,
	const struct record *rec) {
	struct office_row held;
	struct office office;
	uint32_t number;
	int r;

	if (office_decode(rec->body, &office))
		return FOLD_SET_ASIDE;
	if (!id_eq(origin, id_is_nil(&office.parent) ? &office.id : &office.parent))
		return FOLD_SET_ASIDE;
	r = offices_get(txn, &office.id, &held);
	if (r < 0)
		return r;
	/* an office is not taken over by another parent's word */
	if (r == 0 && !id_eq(&held.office.parent, &office.parent))
		return FOLD_SET_ASIDE;
	r = offices_put(txn, &office, &number);
	if (!r && fold->sink)
		r = fold->sink->office_changed(fold->sink->userdata, &office, number);
	return r;
}

int fold_apply(struct fold *fold, struct txn *txn, const struct oplog_id *origin,
	uint32_t origin_number, uint64_t arrival, const struct record *rec) {
	switch (rec->kind) {
	case KIND_PETITION:
		return apply_petition(fold, txn, origin_number, arrival, rec);
	case KIND_STEP:
		return apply_step(fold, txn, origin_number, arrival, rec);
	case KIND_ESCALATION:
		return apply_escalation(fold, txn, &origin->office, arrival, rec);
	case KIND_MEETING:
		return apply_meeting(fold, txn, origin_number, arrival, rec);
	case KIND_TALLY:
		return apply_tally(fold, txn, origin, origin_number, rec);
	case KIND_OFFICE:
		return apply_office(fold, txn, &origin->office, rec);
	default:
		return 0; /* a newer version's: kept and forwarded */
	}
}

static int compare_counts(const void *a, const void *b) {
	uint8_t ka[TALLIES_KEY_LEN], kb[TALLIES_KEY_LEN];

	tallies_key(((const struct tally_entry *)a)->office, &((const struct tally_entry *)a)->row, ka);
	tallies_key(((const struct tally_entry *)b)->office, &((const struct tally_entry *)b)->row, kb);
	return memcmp(ka, kb, sizeof(ka));
}

int fold_finish(struct fold *fold, struct txn *txn, const struct tally_entry **ret_rows,
	size_t *ret_n) {
	size_t n = 0;
	int r;

	for (size_t i = 0; i < fold->n_counts; i++) {
		const struct tally_entry *entry = &fold->counts[i];
		uint64_t held;
		uint32_t epoch;

		/* taken away and added again in one turn: nothing changed; a first 0 is kept all the same,
		 * or what a rebuild makes would depend on where a turn ended */
		r = tallies_get(txn, entry->office, &entry->row, &held, &epoch);
		if (r < 0)
			return r;
		if (r == 0 && held == entry->row.n)
			continue;
		r = tallies_put(txn, entry);
		if (!r && fold->sink)
			r = fold->sink->tally_changed(fold->sink->userdata, entry);
		if (r)
			return r;
		fold->counts[n++] = *entry;
	}
	if (n > 1)
		qsort(fold->counts, n, sizeof(*fold->counts), compare_counts);
	*ret_rows = fold->counts;
	*ret_n = n;
	fold->n_counts = 0;
	return 0;
}

enum {
	REBUILD_BATCH = 100000, /* records in one transaction of the scratch store */
};

struct rebuild {
	struct fold fold;
	struct store *into;
	struct txn *txn;
	unsigned n;
};

static int copy_office(void *userdata, const struct office_row *row) {
	struct rebuild *rebuild = userdata;
	uint32_t number;
	int r;

	r = offices_put(rebuild->txn, &row->office, &number);
	return r ? r : number == row->number ? 0 : -EIO;
}

static int rebuild_finish(struct rebuild *rebuild) {
	const struct tally_entry *rows;
	size_t n;
	int r;

	r = fold_finish(&rebuild->fold, rebuild->txn, &rows, &n);
	if (r)
		return r;
	return store_commit(TAKE(rebuild->txn));
}

static int rebuild_leaf(void *userdata, const struct oplog_id *origin, uint64_t index,
	uint64_t arrival, const struct leaf *leaf) {
	struct rebuild *rebuild = userdata;
	struct office_row office;
	struct record rec;
	int r;

	if (leaf->withheld || record_decode(leaf->bytes, &rec) || rec.kind == KIND_OFFICE)
		return 0; /* the register was copied: it also holds what came by joining */
	r = offices_get(rebuild->txn, &origin->office, &office);
	if (r)
		return r < 0 ? r : -EIO;
	r = fold_apply(&rebuild->fold, rebuild->txn, origin, office.number, arrival, &rec);
	if (r < 0)
		return r;
	if (++rebuild->n % REBUILD_BATCH == 0) {
		r = rebuild_finish(rebuild);
		if (!r)
			r = store_begin_write(rebuild->into, &rebuild->txn);
		return r;
	}
	return 0;
}

int fold_rebuild(struct txn *from, struct store *into) {
	struct rebuild rebuild = { .into = into };
	struct office_row own;
	uint32_t epoch;
	int r;

	r = offices_own(from, &own, &epoch);
	if (!r)
		r = store_begin_write(into, &rebuild.txn);
	if (!r)
		r = offices_each(from, copy_office, &rebuild);
	if (!r)
		r = offices_set_own(rebuild.txn, &own.office.id, epoch);
	if (!r)
		r = fold_init(&rebuild.fold, rebuild.txn, NULL);
	rebuild.fold.records = from;
	if (!r)
		r = oplog_each_leaf(from, rebuild_leaf, &rebuild);
	if (!r)
		r = rebuild_finish(&rebuild);
	store_abort(rebuild.txn);
	fold_done(&rebuild.fold);
	return r;
}
