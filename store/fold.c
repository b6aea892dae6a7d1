/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A record is applied by reading the row it touches, making the row anew, and writing the
 * difference: the clock index and this office's counts follow from a row before and after, so
 * there is one place (case_replace) where they can change.
 */
#include "store/fold_offices.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/kinds/meeting.h"
#include "proto/kinds/office.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/step.h"
#include "store/requests.h"

#define STATE(s) (1u << (s))

enum {
	LEVELS_MAX = 64, /* a register that says otherwise has a ring in it */
};

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

uint64_t fold_day(uint64_t time_ms) {
	return (time_ms / 1000 + 7 * 3600) / 86400;
}

uint32_t fold_period(uint64_t time_ms) {
	/* Days to a civil date, H. Hinnant's chrono-compatible algorithm; all in unsigned numbers. */
	uint64_t days = fold_day(time_ms) + 719468;
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

/* Where the count of @key is among those of this turn, or where it belongs. */
static size_t count_place(const struct fold *fold, const struct tally_row *key) {
	size_t low = 0, high = fold->n_counts;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (tally_rank(&fold->counts[mid].row) < tally_rank(key))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* One of this office's counts, to be moved; rows are kept apart until the turn ends. */
static int count_of(struct fold *fold, struct txn *txn, struct tally_row key, struct tally_entry **ret_entry) {
	struct tally_entry count = { .office = fold->own, .row = key }, *entry;
	size_t at = count_place(fold, &key);
	int r;

	if (at < fold->n_counts && tally_rank(&fold->counts[at].row) == tally_rank(&key)) {
		*ret_entry = &fold->counts[at];
		return 0;
	}
	if (fold->n_counts == fold->cap_counts) {
		size_t cap = fold->cap_counts ? 2 * fold->cap_counts : 64;

		entry = realloc(fold->counts, cap * sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		fold->counts = entry;
		fold->cap_counts = cap;
	}
	count.row.n = 0;
	r = tallies_get(txn, &count);
	if (r < 0)
		return r;
	entry = &fold->counts[at];
	memmove(entry + 1, entry, (fold->n_counts - at) * sizeof(*entry));
	*entry = count;
	fold->n_counts++;
	*ret_entry = entry;
	return 0;
}

static int count_add(struct fold *fold, struct txn *txn, uint32_t period, const struct case_row *row,
	uint8_t measure, int64_t by) {
	const struct tally_row key = { period, row->category, row->organisation, measure, 0 };
	struct tally_entry *entry;
	int r = count_of(fold, txn, key, &entry);

	if (!r)
		entry->row.n += (uint64_t)by;
	return r;
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
		{ row->since_ms, MEASURE_MERGED, row->state == CASE_MERGED },
		{ row->since_ms, MEASURE_CLOSED, row->state == CASE_CLOSED },
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

/* A kind of a newer version has the clocks of none: rules for all kinds find it there. */
static struct clock clock_of(const struct fold *fold, const struct case_row *row) {
	return (struct clock){ case_is_held_by(row, fold->own, &fold->own_id), row->legal_kind < LEGAL_N ? row->legal_kind : 0,
		row->due_ms != 0, row->state, row->due_ms ? row->due_ms : row->since_ms };
}

static int stop_clock(const struct fold *fold, struct txn *txn, const struct id *id, const struct case_row *row) {
	const struct clock clock = clock_of(fold, row);
	int r = 0;

	if (has_clock(row))
		r = clock_delete(txn, &clock, id);
	return r <= 0 ? r : -EIO; /* an index that lost an entry is not to be trusted */
}

/* Puts @row where @old (NULL: nothing) was, and everything that follows from a row with it. */
static int case_replace(struct fold *fold, struct txn *txn, const struct id *id,
	const struct case_row *old, const struct case_row *row) {
	int r;

	if (old) {
		r = stop_clock(fold, txn, id, old);
		if (r)
			return r;
	}
	if (has_clock(row)) {
		const struct clock clock = clock_of(fold, row);

		r = clock_put(txn, &clock, id);
		if (r)
			return r;
	}
	if (row->origin == fold->own) {
		r = old && old->origin == fold->own ? count_petition(fold, txn, old, -1) : 0;
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

static int may_step(const struct case_row *row, const struct step *step, uint32_t writer,
	const struct id *writer_id) {
	if (row->kind != KIND_PETITION || step->action == 0 || step->action >= ACTION_N)
		return FOLD_WRONG_STATE;
	if (!case_is_held_by(row, writer, writer_id))
		return FOLD_NOT_HOLDER;
	if (!(course[step->action].from & STATE(row->state)))
		return FOLD_WRONG_STATE;
	if (step->sequence != row->n_steps + 1)
		return FOLD_NOT_NEXT;
	if (step->action == ACTION_HANDED_OVER && (!id_is_nil(&row->handed_to) || id_is_nil(&step->office)))
		return FOLD_NOT_ABOVE;
	return 0;
}

/* The law says when it is due, whatever step it is at. */
static bool has_lawful_due(const struct case_row *row) {
	return petition_due_ms(row->legal_kind, row->received_ms) != 0;
}

int fold_step(struct case_row *row, const struct step *step, uint32_t writer, const struct id *writer_id) {
	int why = may_step(row, step, writer, writer_id);
	uint8_t to;

	if (why)
		return why;
	row->n_steps = step->sequence;
	to = course[step->action].to;
	if (to && to != row->state) {
		row->state = to;
		row->since_ms = step->date_ms;
		if (!has_lawful_due(row))
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
		if (!has_lawful_due(row))
			row->due_ms = step->due_ms;
		break;
	case ACTION_EXTENDED:
		if (step->due_ms) /* one that does not say until when takes no due time away */
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
		row->handed_to = step->office;
		row->since_ms = step->date_ms;
		break;
	}
	return 0;
}

/* The row of a petition as its first record alone makes it. */
static void petition_row(const struct petition *petition, const struct record *rec, uint32_t origin,
	uint64_t arrival, struct case_row *ret_row) {
	*ret_row = (struct case_row){
		.kind = KIND_PETITION,
		.legal_kind = petition->legal_kind,
		.state = CASE_RECEIVED,
		.category = petition->category,
		.organisation = rec->organisation,
		.urgent = petition->urgent,
		.origin = origin,
		.people = petition->people,
		.arrival = arrival,
		.last = arrival,
		.reference = petition->reference,
		.received_ms = petition->received_ms,
		.recorded_ms = rec->time_ms,
		.since_ms = petition->received_ms,
		.due_ms = petition_due_ms(petition->legal_kind, petition->received_ms),
	};
}

struct refold {
	struct txn *txn;
	struct txn *records;
	struct case_row *row;
};

static int read_record(struct txn *txn, uint64_t arrival, struct record *ret_rec) {
	struct leaf leaf;
	int r;

	r = oplog_leaf_at(txn, arrival, &leaf);
	if (r)
		return r;
	return leaf.withheld || record_decode(leaf.bytes, ret_rec) ? FOLD_SET_ASIDE : 0;
}

/* The number of the office that must act next; 0: it is not known here. 0 or -errno. */
static int holder_of(struct txn *txn, const struct case_row *row, uint32_t *ret_number) {
	struct office_row office;
	int r;

	*ret_number = row->origin;
	if (id_is_nil(&row->handed_to))
		return 0;
	r = offices_get(txn, &row->handed_to, &office);
	*ret_number = r == 0 ? office.number : 0;
	return r < 0 ? r : 0;
}

int fold_takes_back(struct txn *records, const struct case_row *row, uint32_t writer) {
	struct record rec;
	struct step step;
	int r;

	if (id_is_nil(&row->handed_to) || row->origin != writer)
		return 0;
	r = read_record(records, row->last, &rec);
	if (r)
		return r < 0 ? r : 0;
	return rec.kind == KIND_STEP && step_decode(rec.body, &step) == 0 && step.action == ACTION_HANDED_OVER;
}

/*
 * A holder writes one step after another: of several that follow one, which only a forged node writes or one
 * whose store was an old copy, the one with the smallest id is the step, also where it cannot be taken. So it
 * does not matter which came first. 1: seen.
 */
static int refold_step(void *userdata, const struct step_row *at) {
	struct refold *refold = userdata;
	struct record rec;
	struct step step;
	int r;

	r = read_record(refold->records, at->arrival, &rec);
	if (!r)
		r = step_decode(rec.body, &step) ? FOLD_SET_ASIDE
			: fold_step(refold->row, &step, at->office, &refold->row->handed_to);
	if (!r)
		refold->row->last = at->arrival;
	return r < 0 ? r : 1;
}

int fold_last(struct txn *records, const struct case_row *row, struct hash *ret_hash) {
	struct leaf leaf;
	int r = oplog_leaf_at(records, row->last, &leaf);

	if (r || leaf.withheld)
		return r < 0 ? r : -EIO;
	leaf_hash(&leaf, ret_hash);
	return 0;
}

/* The office that took the case in goes on with it, since the one to which it was handed over has not. */
static int refold_taking_back(struct refold *refold, const struct id *petition, struct step_row *next) {
	struct case_row *row = refold->row;
	const struct id handed_to = row->handed_to;
	const uint32_t n_steps = row->n_steps;
	int r = fold_takes_back(refold->records, row, row->origin);

	if (r <= 0)
		return r;
	next->office = row->origin;
	row->handed_to = (struct id){ 0 };
	r = steps_of(refold->txn, petition, next, refold_step, refold);
	if (row->n_steps == n_steps)
		row->handed_to = handed_to;
	return r;
}

/*
 * Takes the steps that lead on from @refold's row. Those of other offices than its holder, and those that follow
 * another step, are not looked at.
 */
static int refold_steps(struct refold *refold, const struct id *petition) {
	struct case_row *row = refold->row;
	uint32_t n_steps;
	int r;

	do {
		struct step_row next = { .sequence = row->n_steps + 1 };

		n_steps = row->n_steps;
		r = holder_of(refold->txn, row, &next.office);
		if (!r)
			r = fold_last(refold->records, row, &next.follows);
		if (!r)
			r = steps_of(refold->txn, petition, &next, refold_step, refold);
		if (!r)
			r = refold_taking_back(refold, petition, &next);
	} while (r >= 0 && row->n_steps != n_steps);
	return r < 0 ? r : 0;
}

/* 0 or -errno. */
static int remark_by(struct txn *txn, const struct id *petition, struct case_row *row, uint32_t finder) {
	int r = escalations_by(txn, petition, finder);

	row->escalated |= r > 0;
	if (r > 0)
		r = escalations_of_clock(txn, petition, finder, CAUSE_OVERDUE, row->clock_step);
	row->overdue |= r > 0;
	return r < 0 ? r : 0;
}

/* Marks a case with what was found of it by the office that took it in and by those that are or were above it. */
static int remark(struct txn *txn, const struct id *petition, struct case_row *row) {
	struct office_row office, above;
	uint32_t finder = row->origin;
	int r = 0;

	for (unsigned level = 0; r == 0 && level < LEVELS_MAX; level++) {
		r = remark_by(txn, petition, row, finder);
		if (r == 0)
			r = offices_by_number(txn, finder, &office);
		for (size_t i = 0; r == 0 && i < office.parents.n; i++) {
			r = offices_get(txn, &office.parents.list[i].id, &above);
			if (r == 0)
				r = remark_by(txn, petition, row, above.number);
			r = r < 0 ? r : 0;
		}
		if (r == 0)
			r = offices_get(txn, &office.office.parent, &office);
		finder = office.number;
	}
	return r < 0 ? r : 0;
}

/* Makes a petition's row again from its first record and everything else known of it. */
static int refold(struct fold *fold, struct txn *txn, const struct id *id, struct case_row *row) {
	struct refold ctx = { txn, fold->records ? fold->records : txn, row };
	int r;

	r = refold_steps(&ctx, id);
	return r ? r : remark(txn, id, row);
}

/*
 * Of two first records under one id this office's own makes the case, whichever came first; of two others the one
 * that arrived first, which a disclosure may bring after the other.
 */
static bool stays(const struct fold *fold, const struct case_row *held, uint32_t origin, uint64_t arrival) {
	bool own = held->origin == fold->own;

	return own == (origin == fold->own) ? held->arrival < arrival : own;
}

static int apply_petition(struct fold *fold, struct txn *txn, uint32_t origin, uint64_t arrival,
	const struct record *rec) {
	struct petition petition;
	struct case_row row, held;
	bool known;
	int r;

	if (petition_decode(rec->body, &petition))
		return FOLD_SET_ASIDE;
	r = cases_get(txn, &rec->id, &held);
	if (r < 0 || (r == 0 && stays(fold, &held, origin, arrival)))
		return r < 0 ? r : FOLD_HELD;
	known = r == 0;
	petition_row(&petition, rec, origin, arrival, &row);
	/* what was done of it may have come by another way; of our own too, when it comes back */
	r = cases_have_more(txn, &rec->id);
	if (r > 0)
		r = refold(fold, txn, &rec->id, &row);
	if (r)
		return r;
	return case_replace(fold, txn, &rec->id, known ? &held : NULL, &row);
}

struct place {
	const struct id *record;
	bool first;
	unsigned n;
};

static int look_at_place(void *userdata, const struct step_row *row) {
	struct place *place = userdata;

	if (place->n++ == 0)
		place->first = id_eq(&row->record, place->record);
	return place->n == 2;
}

/*
 * Whether a step that comes after a later one takes the place of another: only if its writer has one there
 * already that follows the same, and this one's id is smaller; or the office that took the case in has, which
 * may have taken it back. 0, 1 or -errno.
 */
static int displaces(struct txn *txn, const struct id *petition, const struct step_row *row, uint32_t origin) {
	struct place place = { &row->record, false, 0 }, taken_back = place;
	struct step_row other = *row;
	int r = steps_of(txn, petition, row, look_at_place, &place);

	other.office = origin;
	if (r >= 0 && row->office != origin)
		r = steps_of(txn, petition, &other, look_at_place, &taken_back);
	return r < 0 ? r : taken_back.n > 0 || (place.first && place.n == 2);
}

/*
 * Two records of one id for one place: the one whose bytes are smaller is the step. 0: @row is new, or is
 * that one; 1: another stays; or -errno.
 */
static int same_id(struct fold *fold, struct txn *txn, const struct id *petition,
	const struct step_row *row, bool *ret_replaces) {
	struct txn *records = fold->records ? fold->records : txn;
	struct leaf held, leaf;
	uint64_t arrival;
	size_t len;
	int r;

	*ret_replaces = false;
	r = steps_get(txn, petition, row, &arrival);
	if (r)
		return r < 0 ? r : 0;
	r = oplog_leaf_at(records, arrival, &held);
	if (!r)
		r = oplog_leaf_at(records, row->arrival, &leaf);
	if (r)
		return r < 0 ? r : -EIO;
	len = held.bytes.len < leaf.bytes.len ? held.bytes.len : leaf.bytes.len;
	r = memcmp(leaf.bytes.data, held.bytes.data, len);
	*ret_replaces = r < 0 || (r == 0 && leaf.bytes.len < held.bytes.len);
	return !*ret_replaces;
}

/* Makes a case of which steps were applied again from its petition. */
static int begin_again(struct fold *fold, struct txn *txn, const struct id *id,
	const struct case_row *old, struct case_row *ret_row) {
	struct petition petition;
	struct record first;
	int r;

	r = read_record(fold->records ? fold->records : txn, old->arrival, &first);
	if (r || petition_decode(first.body, &petition))
		return r < 0 ? r : -EIO; /* its case was made from it */
	petition_row(&petition, &first, old->origin, old->arrival, ret_row);
	return refold(fold, txn, id, ret_row);
}

static int apply_step(struct fold *fold, struct txn *txn, uint32_t origin, uint64_t arrival,
	const struct record *rec) {
	struct step_row at = { .office = origin, .record = rec->id, .arrival = arrival };
	struct case_row row, old;
	struct step step;
	bool replaces;
	int r;

	if (step_decode(rec->body, &step) || step.sequence == 0)
		return FOLD_SET_ASIDE;
	at.sequence = step.sequence;
	at.follows = step.follows;
	r = same_id(fold, txn, &step.petition, &at, &replaces);
	if (r)
		return r < 0 ? r : 0;
	r = steps_put(txn, &step.petition, &at);
	if (r)
		return r;
	r = cases_get(txn, &step.petition, &old);
	if (r)
		return r < 0 ? r : 0; /* its petition is not readable here, or not yet */
	if (old.kind != KIND_PETITION)
		return 0;
	row = old;
	if (step.sequence > old.n_steps) {
		struct refold ctx = { txn, fold->records ? fold->records : txn, &row };

		r = refold_steps(&ctx, &step.petition); /* this one, and those that waited for it */
		if (r || row.n_steps == old.n_steps)
			return r;
		/* an escalation of this very clock may have come first, by a faster lane */
		if (row.escalated && row.clock_step != old.clock_step)
			r = remark(txn, &step.petition, &row);
	} else {
		r = replaces ? 1 : displaces(txn, &step.petition, &at, old.origin);
		if (r <= 0)
			return r;
		r = begin_again(fold, txn, &step.petition, &old, &row);
	}
	return r ? r : case_replace(fold, txn, &step.petition, &old, &row);
}

static int apply_escalation(struct fold *fold, struct txn *txn, const struct id *finder,
	uint32_t finder_number, uint64_t arrival, const struct record *rec) {
	struct escalation_row at = { .office = finder_number, .record = rec->id, .arrival = arrival };
	struct case_row row, old;
	struct escalation escalation;
	int r;

	if (escalation_decode(rec->body, &escalation))
		return FOLD_SET_ASIDE;
	at.cause = escalation.cause;
	at.clock_step = escalation.clock_step;
	r = escalations_put(txn, &escalation.petition, &at);
	if (r)
		return r;
	r = cases_get(txn, &escalation.petition, &old);
	if (r < 0)
		return r;
	if (r == 0 && old.kind == KIND_PETITION) {
		row = old;
		r = remark(txn, &escalation.petition, &row);
		if (r)
			return r;
		r = case_replace(fold, txn, &escalation.petition, &old, &row);
		if (r)
			return r;
	}
	return fold->sink ? fold->sink->escalated(fold->sink->userdata, finder, &escalation) : 0;
}

struct found_again {
	struct fold *fold;
	struct txn *txn;
	struct id last;
};

static int look_again(void *userdata, const struct id *petition, const struct escalation_row *at) {
	struct found_again *again = userdata;
	struct case_row row, old;
	int r;

	if (id_eq(petition, &again->last))
		return 0;
	again->last = *petition;
	r = cases_get(again->txn, petition, &old);
	if (r || old.kind != KIND_PETITION)
		return r < 0 ? r : 0;
	row = old;
	row.escalated = row.overdue = false;
	r = remark(again->txn, petition, &row);
	if (r || (row.escalated == old.escalated && row.overdue == old.overdue))
		return r;
	return case_replace(again->fold, again->txn, petition, &old, &row);
}

static int found_again(struct fold *fold, struct txn *txn) {
	struct found_again again = { .fold = fold, .txn = txn };

	return escalations_each(txn, NULL, look_again, &again);
}

static int apply_meeting(struct fold *fold, struct txn *txn, uint32_t origin, uint64_t arrival,
	const struct record *rec) {
	struct meeting meeting;
	struct case_row row;
	int r;

	if (meeting_decode(rec->body, &meeting))
		return FOLD_SET_ASIDE;
	r = cases_get(txn, &rec->id, &row);
	if (r < 0 || (r == 0 && stays(fold, &row, origin, arrival)))
		return r < 0 ? r : FOLD_HELD;
	if (r == 0) {
		r = stop_clock(fold, txn, &rec->id, &row);
		if (r)
			return r;
	}
	row = (struct case_row){
		.kind = KIND_MEETING,
		.state = CASE_HELD,
		.organisation = rec->organisation,
		.origin = origin,
		.people = meeting.attendance,
		.arrival = arrival,
		.last = arrival,
		.received_ms = meeting.date_ms,
		.recorded_ms = rec->time_ms,
		.since_ms = meeting.date_ms,
	};
	r = cases_put(txn, &rec->id, &row);
	if (!r && origin == fold->own)
		r = count_meeting(fold, txn, &row, &meeting);
	return r;
}

/* Puts a count of another office, and says so if it is another than before. */
static int put_count(struct fold *fold, struct txn *txn, const struct tally_entry *entry) {
	struct tally_entry held = *entry;
	int r = tallies_get(txn, &held);

	bool same = r == 0 && held.row.n == entry->row.n;

	if (r < 0 || (same && held.epoch == entry->epoch))
		return r < 0 ? r : 0;
	r = tallies_put(txn, entry);
	return r || same || !fold->sink ? r : fold->sink->tally_changed(fold->sink->userdata, entry);
}

struct life {
	struct fold *fold;
	struct txn *txn;
	uint32_t epoch;
	bool over;
};

/* All rows of an office are of one life: of an older one than @life they count nothing any more. */
static int drop_older(void *userdata, const struct tally_entry *entry) {
	struct life *life = userdata;
	struct tally_entry none = { .office = entry->office, .epoch = life->epoch, .row = entry->row };

	if (entry->epoch >= life->epoch) {
		life->over = entry->epoch > life->epoch;
		return 1;
	}
	none.row.n = 0;
	return put_count(life->fold, life->txn, &none);
}

static int apply_tally(struct fold *fold, struct txn *txn, const struct oplog_id *origin,
	uint32_t origin_number, const struct record *rec) {
	struct life life = { fold, txn, origin->epoch, false };
	struct tally_row rows[TALLY_ROWS_MAX];
	size_t n;
	int r;

	if (origin_number == fold->own)
		return 0; /* made from our rows, not the other way round */
	if (tally_decode(rec->body, rows, &n))
		return FOLD_SET_ASIDE;
	/* a life begins with all that its office counts: what it does not say of the one before is not so */
	r = tallies_of(txn, origin_number, drop_older, &life);
	if (r < 0 || life.over)
		return r < 0 ? r : 0;
	r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = put_count(fold, txn, &(struct tally_entry){ origin_number, origin->epoch, rows[i], 0 });
	return r;
}

/*
 * What this office counted in a life before and has only hashes of, beside what it counts itself. What a later life
 * says of a row stands in the place of what an earlier one did, whichever came first.
 */
static int apply_carried(struct fold *fold, struct txn *txn, const struct oplog_id *origin, uint32_t origin_number,
	const struct record *rec) {
	struct tally_row rows[TALLY_ROWS_MAX];
	size_t n;
	int r = 0;

	if (origin_number != fold->own)
		return 0; /* it is in what they say that they count */
	if (tally_decode(rec->body, rows, &n))
		return FOLD_SET_ASIDE;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct tally_entry *entry;

		r = count_of(fold, txn, rows[i], &entry);
		if (r || entry->epoch > origin->epoch)
			continue;
		entry->row.n += rows[i].n - entry->carried;
		entry->carried = rows[i].n;
		entry->epoch = origin->epoch;
	}
	return r;
}

static int apply_request(struct txn *txn, uint32_t origin, uint64_t arrival, const struct record *rec) {
	struct inquiry inquiry;

	if (inquiry_decode(rec->body, &inquiry))
		return FOLD_SET_ASIDE;
	return requests_put(txn, &(struct request_row){ rec->id, origin, rec->id, arrival });
}

static int apply_reply(struct txn *txn, uint32_t origin, uint64_t arrival, const struct record *rec) {
	struct reply reply;
	int r;

	if (reply_decode(rec->body, &reply))
		return FOLD_SET_ASIDE;
	r = requests_put(txn, &(struct request_row){ reply.request, origin, rec->id, arrival });
	if (!r && reply.outcome == REPLY_GRANTED)
		r = grants_put(txn, &reply.petition, origin, &rec->id, arrival);
	return r;
}

int fold_apply(struct fold *fold, struct txn *txn, const struct oplog_id *origin, uint64_t index,
	uint32_t origin_number, uint64_t arrival, const struct record *rec) {
	switch (rec->kind) {
	case KIND_PETITION:
		return apply_petition(fold, txn, origin_number, arrival, rec);
	case KIND_STEP:
		return apply_step(fold, txn, origin_number, arrival, rec);
	case KIND_ESCALATION:
		return apply_escalation(fold, txn, &origin->office, origin_number, arrival, rec);
	case KIND_MEETING:
		return apply_meeting(fold, txn, origin_number, arrival, rec);
	case KIND_TALLY:
		return apply_tally(fold, txn, origin, origin_number, rec);
	case KIND_CARRIED:
		return apply_carried(fold, txn, origin, origin_number, rec);
	case KIND_OFFICE:
		return fold_office(fold, txn, origin, index, rec);
	case KIND_FORK:
		return fold_fork(fold, txn, &origin->office, rec);
	case KIND_REQUEST:
		return apply_request(txn, origin_number, arrival, rec);
	case KIND_REPLY:
		return apply_reply(txn, origin_number, arrival, rec);
	default:
		return 0; /* a newer version's: kept and forwarded */
	}
}

int fold_finish(struct fold *fold, struct txn *txn, const struct tally_entry **ret_rows,
	size_t *ret_n) {
	size_t n = 0;
	int r = fold->moved ? found_again(fold, txn) : 0; /* once, however many did */

	if (r)
		return r;
	fold->moved = false;
	for (size_t i = 0; i < fold->n_counts; i++) {
		const struct tally_entry *entry = &fold->counts[i];
		struct tally_entry held = *entry;
		bool same;

		/* taken away and added again in one turn: nothing changed; a first 0 is kept all the same,
		 * or what a rebuild makes would depend on where a turn ended */
		r = tallies_get(txn, &held);
		if (r < 0)
			return r;
		same = r == 0 && held.row.n == entry->row.n;
		if (same && held.epoch == entry->epoch && held.carried == entry->carried)
			continue;
		r = tallies_put(txn, entry);
		if (!r && !same && fold->sink)
			r = fold->sink->tally_changed(fold->sink->userdata, entry);
		if (r)
			return r;
		if (!same)
			fold->counts[n++] = *entry;
	}
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

	r = offices_put(rebuild->txn, &row->office, &row->former, &number);
	if (!r)
		r = offices_replace(rebuild->txn, row);
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

	if (leaf->withheld || record_decode(leaf->bytes, &rec) || rec.kind == KIND_OFFICE || rec.kind == KIND_FORK)
		return 0; /* the register was copied: it also holds what came by joining */
	r = offices_get(rebuild->txn, &origin->office, &office);
	if (r)
		return r < 0 ? r : -EIO;
	r = fold_apply(&rebuild->fold, rebuild->txn, origin, index, office.number, arrival, &rec);
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
