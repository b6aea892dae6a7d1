/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/escalation.h"

#include "store/cases.h"
#include "tools/home.h"

static const struct column columns[] = {
	{ .key = "time", .title = N_("Time") },
	{ .key = "reference", .title = N_("Reference") },
	{ .key = "office", .title = N_("By") },
	{ .key = "cause", .title = N_("Cause") },
	{ .key = "rule", .title = N_("Rule") },
	{ .key = "state", .title = N_("State then") },
	{ .key = "state_now", .title = N_("State now") },
	{ .key = "measured", .title = N_("Measured"), .right = true },
	{ .key = "threshold", .title = N_("Allowed"), .right = true },
	{ .key = "people", .title = N_("People"), .right = true },
	{ .key = "category", .title = N_("Category") },
	{ .key = "petition_id" },
	{ .key = "record" },
};

struct escalation_listing {
	const struct home *home;
	const struct office_row *office; /* NULL: all */
	struct listing listing;
};

static void list_one(struct escalation_listing *list, const struct record *record,
	const struct escalation *escalation, const struct place *place) {
	struct listing *listing = &list->listing;
	struct case_row row;

	cell_time(listing, record->time_ms);
	cell_reference(listing, escalation->reference);
	cell_office_id(listing, list->home, &place->oplog.office);
	cell_word(listing, &words_cause, escalation->cause);
	cell_text(listing, escalation->rule);
	cell_word(listing, &words_state, escalation->state);
	if (cases_get(list->home->txn, &escalation->petition, &row) == 0)
		cell_word(listing, &words_state, row.state);
	else
		cell_none(listing);
	cell_count(listing, escalation->measured);
	cell_count(listing, escalation->threshold);
	cell_count(listing, escalation->people);
	cell_word(listing, &words_category, escalation->category);
	cell_id(listing, &escalation->petition);
	cell_place(listing, list->home, place);
}

static int list_escalation(void *userdata, const struct id *petition,
	const struct escalation_row *at) {
	struct escalation_listing *list = userdata;
	struct escalation escalation;
	struct record record;
	struct place place;
	int r;

	r = home_record(list->home, at->arrival, &record);
	if (r || escalation_decode(record.body, &escalation))
		return r < 0 ? r : 0;
	r = home_place(list->home, at->arrival, &place);
	if (r)
		return r;
	if (!list->office || id_eq(&place.oplog.office, &list->office->office.id))
		list_one(list, &record, &escalation, &place);
	return 0;
}

static int list_escalations(const struct tool *tool, const struct home *home, const char *office) {
	struct escalation_listing list = { .home = home };
	int ending;
	int r;

	if (office) {
		list.office = home_find_office(home, office, OFFICES_KNOWN);
		if (!list.office)
			return home_no_office(home, office, OFFICES_KNOWN);
	}
	listing_init(&list.listing, columns, N_ELEMENTS(columns));
	r = escalations_each(home->txn, NULL, list_escalation, &list);
	ending = r ? home_failed(r) : listing_show(&list.listing, tool->json, _("No escalations."));
	listing_done(&list.listing);
	return ending;
}

int command_escalations(struct tool *tool, int argc, char **argv) {
	const char *office = NULL;
	const struct option_def options[] = {
		{ "office", N_("CODE"), N_("only those found by this office"), .value = &office },
	};
	const struct usage usage = { "escalations", NULL,
		N_("Lists the cases that a rule of this office, or of one below it, found to need those above. Works with the node down."),
		options, N_ELEMENTS(options), 0, 0 };
	struct home home;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	ending = list_escalations(tool, &home, office);
	home_close(&home);
	return ending;
}
