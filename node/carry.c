/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where records of an office came back only as hashes, nobody can count them any more; what it had said that it
 * counts came back. The difference is carried on: those above have believed it, and it was true.
 */
#include <errno.h>
#include <stdlib.h>

#include "node/core_internal.h"

/* The counts that this office has said last, in rising order. */
struct said {
	struct tally_entry *entries;
	size_t n, cap;
	uint32_t epoch; /* of the life that said so */
};

/* Where @row is among them, or where it belongs. */
static size_t place(const struct said *said, const struct tally_row *row, bool *ret_there) {
	size_t low = 0, high = said->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (tally_rank(&said->entries[mid].row) < tally_rank(row))
			low = mid + 1;
		else
			high = mid;
	}
	*ret_there = low < said->n && tally_rank(&said->entries[low].row) == tally_rank(row);
	return low;
}

static int note(struct said *said, const struct tally_row *row) {
	bool there;
	size_t at = place(said, row, &there);

	if (there) {
		said->entries[at].row.n = row->n;
		return 0;
	}
	if (said->n == said->cap) {
		size_t cap = said->cap ? 2 * said->cap : 64;
		struct tally_entry *entries = realloc(said->entries, cap * sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		said->entries = entries;
		said->cap = cap;
	}
	memmove(&said->entries[at + 1], &said->entries[at], (said->n - at) * sizeof(*said->entries));
	said->entries[at] = (struct tally_entry){ .row = *row };
	said->n++;
	return 0;
}

/* A life begins with all that it counts: of what those before it said nothing is left. */
static int note_record(struct said *said, uint32_t epoch, const struct leaf *leaf) {
	struct tally_row rows[TALLY_ROWS_MAX];
	struct record rec;
	size_t n;
	int r = 0;

	if (leaf->withheld || record_kind(leaf->bytes) != KIND_TALLY || record_decode(leaf->bytes, &rec) ||
		tally_decode(rec.body, rows, &n))
		return 0;
	if (said->epoch != epoch)
		said->n = 0;
	said->epoch = epoch;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = note(said, &rows[i]);
	return r;
}

struct reading {
	struct core *core;
	struct said *said;
	uint64_t n_hashes;
};

/* One life after the other. */
static int read_life(void *userdata, const struct oplog *oplog) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct reading *reading = userdata;
	uint64_t index, arrival;
	struct leaf leaf;
	int r;

	if (oplog->id.epoch == reading->core->author.epoch)
		return 0; /* it has yet to begin with all that it counts */
	r = oplog_walk_open(reading->core->txn, oplog, 0, &walk);
	while (!r && (r = oplog_walk_next(walk, &index, &leaf, &arrival)) == 0) {
		reading->n_hashes += leaf.withheld;
		if (oplog->id.lane == LANE_NORMAL) /* counts are in no other: see core_write_counts() */
			r = note_record(reading->said, oplog->id.epoch, &leaf);
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

/* Steps are not carried: nobody knows of which case they were, and one that is open here takes them again. */
static bool is_carried(uint8_t measure) {
	return measure == MEASURE_RECEIVED || measure == MEASURE_PEOPLE || measure >= MEASURE_MEETINGS;
}

/* What was carried before is said anew, and if it is nothing any more. */
static int note_carried(void *userdata, const struct tally_entry *entry) {
	const struct tally_row none = { entry->row.period, entry->row.category, entry->row.organisation,
		entry->row.measure, 0 };
	bool there;

	(void)place(userdata, &none, &there);
	return there || entry->epoch == 0 ? 0 : note(userdata, &none);
}

/* Leaves of what was said only what is more than can be read here. @ret_n: how many records that must have been. */
static int take_away(struct core *core, struct said *said, uint64_t *ret_n) {
	*ret_n = 0;
	for (size_t i = 0; i < said->n; i++) {
		struct tally_entry *entry = &said->entries[i];
		struct tally_entry here = { .office = core->fold.own, .row = entry->row };
		uint64_t readable;
		int r;

		here.row.n = 0;
		r = tallies_get(core->txn, &here);
		if (r < 0)
			return r;
		readable = here.row.n - here.carried;
		here.row.n = is_carried(entry->row.measure) && entry->row.n > readable ? entry->row.n - readable : 0;
		*entry = here;
		if (entry->row.measure == MEASURE_RECEIVED || entry->row.measure == MEASURE_MEETINGS)
			*ret_n += entry->row.n;
	}
	return 0;
}

/* No row that says nothing; and where @more is not to be believed, none that says more than before. */
static void tidy(struct said *said, bool more) {
	size_t n = 0;

	for (size_t i = 0; i < said->n; i++) {
		struct tally_entry entry = said->entries[i];

		if (!more && entry.row.n > entry.carried)
			entry.row.n = entry.carried;
		if (entry.row.n > 0 || entry.epoch > 0)
			said->entries[n++] = entry;
	}
	said->n = n;
}

int core_carry_counts(struct core *core) {
	struct said said = { 0 };
	struct reading reading = { core, &said, 0 };
	const struct tally_entry *changed;
	uint64_t n_records = 0;
	size_t n_changed;
	int r = fold_finish(&core->fold, core->txn, &changed, &n_changed);

	if (r == 0)
		r = oplog_each_of(core->txn, &core->author.office, read_life, &reading);
	if (r == 0)
		r = tallies_of(core->txn, core->fold.own, note_carried, &said);
	if (r == 0)
		r = take_away(core, &said, &n_records);
	/* where more are missing than there are hashes, some never went up, and are entered again */
	tidy(&said, n_records <= reading.n_hashes);
	if (r == 0 && said.n > 0)
		r = core_write_counts(core, KIND_CARRIED, said.entries, said.n);
	free(said.entries);
	return r;
}
