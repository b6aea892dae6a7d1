/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/find.h"

/*
 * "09163/1/normal/0": office, epoch, lane, number of a record of which perhaps only the hash is here.
 * False: it is no place; the number of a paper register may have a / too.
 */
static bool read_place(const char *text, char ret_office[OFFICE_NAME_MAX + 1], struct place *ret_place) {
	unsigned long long number;
	unsigned epoch;
	char lane[16], again[OFFICE_NAME_MAX + 64];

	if (sscanf(text, "%128[^/]/%u/%15[a-z]/%llu", ret_office, &epoch, lane, &number) != 4 ||
		!words_find(&words_lane, span_str(lane), &ret_place->oplog.lane))
		return false;
	snprintf(again, sizeof(again), "%s/%u/%s/%llu", ret_office, epoch, lane, number);
	if (strcmp(again, text) != 0) /* in one way only: what does not fit its number is another */
		return false;
	ret_place->oplog.epoch = epoch;
	ret_place->index = number;
	return true;
}

struct again {
	const struct home *home;
	const struct office_row *office;
	struct hash hash;
	struct place *place;
};

/* 0 (not in this oplog), 1 (it is the place now) or -errno. */
static int look_in_later(void *userdata, const struct oplog *oplog) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct again *again = userdata;
	uint64_t index, arrival;
	struct leaf leaf;
	struct hash hash;
	int r;

	if (oplog->id.epoch <= again->place->oplog.epoch || oplog->id.lane != again->place->oplog.lane)
		return 0;
	r = oplog_walk_open(again->home->txn, oplog, 0, &walk);
	while (r == 0 && (r = oplog_walk_next(walk, &index, &leaf, &arrival)) == 0) {
		leaf_hash(&leaf, &hash);
		if (memcmp(hash.b, again->hash.b, sizeof(hash.b)) != 0 ||
			place_is_void(again->office, &(struct place){ oplog->id, index }))
			continue;
		*again->place = (struct place){ oplog->id, index };
		return 1;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

/* What lies beyond the end of a life was written again in a later one: there others have it. DONE or an ending. */
static int follow(const struct home *home, struct place *place) {
	struct again again = { .home = home, .office = home_office_by_id(home, &place->oplog.office), .place = place };
	struct oplog oplog;
	struct leaf leaf;
	uint64_t arrival;
	int r;

	if (!again.office || !place_is_void(again.office, place))
		return DONE;
	r = oplog_load(home->txn, &place->oplog, &oplog);
	if (r == 0)
		r = oplog_leaf(home->txn, &oplog, place->index, &leaf, &arrival);
	if (r)
		return home_failed(r < 0 ? r : -EIO);
	leaf_hash(&leaf, &again.hash);
	r = oplog_each_of(home->txn, &place->oplog.office, look_in_later, &again);
	return r < 0 ? home_failed(r) : DONE;
}

static int check_place(const struct home *home, const char *name, const char *office,
	struct place *place) {
	const struct office_row *row = home_find_office(home, office, OFFICES_KNOWN);
	struct oplog oplog;
	int r;

	if (!row)
		return home_no_office(home, office, OFFICES_KNOWN);
	place->oplog.office = row->office.id;
	r = oplog_load(home->txn, &place->oplog, &oplog);
	if (r == STORE_NOT_FOUND || (r == 0 && place->index >= oplog.head.size))
		return refuse(_("%s: there is no such record here"), name);
	return r ? home_failed(r) : follow(home, place);
}

bool place_is_void(const struct office_row *office, const struct place *place) {
	return place->index >= office_limit(&office->office, &office->former, &place->oplog);
}

bool place_is(const char *name) {
	char office[OFFICE_NAME_MAX + 1];
	struct place place;

	return read_place(name, office, &place);
}

int place_find(const struct home *home, const char *name, struct place *ret_place) {
	char office[OFFICE_NAME_MAX + 1];
	struct case_row row;
	struct id id;
	int ending;
	int r;

	if (read_place(name, office, ret_place))
		return check_place(home, name, office, ret_place);
	ending = find_petition(home, name, &id, &row);
	if (ending)
		return ending;
	r = home_place(home, row.arrival, ret_place);
	return r ? home_failed(r) : follow(home, ret_place);
}
