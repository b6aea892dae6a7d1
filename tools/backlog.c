/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/backlog.h"

#include <errno.h>
#include <stdlib.h>

#include "store/cursor.h"

/* An oplog that some neighbour is owed. */
struct owed {
	struct oplog_id id;
	uint64_t size;
	uint64_t bytes;
	bool up;   /* to the parent */
	bool down; /* to the offices below */
};

struct owing {
	const struct home *home;
	struct owed *oplogs;
	size_t n;
	size_t cap;
};

enum {
	WITHHELD_LEN = 32, /* bytes of a leaf of which only the hash is here */
};

static int add_oplog(void *userdata, const struct oplog *oplog) {
	struct owing *owing = userdata;
	const struct id *own = &owing->home->own->office.id;
	bool up = home_is_within(owing->home, &oplog->id.office, own);
	bool down = home_is_within(owing->home, own, &oplog->id.office);
	const struct office_row *row;
	uint64_t limit, size;

	if (!up && !down)
		return 0;
	if (owing->n == owing->cap) {
		size_t cap = owing->cap ? 2 * owing->cap : 64;
		struct owed *oplogs = reallocarray(owing->oplogs, cap, sizeof(*oplogs));

		if (!oplogs)
			return -ENOMEM;
		owing->oplogs = oplogs;
		owing->cap = cap;
	}
	size = oplog->frontier.size;
	row = home_office_by_id(owing->home, &oplog->id.office);
	limit = row ? office_limit(&row->office, &row->former, &oplog->id) : UINT64_MAX;
	owing->oplogs[owing->n++] = (struct owed){ oplog->id, size < limit ? size : limit,
		oplog->bytes, up, down };
	return 0;
}

static uint64_t leaf_time(const struct leaf *leaf) {
	struct record record;

	return !leaf->withheld && record_decode(leaf->bytes, &record) == 0 ? record.time_ms : 0;
}

/* Adds what lies past @from to @row. */
static int count_past(const struct home *home, const struct owed *owed, uint64_t from,
	struct backlog_row *row) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct oplog oplog;
	struct leaf leaf;
	uint64_t index;
	uint64_t arrival;
	int r;

	r = oplog_load(home->txn, &owed->id, &oplog);
	if (r == 0)
		r = oplog_walk_open(home->txn, &oplog, from, &walk);
	while (r == 0) {
		r = oplog_walk_next(walk, &index, &leaf, &arrival);
		if (r || index == owed->size)
			break;
		if (index == from) {
			uint64_t time_ms = leaf_time(&leaf);

			if (time_ms && (!row->oldest_ms || time_ms < row->oldest_ms))
				row->oldest_ms = time_ms;
			if (from == 0 && owed->size == oplog.frontier.size) { /* all of it: no need to look at each */
				row->bytes += owed->bytes;
				return 0;
			}
		}
		row->bytes += leaf.withheld ? WITHHELD_LEN : leaf.bytes.len;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

static int add_neighbour(struct backlog *backlog, const struct owing *owing,
	const struct office_row *neighbour, bool up) {
	struct backlog_row *rows = &backlog->rows[backlog->n_rows];

	for (unsigned lane = 0; lane < LANE_N; lane++)
		rows[lane] = (struct backlog_row){ .neighbour = neighbour, .lane = lane };
	for (size_t i = 0; i < owing->n; i++) {
		const struct owed *owed = &owing->oplogs[i];
		uint64_t held;
		int r;

		if (!(up ? owed->up : owed->down) || owed->id.lane >= LANE_N)
			continue;
		r = cursor_get(owing->home->txn, &neighbour->office.id, &owed->id, &held);
		if (r == 0 && held < owed->size) {
			rows[owed->id.lane].records += owed->size - held;
			r = count_past(owing->home, owed, held, &rows[owed->id.lane]);
		}
		if (r)
			return r;
	}
	backlog->n_rows += LANE_N;
	return 0;
}

static int fill(struct backlog *backlog, const struct owing *owing) {
	const struct home *home = owing->home;
	const struct office_row *parent = home_parent(home);
	int r = 0;

	backlog->rows = calloc((home->n_offices + 1) * LANE_N, sizeof(*backlog->rows));
	if (!backlog->rows)
		return -ENOMEM;
	if (parent)
		r = add_neighbour(backlog, owing, parent, true);
	for (size_t i = 0; i < home->n_offices && r == 0; i++) {
		const struct office_row *row = &home->offices[i];

		if (home_is_child(home, row) && row->office.state != OFFICE_REVOKED)
			r = add_neighbour(backlog, owing, row, false);
	}
	return r;
}

int backlog_init(struct backlog *backlog, const struct home *home) {
	struct owing owing = { .home = home };
	int r;

	*backlog = (struct backlog){ 0 };
	r = oplog_each(home->txn, add_oplog, &owing);
	if (r == 0)
		r = fill(backlog, &owing);
	free(owing.oplogs);
	return r;
}

void backlog_done(struct backlog *backlog) {
	free(backlog->rows);
	*backlog = (struct backlog){ 0 };
}
