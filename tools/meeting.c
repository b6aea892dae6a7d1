/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/meeting.h"

#include "store/cases.h"
#include "tools/dates.h"
#include "tools/find.h"
#include "tools/home.h"
#include "tools/submit.h"

enum {
	TEXT_WIDTH = 40,
};

int command_meeting_add(struct tool *tool, int argc, char **argv) {
	const char *cells[MEETING_COLUMN_N] = { 0 };
	const struct option_def options[] = {
		{ "type", N_("WORD"), N_("dialogue, reception, voter-contact or other"),
			.value = &cells[MEETING_COLUMN_TYPE] },
		{ "organisation", N_("WORD"), N_("that held it: front, women, youth, farmers, veterans, labour, board or none"),
			.value = &cells[MEETING_COLUMN_ORGANISATION] },
		{ "date", N_("DATE"), N_("default today"), .value = &cells[MEETING_COLUMN_DATE] },
		{ "host", N_("ROLE"), N_("a role, not a name"), .value = &cells[MEETING_COLUMN_HOST] },
		{ "attendance", N_("NUMBER"), N_("120, or \">=120\" for over 120, or \"~80\" for about 80"),
			.value = &cells[MEETING_COLUMN_ATTENDANCE] },
		{ "opinions", N_("NUMBER"), N_("all that were given"), .value = &cells[MEETING_COLUMN_OPINIONS] },
		{ "on-the-spot", N_("NUMBER"), N_("settled there"),
			.value = &cells[MEETING_COLUMN_ON_THE_SPOT] },
		{ "later", N_("NUMBER"), N_("settled afterwards"), .value = &cells[MEETING_COLUMN_LATER] },
		{ "pending", N_("NUMBER"), N_("not settled yet"), .value = &cells[MEETING_COLUMN_PENDING] },
		{ "topic", N_("TEXT"), N_("what it was about"), .value = &cells[MEETING_COLUMN_TOPIC] },
		{ "number", N_("TEXT"), N_("in the book of meetings"), .value = &cells[MEETING_COLUMN_NUMBER] },
	};
	const struct usage usage = { "meeting add", NULL,
		N_("Keeps a meeting that was held. The opinions must balance: all = on the spot + later + pending."),
		options, N_ELEMENTS(options), 0, 0 };
	char today[DATE_TEXT_MAX];
	char id[OFFICE_ID_TEXT_LEN + 1];
	struct submitted done;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	date_format(date_now_ms(), today);
	if (!cells[MEETING_COLUMN_DATE])
		cells[MEETING_COLUMN_DATE] = today;
	ending = find_number_free(tool, KIND_MEETING, cells[MEETING_COLUMN_NUMBER],
		cells[MEETING_COLUMN_DATE]);
	if (ending == DONE)
		ending = submit_one(tool, IMPORT_MEETINGS, cells, &done);
	if (ending)
		return ending;
	id_format(&done.id, id);
	if (tool->json)
		return json_show(json_pack("{s:s}", "id", id));
	say(_("Kept: a meeting of %s."), cells[MEETING_COLUMN_DATE]);
	return DONE;
}

static const struct column columns[] = {
	{ .key = "number", .title = N_("Number") },
	{ .key = "date", .title = N_("Date") },
	{ .key = "office", .title = N_("Office"), .width_max = 28 },
	{ .key = "type", .title = N_("Type") },
	{ .key = "organisation", .title = N_("Organisation") },
	{ .key = "host", .title = N_("Host"), .width_max = TEXT_WIDTH },
	{ .key = "attendance", .title = N_("Attendance"), .right = true },
	{ .key = "attendance_accuracy" },
	{ .key = "opinions", .title = N_("Opinions"), .right = true },
	{ .key = "on_the_spot", .title = N_("On the spot"), .right = true },
	{ .key = "later", .title = N_("Later"), .right = true },
	{ .key = "pending", .title = N_("Pending"), .right = true },
	{ .key = "topic", .title = N_("Topic"), .width_max = TEXT_WIDTH },
	{ .key = "id" },
};

struct meeting_listing {
	const struct home *home;
	uint64_t since_ms;
	uint64_t until_ms;
	struct listing listing;
};

static const char *accuracy_sign(uint8_t accuracy) {
	switch (accuracy) {
	case ACCURACY_EXACT:
		return "";
	case ACCURACY_AT_LEAST:
		return ">=";
	default:
		return "~";
	}
}

static int list_case(void *userdata, const struct id *id, const struct case_row *row) {
	struct meeting_listing *list = userdata;
	struct listing *listing = &list->listing;
	struct meeting meeting;
	struct record record;
	int r;

	if (row->kind != KIND_MEETING || row->received_ms < list->since_ms ||
		row->received_ms >= list->until_ms)
		return 0;
	r = home_record(list->home, row->arrival, &record);
	if (r || meeting_decode(record.body, &meeting))
		return r < 0 ? r : 0;
	cell_text(listing, meeting.number);
	cell_date(listing, meeting.date_ms);
	cell_office(listing, list->home, row->origin);
	cell_word(listing, &words_meeting_type, meeting.type);
	cell_word(listing, &words_organisation, row->organisation);
	cell_text(listing, meeting.host);
	cell(listing, json_integer(meeting.attendance), "%s%u",
		accuracy_sign(meeting.attendance_accuracy), meeting.attendance);
	cell_word(listing, &words_accuracy, meeting.attendance_accuracy);
	cell_count(listing, meeting.opinions);
	cell_count(listing, meeting.on_the_spot);
	cell_count(listing, meeting.later);
	cell_count(listing, meeting.pending);
	cell_text(listing, meeting.topic);
	cell_id(listing, id);
	return 0;
}

int command_meeting_list(struct tool *tool, int argc, char **argv) {
	struct meeting_listing list = { .until_ms = UINT64_MAX };
	const char *since = NULL;
	const char *until = NULL;
	const struct option_def options[] = {
		{ "since", N_("DATE"), N_("held on this day or later"), .value = &since },
		{ "until", N_("DATE"), N_("held on this day or before"), .value = &until },
	};
	const struct usage usage = { "meeting list", NULL,
		N_("Lists the meetings that can be read at this office. Works with the node down."), options,
		N_ELEMENTS(options), 0, 0 };
	struct home home;
	char **args;
	int n_args;
	int ending;
	int r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending) ||
		!option_date("since", since, &list.since_ms, &ending) ||
		!option_date("until", until, &list.until_ms, &ending))
		return ending;
	if (until)
		list.until_ms += DATE_DAY_MS;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	list.home = &home;
	listing_init(&list.listing, columns, N_ELEMENTS(columns));
	r = cases_each(home.txn, list_case, &list);
	ending = r ? home_failed(r) : listing_show(&list.listing, tool->json, _("No meetings."));
	listing_done(&list.listing);
	home_close(&home);
	return ending;
}
