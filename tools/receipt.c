/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who holds a record, since when, under whose signature: from the receipts that offices above have sent down. */
#include <errno.h>
#include <stdlib.h>

#include "proto/kinds/receipt.h"
#include "tools/home.h"
#include "tools/place.h"

static const struct column receipt_columns[] = {
	{ .key = "office", .title = N_("Held by") },
	{ .key = "office_id" },
	{ .key = "since", .title = N_("At the latest since") },
	{ .key = "size", .title = N_("As one of") },
	{ .key = "agrees", .title = N_("The same as here") },
	{ .key = "receipt", .title = N_("Its receipt") },
};

struct receipts {
	const struct home *home;
	struct place place;
	/* the first receipt of one office */
	bool found;
	struct receipt_entry entry;
	struct place at;
	uint64_t time_ms;
};

/* As oplog_compare(). */
static int compare(const struct receipts *receipts) {
	struct oplog oplog;
	int r = oplog_load(receipts->home->txn, &receipts->entry.oplog, &oplog);

	if (r)
		return r < 0 ? r : OPLOG_SHORTER;
	return oplog_compare(receipts->home->txn, &oplog, &receipts->entry.head);
}

static int look(void *userdata, const struct oplog *oplog) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct receipts *receipts = userdata;
	const struct office_row *row = home_office_by_id(receipts->home, &oplog->id.office);
	uint64_t index, arrival;
	struct leaf leaf;
	int r;

	r = oplog_walk_open(receipts->home->txn, oplog, 0, &walk);
	if (!row)
		return -EIO;
	while (r == 0 && (r = oplog_walk_next(walk, &index, &leaf, &arrival)) == 0) {
		struct receipt_entry entries[RECEIPT_MAX];
		struct record rec;
		size_t n = 0;

		if (leaf.withheld || record_kind(leaf.bytes) != KIND_RECEIPT || record_decode(leaf.bytes, &rec) ||
			place_is_void(row, &(struct place){ oplog->id, index }) ||
			receipt_decode(rec.body, entries, &n) || (receipts->found && rec.time_ms >= receipts->time_ms))
			continue;
		for (size_t i = 0; i < n; i++) {
			if (!oplog_id_eq(&entries[i].oplog, &receipts->place.oplog) ||
				entries[i].head.size <= receipts->place.index)
				continue;
			receipts->found = true;
			receipts->entry = entries[i];
			receipts->at = (struct place){ oplog->id, index };
			receipts->time_ms = rec.time_ms;
		}
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

/* From the office itself upward. 0 or -errno. */
static int list_receipts(struct listing *listing, struct receipts *receipts) {
	const struct home *home = receipts->home;
	const struct office_row *row = home_office_by_id(home, &receipts->place.oplog.office);

	for (unsigned level = 0; row && level < OFFICE_PARENTS_MAX * 8; level++) {
		int r;

		row = home_office_by_id(home, &row->office.parent);
		if (!row)
			break;
		receipts->found = false;
		r = oplog_each_of(home->txn, &row->office.id, look, receipts);
		if (r)
			return r;
		cell_office(listing, home, row->number);
		cell_id(listing, &row->office.id);
		if (!receipts->found) {
			cell(listing, json_null(), "%s", _("no receipt yet"));
			cell_none(listing);
			cell_none(listing);
			cell_none(listing);
			continue;
		}
		r = compare(receipts);
		if (r < 0)
			return r;
		cell_time(listing, receipts->time_ms);
		cell_count(listing, receipts->entry.head.size);
		if (r == OPLOG_SHORTER)
			cell(listing, json_null(), "%s", _("they hold more than is here"));
		else
			cell(listing, json_boolean(r == 0), "%s", r == 0 ? _("yes") : _("NO"));
		cell_place(listing, home, &receipts->at);
	}
	return 0;
}

int command_receipt(struct tool *tool, int argc, char **argv) {
	static const struct usage usage = { "receipt", "REF|PLACE",
		N_("Says which offices above hold a petition, since when at the latest, under whose signature. A receipt is a record of the office that holds it, which lienthong prove proves. They come down every ten minutes while the line is up, if the offices above are not set otherwise."),
		NULL, 0, 1, 1 };
	_cleanup_(listing_done) struct listing listing;
	struct receipts receipts = { 0 };
	struct home home;
	char **args;
	int n_args, ending, r;

	listing_init(&listing, receipt_columns, N_ELEMENTS(receipt_columns));
	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	receipts.home = &home;
	ending = place_find(&home, args[0], &receipts.place);
	if (ending == DONE) {
		r = list_receipts(&listing, &receipts);
		ending = r ? home_failed(r) : listing_show(&listing, tool->json, _("There is no office above."));
	}
	home_close(&home);
	return ending;
}
