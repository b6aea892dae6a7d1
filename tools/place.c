/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/place.h"

#include <stdio.h>

#include "tools/find.h"

/*
 * "09163/1/normal/0": office, epoch, lane, number of a record of which perhaps only the hash is here.
 * False: it is no place; the number of a paper register may have a / too.
 */
static bool read_place(const char *text, char ret_office[OFFICE_NAME_MAX + 1], struct place *ret_place) {
	unsigned long long number;
	unsigned epoch;
	char lane[16];
	int end = 0;

	if (sscanf(text, "%128[^/]/%u/%15[a-z]/%llu%n", ret_office, &epoch, lane, &number, &end) != 4 ||
		text[end] || !words_find(&words_lane, span_str(lane), &ret_place->oplog.lane))
		return false;
	ret_place->oplog.epoch = epoch;
	ret_place->index = number;
	return true;
}

static int check_place(const struct home *home, const char *name, const char *office,
	struct place *place) {
	const struct office_row *row = home_find_office(home, office);
	struct oplog oplog;
	int r;

	if (!row)
		return home_no_office(home, office);
	place->oplog.office = row->office.id;
	r = oplog_load(home->txn, &place->oplog, &oplog);
	if (r == STORE_NOT_FOUND || (r == 0 && place->index >= oplog.head.size))
		return refuse(_("%s: there is no such record here"), name);
	return r ? home_failed(r) : DONE;
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
	return r ? home_failed(r) : DONE;
}
