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
};

static int note(struct said *said, const struct tally_row *row) {
	size_t low = 0, high = said->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (tally_rank(&said->entries[mid].row) < tally_rank(row))
			low = mid + 1;
		else
			high = mid;
	}
	if (low < said->n && tally_rank(&said->entries[low].row) == tally_rank(row)) {
		said->entries[low].row.n = row->n;
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
	memmove(&said->entries[low + 1], &said->entries[low], (said->n - low) * sizeof(*said->entries));
	said->entries[low] = (struct tally_entry){ .row = *row };
	said->n++;
	return 0;
}

static int note_record(struct said *said, const struct leaf *leaf) {
	struct tally_row rows[TALLY_ROWS_MAX];
	struct record rec;
	size_t n;
	int r = 0;

	if (record_decode(leaf->bytes, &rec) || tally_decode(rec.body, rows, &n))
		return 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = note(said, &rows[i]);
	return r;
}

struct reading {
	struct txn *txn;
	struct said *said;
	uint32_t epoch; /* in which that was said */
};

/* One life after the other: what one says, it says in place of all that was said before. */
static int read_life(void *userdata, const struct oplog *oplog) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct reading *reading = userdata;
	uint64_t index, arrival;
	struct leaf leaf;
	int r;

	if (oplog->id.lane != LANE_NORMAL)
		return 0; /* they are in no other: see core_write_counts() */
	r = oplog_walk_open(reading->txn, oplog, 0, &walk);
	while (!r && (r = oplog_walk_next(walk, &index, &leaf, &arrival)) == 0) {
		if (leaf.withheld || record_kind(leaf.bytes) != KIND_TALLY)
			continue;
		if (reading->epoch != oplog->id.epoch)
			reading->said->n = 0;
		reading->epoch = oplog->id.epoch;
		r = note_record(reading->said, &leaf);
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

/* Of a record that is missing, whatever was done about it since: which steps are its own cannot be told. */
static bool is_of_record(uint8_t measure) {
	return measure == MEASURE_RECEIVED || measure == MEASURE_PEOPLE || measure >= MEASURE_MEETINGS;
}

/* Leaves of what was said only what is more than is counted here. @ret_n: how many records that must have been. */
static int take_away(struct core *core, struct said *said, uint64_t *ret_n) {
	size_t n = 0;

	*ret_n = 0;
	for (size_t i = 0; i < said->n; i++) {
		struct tally_entry *entry = &said->entries[n];
		uint64_t counted = 0;
		uint32_t epoch;
		int r;

		*entry = said->entries[i];
		r = tallies_get(core->txn, core->fold.own, &entry->row, &counted, &epoch);
		if (r < 0)
			return r;
		if (entry->row.n <= counted || !is_of_record(entry->row.measure))
			continue;
		entry->row.n -= counted;
		n++;
		if (entry->row.measure == MEASURE_RECEIVED || entry->row.measure == MEASURE_MEETINGS)
			*ret_n += entry->row.n;
	}
	said->n = n;
	return 0;
}

int core_carry_counts(struct core *core) {
	struct said said = { 0 };
	struct reading reading = { core->txn, &said, 0 };
	const struct tally_entry *changed;
	uint64_t n_records = 0;
	size_t n_changed;
	int r = core->recovery.hashes ? fold_finish(&core->fold, core->txn, &changed, &n_changed) : 0;

	if (r == 0 && core->recovery.hashes)
		r = oplog_each_of(core->txn, &core->author.office, read_life, &reading);
	if (r == 0)
		r = take_away(core, &said, &n_records);
	/*
	 * Where no petition is missing, steps are: their cases are open here, and they are taken again. Where more are
	 * missing than there are hashes, some never went up, and are entered again.
	 */
	if (r == 0 && n_records > 0 && n_records <= core->recovery.hashes)
		r = core_write_counts(core, KIND_CARRIED, said.entries, said.n);
	free(said.entries);
	return r;
}
