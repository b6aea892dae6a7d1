/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/visibility.h"

#include <errno.h>

#include "proto/kinds/step.h"
#include "store/cases.h"
#include "store/cursor.h"
#include "store/disclosures.h"
#include "store/requests.h"

static const char *const holdings[] = {
	[HOLDS_NOTHING] = N_("nothing"),
	[HOLDS_HASH] = N_("hash"),
	[HOLDS_RECORD] = N_("record"),
};

static const char *const sights[] = {
	[SIGHT_ORIGIN] = "origin",
	[SIGHT_ONE_LEVEL_UP] = "one-level-up",
	[SIGHT_ALL_LEVELS] = "all-levels",
	[SIGHT_AUDIENCE] = "audience",
	[SIGHT_ESCALATED] = "escalated",
	[SIGHT_GRANTED] = "granted",
	[SIGHT_HANDED_OVER] = "handed-over",
	[SIGHT_DISCLOSED] = "disclosed",
	[SIGHT_RULE] = "rule",
	[SIGHT_CONFIGURATION] = "configuration",
	[SIGHT_WITHHELD] = "withheld",
	[SIGHT_STAYS] = "stays",
	[SIGHT_DISCLOSING] = "disclosing",
	[SIGHT_NOT_YET] = "not-yet",
};

const struct words words_holding = { holdings, N_ELEMENTS(holdings) };
const struct words words_sight = { sights, N_ELEMENTS(sights) };

enum {
	SETTING_AT = 16 + 4, /* in disclosed-to, see FORMAT.md */
	SETTING_SINCE = SETTING_AT + 1,
	SETTING_LEN = SETTING_SINCE + 4 + 8 * LANE_N,
};

struct looking {
	const struct home *home;
	const struct place *place;
	struct level *levels;
	size_t n;
	size_t own;   /* where this office stands among them */
	uint8_t kind; /* of the record; 0: only its hash is here */
	enum reach reach;
	bool has_case;
	struct id petition;
	struct case_row row;
	bool withholds_own; /* this office is set to */
	bool set_since;     /* the record was written: what it is set to does not say how it was sent */
};

/* The record's kind, and which case it is of. */
static int look_at_record(struct looking *looking, const struct leaf *leaf) {
	struct record rec;
	struct step step;
	int r;

	looking->reach = leaf->withheld ? leaf->reach : record_reach(leaf->bytes);
	if (leaf->withheld || record_decode(leaf->bytes, &rec))
		return 0;
	looking->kind = rec.kind;
	looking->petition = rec.id;
	if (rec.kind == KIND_STEP && step_decode(rec.body, &step) == 0)
		looking->petition = step.petition;
	r = cases_get(looking->home->txn, &looking->petition, &looking->row);
	looking->has_case = r == 0;
	return r < 0 ? r : 0;
}

/* What is set here stands in the store, where the node left it (node/disclosure.c). */
static int look_at_setting(struct looking *looking) {
	const struct place *place = looking->place;
	struct span value;
	uint32_t epoch;
	uint64_t size;
	int r = meta_get(looking->home->txn, "disclosed-to", &value);

	if (r)
		return r < 0 ? r : 0;
	if (value.len != SETTING_LEN)
		return -EIO;
	looking->withholds_own = value.data[SETTING_AT];
	epoch = get_be32(value.data + SETTING_SINCE);
	size = get_be64(value.data + SETTING_SINCE + 4 + 8 * place->oplog.lane);
	looking->set_since = place->oplog.epoch < epoch || (place->oplog.epoch == epoch && place->index < size);
	return 0;
}

/* Of what this office wrote, that which is sent in full or not as it is set to. */
static bool goes_as_set(const struct looking *looking) {
	return looking->own == 0 && looking->reach == REACH_RULE && looking->kind != KIND_ACCESS &&
		looking->kind != KIND_REQUEST && looking->kind != KIND_REPLY;
}

static void give(struct level *level, enum holding holds, enum sight why, const struct office_row *by, bool known) {
	level->holds = holds;
	level->why = why;
	level->by = by;
	level->known = known;
}

/* Whether the office @below discloses the case to the one above it. 0 (no), 1 (@ret_why) or -errno. */
static int discloses(const struct looking *looking, const struct level *below, enum sight *ret_why) {
	int r;

	if (id_is_nil(&looking->petition))
		return 0;
	*ret_why = SIGHT_ESCALATED;
	r = escalations_by(looking->home->txn, &looking->petition, below->office->number);
	if (r)
		return r;
	*ret_why = SIGHT_GRANTED;
	r = grants_to(looking->home->txn, &looking->petition, below->office->number, (below + 1)->office->number);
	if (r)
		return r;
	*ret_why = SIGHT_HANDED_OVER;
	return looking->has_case && looking->row.origin == below->office->number &&
		!id_is_nil(&looking->row.handed_to);
}

/* This office itself: its store says what it has. */
static int look_here(struct looking *looking, const struct leaf *leaf) {
	struct level *level = &looking->levels[looking->own];
	const struct level *below = looking->own ? level - 1 : NULL;
	enum sight why;
	int r;

	if (looking->own == 0)
		give(level, leaf->withheld ? HOLDS_HASH : HOLDS_RECORD, SIGHT_ORIGIN, NULL, true);
	else if (leaf->withheld && looking->own == 1)
		give(level, HOLDS_HASH, SIGHT_CONFIGURATION, below->office, true);
	else if (leaf->withheld)
		give(level, HOLDS_HASH, SIGHT_RULE, NULL, true);
	else if (looking->reach != REACH_RULE)
		give(level, HOLDS_RECORD, SIGHT_ALL_LEVELS, NULL, true);
	else if (!leaf->disclosed)
		give(level, HOLDS_RECORD, SIGHT_ONE_LEVEL_UP, NULL, true);
	else {
		r = discloses(looking, below, &why);
		if (r < 0)
			return r;
		give(level, HOLDS_RECORD, r ? why : SIGHT_DISCLOSED, below->office, true);
	}
	return 0;
}

/* What the rule gives an office, the one below it having what it has. */
static int look_by_rule(struct looking *looking, size_t i) {
	struct level *level = &looking->levels[i];
	const struct level *below = level - 1;
	enum sight why;
	int r;

	if (below->holds == HOLDS_NOTHING || below->why == SIGHT_DISCLOSING) {
		give(level, below->holds == HOLDS_NOTHING ? HOLDS_NOTHING : HOLDS_HASH,
			below->holds == HOLDS_NOTHING ? SIGHT_NOT_YET : SIGHT_RULE, NULL, false);
		return 0;
	}
	if (looking->reach != REACH_RULE) {
		give(level, HOLDS_RECORD, SIGHT_ALL_LEVELS, NULL, false);
		return 0;
	}
	if (looking->kind == KIND_ACCESS || looking->kind == KIND_REQUEST) {
		give(level, HOLDS_HASH, SIGHT_STAYS, NULL, false);
		return 0;
	}
	if (i == 1 && !(looking->withholds_own && goes_as_set(looking))) {
		give(level, HOLDS_RECORD, SIGHT_ONE_LEVEL_UP, NULL, false);
		return 0;
	}
	r = below->holds == HOLDS_RECORD ? discloses(looking, below, &why) : 0;
	if (r < 0)
		return r;
	if (r > 0 && !(why == SIGHT_HANDED_OVER && i > 1))
		give(level, HOLDS_RECORD, why, below->office, false);
	else if (i == 1)
		give(level, HOLDS_HASH, SIGHT_CONFIGURATION, below->office, false);
	else
		give(level, HOLDS_HASH, SIGHT_RULE, NULL, false);
	return 0;
}

/*
 * The parent has acknowledged it or not. Whether it has the bytes is known where they were disclosed, and otherwise
 * only if what this office is set to was so when the record was sent.
 */
static int look_at_parent(struct looking *looking) {
	const struct home *home = looking->home;
	struct level *level = &looking->levels[looking->own + 1];
	struct disclosure due = { .index = looking->place->index };
	bool certain = !(looking->set_since && goes_as_set(looking));
	struct oplog oplog;
	uint64_t acked;
	int r;

	r = cursor_get(home->txn, &level->office->office.id, &looking->place->oplog, &acked);
	if (!r)
		r = look_by_rule(looking, looking->own + 1);
	if (!r)
		r = oplog_load(home->txn, &looking->place->oplog, &oplog);
	if (r)
		return r < 0 ? r : -EIO;
	level->known = certain || level->why == SIGHT_ESCALATED || level->why == SIGHT_GRANTED ||
		level->why == SIGHT_HANDED_OVER;
	due.oplog = oplog.number;
	r = disclosures_has(home->txn, &level->office->office.id, &due);
	if (r < 0)
		return r;
	if (acked <= looking->place->index)
		give(level, HOLDS_NOTHING, SIGHT_NOT_YET, NULL, true);
	else if (r > 0)
		give(level, HOLDS_HASH, SIGHT_DISCLOSING, NULL, certain);
	return 0;
}

/* An office between the origin and this one: it had what came from it. */
static int look_below(struct looking *looking, size_t i) {
	int r = look_by_rule(looking, i);
	struct level *level = &looking->levels[i];

	if (r == 0 && looking->kind) { /* what is read here went through its hands, in full */
		if (level->holds == HOLDS_HASH)
			give(level, HOLDS_RECORD, SIGHT_DISCLOSED, (level - 1)->office, true);
		level->known = true;
	}
	return r;
}

static int look_around(struct looking *looking, const struct leaf *leaf) {
	int r = 0;

	give(&looking->levels[0], HOLDS_RECORD, SIGHT_ORIGIN, NULL, looking->own == 0);
	for (size_t i = 1; r == 0 && i < looking->own; i++)
		r = look_below(looking, i);
	if (r == 0)
		r = look_here(looking, leaf);
	if (r == 0 && looking->own + 1 < looking->n)
		r = look_at_parent(looking);
	for (size_t i = looking->own + 2; r == 0 && i < looking->n; i++)
		r = look_by_rule(looking, i);
	return r;
}

/* From @id up. */
static void list_chain(struct looking *looking, const struct id *id) {
	const struct office_row *row = home_office_by_id(looking->home, id);

	for (; row && looking->n < VISIBILITY_LEVELS_MAX; row = home_office_by_id(looking->home, &row->office.parent)) {
		if (row == looking->home->own)
			looking->own = looking->n;
		looking->levels[looking->n++] = (struct level){ .office = row };
	}
}

/* A record that came down: those above its origin have it as if this office were not there. */
static int look_from_below(struct looking *looking, const struct leaf *leaf) {
	struct looking above = *looking;
	int r = 0;

	give(&looking->levels[0], leaf->withheld ? HOLDS_HASH : HOLDS_RECORD,
		leaf->withheld ? SIGHT_WITHHELD : looking->reach == REACH_ALL ? SIGHT_ALL_LEVELS : SIGHT_AUDIENCE,
		NULL, true);
	above.levels = looking->levels + 1;
	above.n = looking->n - 1;
	above.own = SIZE_MAX;
	if (above.n > 0)
		give(&above.levels[0], HOLDS_RECORD, SIGHT_ORIGIN, NULL, false);
	for (size_t i = 1; r == 0 && i < above.n; i++)
		r = look_by_rule(&above, i);
	return r;
}

int visibility_of(const struct home *home, const struct place *place, struct level *ret_levels, size_t *ret_n) {
	struct looking looking = { .home = home, .place = place, .levels = ret_levels, .own = SIZE_MAX };
	struct oplog oplog;
	struct leaf leaf;
	uint64_t arrival;
	bool from_above = !home_is_within(home, &place->oplog.office, &home->own->office.id);
	int r;

	if (from_above)
		ret_levels[looking.n++] = (struct level){ .office = home->own };
	list_chain(&looking, &place->oplog.office);
	r = oplog_load(home->txn, &place->oplog, &oplog);
	if (!r)
		r = oplog_leaf(home->txn, &oplog, place->index, &leaf, &arrival);
	if (r || (!from_above && looking.own >= looking.n))
		return r < 0 ? r : -EIO;
	r = look_at_record(&looking, &leaf);
	if (!r)
		r = look_at_setting(&looking);
	if (!r)
		r = from_above ? look_from_below(&looking, &leaf) : look_around(&looking, &leaf);
	*ret_n = looking.n;
	return r;
}
