/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/petition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unicase.h>

#include "proto/kinds/step.h"
#include "proto/reference.h"
#include "store/fold.h"
#include "store/private.h"
#include "tools/dates.h"
#include "tools/denunciations.h"
#include "tools/files.h"
#include "tools/find.h"
#include "tools/private.h"
#include "tools/submit.h"

enum {
	TEXT_WIDTH = 48, /* of a petition's text in a table */
	VILLAGE_WIDTH = 24,
};

static const unsigned petitioner_columns[] = {
	PETITION_COLUMN_PETITIONER,
	PETITION_COLUMN_CONTACT,
	PETITION_COLUMN_ADDRESS,
};

/* What is written on a command line stays on the computer: who denounces is never written there. */
static int keep_off_command_line(const char *const cells[PETITION_COLUMN_N]) {
	uint8_t kind;

	if (!words_find(&words_legal_kind, span_str(cells[PETITION_COLUMN_KIND]), &kind) || kind != LEGAL_DENUNCIATION)
		return DONE;
	for (size_t i = 0; i < N_ELEMENTS(petitioner_columns); i++)
		if (cells[petitioner_columns[i]])
			return misuse(_("who brings a denunciation is not written on the command line, which the list of processes shows and the shell's history and sudo's log keep: use --petitioner-file -, and clear the history of this shell"));
	return DONE;
}

/* Who asked, from the lines of a file into the cells, which borrow from @ret_text (heap, @ret_len bytes). */
static int read_petitioner(const char *path, const char *cells[PETITION_COLUMN_N], char **ret_text, size_t *ret_len) {
	uint8_t *bytes;
	char *rest;
	int r;

	for (size_t i = 0; i < N_ELEMENTS(petitioner_columns); i++)
		if (cells[petitioner_columns[i]])
			return misuse(_("give who asked either in the options or in a file"));
	r = file_read(path, PRIVATE_BYTES_MAX, &bytes, ret_len);
	if (r)
		return fail(_("cannot read %s: %s"), path, file_error(r));
	*ret_text = rest = strndup((const char *)bytes, *ret_len);
	r = *ret_text && strlen(*ret_text) == *ret_len ? 0 : 1; /* a zero is in no text */
	explicit_bzero(bytes, *ret_len);
	free(bytes);
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(petitioner_columns) && rest; i++)
		cells[petitioner_columns[i]] = strsep(&rest, "\n");
	if (r || (rest && rest[strspn(rest, " \t\r\n")]))
		return misuse(_("%s: write up to three lines: the name, how to reach that person, the address"), path);
	return DONE;
}

int command_petition_add(struct tool *tool, int argc, char **argv) {
	const char *cells[PETITION_COLUMN_N] = { 0 };
	const char *petitioner = NULL;
	char *who = NULL;
	size_t who_len = 0;
	bool urgent = false;
	const struct option_def options[] = {
		{ "text", N_("TEXT"), N_("what is asked for"), .value = &cells[PETITION_COLUMN_TEXT] },
		{ "category", N_("WORD"), N_("socio-economic, public-opinion, daily-life, land, letters, facilities, personal-interest or none"),
			.value = &cells[PETITION_COLUMN_CATEGORY] },
		{ "organisation", N_("WORD"), N_("that took it in: front, women, youth, farmers, veterans, labour, board or none"),
			.value = &cells[PETITION_COLUMN_ORGANISATION] },
		{ "village", N_("NAME"), N_("where the matter is"), .value = &cells[PETITION_COLUMN_VILLAGE] },
		{ "kind", N_("WORD"), N_("reflection, petition (default), complaint, denunciation or data-request"),
			.value = &cells[PETITION_COLUMN_KIND] },
		{ "channel", N_("WORD"), N_("in-person (default), letter, phone, meeting, zalo, facebook, fanpage, press or loudspeaker"),
			.value = &cells[PETITION_COLUMN_CHANNEL] },
		{ "people", N_("NUMBER"), N_("concerned by the matter; default 1"),
			.value = &cells[PETITION_COLUMN_PEOPLE] },
		{ "asked-of", N_("NAME"), N_("the authority that is asked"),
			.value = &cells[PETITION_COLUMN_ASKED_OF] },
		{ "petitioner", N_("NAME"), N_("who brought it: private, kept in this office only"),
			.value = &cells[PETITION_COLUMN_PETITIONER] },
		{ "contact", N_("TEXT"), N_("telephone or e-mail of the petitioner: private too"),
			.value = &cells[PETITION_COLUMN_CONTACT] },
		{ "address", N_("TEXT"), N_("of the petitioner: private too"),
			.value = &cells[PETITION_COLUMN_ADDRESS] },
		{ "petitioner-file", N_("FILE"), N_("these three from the lines of a file, or - for standard input: of a denunciation the only way, since the list of processes shows arguments, and the shell's history and sudo's log keep them"),
			.value = &petitioner },
		{ "received", N_("DATE"), N_("when it was brought; default today"),
			.value = &cells[PETITION_COLUMN_RECEIVED] },
		{ "number", N_("TEXT"), N_("in the paper register"), .value = &cells[PETITION_COLUMN_NUMBER] },
		{ "urgent", NULL, N_("mark it urgent: it goes first"), .flag = &urgent },
	};
	const struct usage usage = { "petition add", NULL,
		N_("Keeps a petition and prints its reference. Who asked goes into --petitioner, --contact and --address, never into the text: the text is signed, travels to the office above, and cannot be erased."),
		options, N_ELEMENTS(options), 0, 0 };
	char reference[REFERENCE_TEXT_MAX];
	char today[DATE_TEXT_MAX];
	struct submitted done;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	date_format(date_now_ms(), today);
	if (!cells[PETITION_COLUMN_RECEIVED])
		cells[PETITION_COLUMN_RECEIVED] = today;
	if (!cells[PETITION_COLUMN_KIND])
		cells[PETITION_COLUMN_KIND] = "petition";
	if (!cells[PETITION_COLUMN_CHANNEL])
		cells[PETITION_COLUMN_CHANNEL] = "in-person";
	if (urgent)
		cells[PETITION_COLUMN_URGENT] = "yes";
	ending = keep_off_command_line(cells);
	if (ending == DONE && petitioner)
		ending = read_petitioner(petitioner, cells, &who, &who_len);
	if (ending == DONE)
		ending = find_number_free(tool, KIND_PETITION, cells[PETITION_COLUMN_NUMBER],
			cells[PETITION_COLUMN_RECEIVED]);
	if (ending == DONE)
		ending = submit_one(tool, IMPORT_PETITIONS, cells, &done);
	if (who)
		explicit_bzero(who, who_len);
	free(who);
	if (ending)
		return ending;
	reference_format(done.reference, reference);
	if (tool->json) {
		char id[OFFICE_ID_TEXT_LEN + 1];

		id_format(&done.id, id);
		return json_show(json_pack("{s:s, s:s}", "reference", reference, "id", id));
	}
	say("%s", reference);
	return DONE;
}

/*
 * That the petition is known, and the one it goes into and the office above, each NULL if not
 * given; said as they were written.
 */
static int check_names(const struct tool *tool, const char *petition, const char *other,
	const char *office) {
	_cleanup_(home_close) struct home home = { 0 };
	const struct office_row *parent;
	struct case_row row;
	struct id id;
	int ending;

	ending = home_open(tool, &home);
	if (ending == DONE)
		ending = find_petition(&home, petition, &id, &row);
	if (ending == DONE && other)
		ending = find_petition(&home, other, &id, &row);
	if (ending || !office)
		return ending;
	parent = home_parent(&home);
	if (parent && office_is_called(parent, span_str(office)))
		return DONE;
	if (!home_find_office(&home, office, OFFICES_KNOWN))
		return home_no_office(&home, office, OFFICES_KNOWN);
	return refuse(_("--office: \"%s\" is not the office directly above, the only one that can take it over"),
		office);
}

int command_petition_step(struct tool *tool, int argc, char **argv) {
	const char *cells[STEP_COLUMN_N] = { 0 };
	const char *office = NULL;
	const struct option_def options[] = {
		{ "to", N_("NAME"), N_("forwarded: the authority; published: where; merged: the petition it goes into"),
			.value = &cells[STEP_COLUMN_TO] },
		{ "office", N_("CODE"), N_("handed-over: the office that acts next, by its code, name or id"), .value = &office },
		{ "due", N_("DATE"), N_("forwarded, extended: the last day in time"),
			.value = &cells[STEP_COLUMN_DUE] },
		{ "text", N_("TEXT"), N_("what was done, why, or on which basis"),
			.value = &cells[STEP_COLUMN_TEXT] },
		{ "date", N_("DATE"), N_("when it was done; default today"), .value = &cells[STEP_COLUMN_DATE] },
	};
	const struct usage usage = { "petition step", "REF STEP",
		N_("Keeps what was done about a petition. STEP is accepted, returned, forwarded, extended, resolved, answered, published, reopened, merged, handed-over, withdrawn or closed. REF is the reference, the number in the paper register, or the id."),
		options, N_ELEMENTS(options), 2, 2 };
	char today[DATE_TEXT_MAX];
	struct submitted done;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (office && cells[STEP_COLUMN_TO])
		return misuse(_("give either --to or --office"));
	if (office && strcasecmp(args[1], "handed-over") != 0)
		return misuse(_("--office: only the step handed-over names an office; write --to for \"%s\""),
			args[1]);
	ending = check_names(tool, args[0],
		strcasecmp(args[1], "merged") == 0 ? cells[STEP_COLUMN_TO] : NULL, office);
	if (ending)
		return ending;
	date_format(date_now_ms(), today);
	cells[STEP_COLUMN_PETITION] = args[0];
	cells[STEP_COLUMN_STEP] = args[1];
	if (office)
		cells[STEP_COLUMN_TO] = office;
	if (!cells[STEP_COLUMN_DATE])
		cells[STEP_COLUMN_DATE] = today;
	ending = submit_one(tool, IMPORT_STEPS, cells, &done);
	if (ending)
		return ending;
	if (tool->json) {
		char id[OFFICE_ID_TEXT_LEN + 1];

		id_format(&done.id, id);
		return json_show(json_pack("{s:s}", "id", id));
	}
	say(_("Kept: %s %s."), args[0], _(args[1]));
	return DONE;
}

struct filter {
	uint8_t state;
	bool has_category;
	uint8_t category;
	bool has_organisation;
	uint8_t organisation;
	struct span village; /* NFC */
	uint64_t since_ms;
	uint64_t until_ms;   /* the first millisecond that is too late */
	bool open;
	bool overdue;
};

struct petition_listing {
	const struct home *home;
	struct filter filter;
	struct listing listing;
};

static const struct column list_columns[] = {
	{ .key = "reference", .title = N_("Reference") },
	{ .key = "number", .title = N_("Number") },
	{ .key = "received", .title = N_("Received") },
	{ .key = "state", .title = N_("State") },
	{ .key = "since", .title = N_("Since") },
	{ .key = "due", .title = N_("Due") },
	{ .key = "holder", .title = N_("To act"), .width_max = VILLAGE_WIDTH },
	{ .key = "kind" },
	{ .key = "category", .title = N_("Category") },
	{ .key = "organisation" },
	{ .key = "channel" },
	{ .key = "village", .title = N_("Village"), .width_max = VILLAGE_WIDTH },
	{ .key = "people", .title = N_("People"), .right = true },
	{ .key = "urgent" },
	{ .key = "overdue" },
	{ .key = "escalated" },
	{ .title = N_("Marks") },
	{ .key = "asked_of" },
	{ .key = "origin" },
	{ .key = "text", .title = N_("Text"), .width_max = TEXT_WIDTH },
	{ .key = "id" },
};

static bool row_matches(const struct filter *filter, const struct case_row *row) {
	return row->kind == KIND_PETITION && (!filter->state || row->state == filter->state) &&
		(!filter->has_category || row->category == filter->category) &&
		(!filter->has_organisation || row->organisation == filter->organisation) &&
		row->received_ms >= filter->since_ms && row->received_ms < filter->until_ms &&
		(!filter->open || row->state < CASE_ANSWERED) && (!filter->overdue || row->overdue);
}

/* Letter for letter but for case; both sides are NFC. */
static bool village_matches(struct span wanted, struct span village) {
	int result;

	if (wanted.len == 0)
		return true;
	if (village.len == 0 || u8_casecmp(wanted.data, wanted.len, village.data, village.len, NULL,
				     UNINORM_NFC, &result) < 0)
		return false;
	return result == 0;
}

static void cell_marks(struct listing *listing, const struct case_row *row) {
	cell(listing, json_null(), "%s%s%s%s%s", row->urgent ? _("urgent") : "",
		row->urgent && (row->overdue || row->escalated) ? ", " : "",
		row->overdue ? _("overdue") : "", row->overdue && row->escalated ? ", " : "",
		row->escalated ? _("escalated") : "");
}

static void cell_holder(struct listing *listing, const struct home *home, const struct case_row *row) {
	if (id_is_nil(&row->handed_to))
		cell_office(listing, home, row->origin);
	else
		cell_office_id(listing, home, &row->handed_to);
}

static void list_petition(struct petition_listing *list, const struct id *id,
	const struct case_row *row, const struct petition *petition) {
	struct listing *listing = &list->listing;

	cell_reference(listing, row->reference);
	cell_text(listing, petition->number);
	cell_date(listing, row->received_ms);
	cell_word(listing, &words_state, row->state);
	cell_date(listing, row->since_ms);
	cell_date(listing, row->due_ms);
	cell_holder(listing, list->home, row);
	cell_word(listing, &words_legal_kind, petition->legal_kind);
	cell_word(listing, &words_category, row->category);
	cell_word(listing, &words_organisation, row->organisation);
	cell_word(listing, &words_channel, petition->channel);
	cell_text(listing, petition->village);
	cell_count(listing, row->people);
	cell_bool(listing, row->urgent);
	cell_bool(listing, row->overdue);
	cell_bool(listing, row->escalated);
	cell_marks(listing, row);
	cell_text(listing, petition->asked_of);
	cell_office(listing, list->home, row->origin);
	cell_text(listing, petition->text);
	cell_id(listing, id);
}

static int list_case(void *userdata, const struct id *id, const struct case_row *row) {
	struct petition_listing *list = userdata;
	struct petition petition;
	struct record record;
	int r;

	if (!row_matches(&list->filter, row))
		return 0;
	r = home_record(list->home, row->arrival, &record);
	if (r)
		return r < 0 ? r : 0;
	if (petition_decode(record.body, &petition) == 0 &&
		village_matches(list->filter.village, petition.village))
		list_petition(list, id, row, &petition);
	return 0;
}

static int list_petitions(const struct tool *tool, const struct filter *filter) {
	struct petition_listing list = { .filter = *filter };
	struct home home;
	int ending;
	int r;

	ending = home_open(tool, &home);
	if (ending)
		return ending;
	list.home = &home;
	listing_init(&list.listing, list_columns, N_ELEMENTS(list_columns));
	r = cases_each(home.txn, list_case, &list);
	ending = r ? home_failed(r) : listing_show(&list.listing, tool->json, _("No petitions."));
	listing_done(&list.listing);
	home_close(&home);
	return ending;
}

int command_petition_list(struct tool *tool, int argc, char **argv) {
	const char *state = NULL;
	const char *category = NULL;
	const char *organisation = NULL;
	const char *village = NULL;
	const char *since = NULL;
	const char *until = NULL;
	struct filter filter = { .until_ms = UINT64_MAX };
	const struct option_def options[] = {
		{ "state", N_("WORD"), N_("received, accepted, returned, forwarded, resolved, answered, closed, withdrawn or merged"),
			.value = &state },
		{ "open", NULL, N_("those not answered yet"), .flag = &filter.open },
		{ "overdue", NULL, N_("those whose present clock was found overdue"), .flag = &filter.overdue },
		{ "category", N_("WORD"), N_("of one category"), .value = &category },
		{ "organisation", N_("WORD"), N_("of one organisation"), .value = &organisation },
		{ "village", N_("NAME"), N_("of one village, by its whole name"), .value = &village },
		{ "since", N_("DATE"), N_("received on this day or later"), .value = &since },
		{ "until", N_("DATE"), N_("received on this day or before"), .value = &until },
	};
	const struct usage usage = { "petition list", NULL,
		N_("Lists the petitions that can be read at this office. Works with the node down."), options,
		N_ELEMENTS(options), 0, 0 };
	char **args;
	int n_args;
	int ending;
	int r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending) ||
		!option_word("state", state, &words_state, &filter.state, &ending) ||
		!option_word("category", category, &words_category, &filter.category, &ending) ||
		!option_word("organisation", organisation, &words_organisation, &filter.organisation,
			&ending) ||
		!option_date("since", since, &filter.since_ms, &ending) ||
		!option_date("until", until, &filter.until_ms, &ending))
		return ending;
	filter.has_category = category != NULL;
	filter.has_organisation = organisation != NULL;
	if (until)
		filter.until_ms += DATE_DAY_MS;
	if (village) {
		r = csvfile_normalise(span_str(village), &filter.village);
		if (r)
			return r < 0 ? fail_memory() : misuse(_("--%s is not UTF-8 text"), "village");
	}
	ending = list_petitions(tool, &filter);
	free((void *)filter.village.data);
	return ending;
}

static const struct column show_columns[] = {
	{ .key = "reference", .title = N_("Reference") },
	{ .key = "number", .title = N_("Number") },
	{ .key = "received", .title = N_("Received") },
	{ .key = "kind", .title = N_("Kind") },
	{ .key = "category", .title = N_("Category") },
	{ .key = "organisation", .title = N_("Organisation") },
	{ .key = "channel", .title = N_("Channel") },
	{ .key = "village", .title = N_("Village") },
	{ .key = "people", .title = N_("People") },
	{ .key = "asked_of", .title = N_("Asked of") },
	{ .key = "text", .title = N_("Text") },
	{ .title = N_("Marks") },
	{ .key = "urgent" },
	{ .key = "overdue" },
	{ .key = "escalated" },
	{ .key = "state", .title = N_("State") },
	{ .key = "since", .title = N_("Since") },
	{ .key = "due", .title = N_("Due") },
	{ .key = "origin", .title = N_("Taken in by") },
	{ .key = "holder", .title = N_("To act") },
	{ .key = "recorded", .title = N_("Recorded") },
	{ .key = "petitioner", .title = N_("Petitioner") },
	{ .key = "record", .title = N_("Kept as") },
	{ .key = "id", .title = N_("Id") },
};

static const struct column private_columns[] = {
	{ .key = "petitioner", .title = N_("Petitioner") },
	{ .key = "contact", .title = N_("Contact") },
	{ .key = "address", .title = N_("Address") },
	{ .key = "sealed_to", .title = N_("Sealed to") },
};

static const struct column step_columns[] = {
	{ .key = "sequence", .title = N_("Step") },
	{ .key = "step", .title = N_("Done") },
	{ .key = "date", .title = N_("On") },
	{ .key = "office", .title = N_("By") },
	{ .key = "to", .title = N_("To") },
	{ .key = "due", .title = N_("Due") },
	{ .key = "text", .title = N_("Text") },
	{ .key = "applied" },
	{ .key = "why_not", .title = N_("NOT APPLIED") },
	{ .key = "recorded", .title = N_("Recorded") },
	{ .key = "record", .title = N_("Kept as") },
	{ .key = "id" },
};

static const struct column escalation_columns[] = {
	{ .key = "time", .title = N_("Escalated") },
	{ .key = "office", .title = N_("By") },
	{ .key = "cause", .title = N_("Cause") },
	{ .key = "rule", .title = N_("Rule") },
	{ .key = "measured", .title = N_("Measured") },
	{ .key = "threshold", .title = N_("Allowed") },
	{ .key = "record", .title = N_("Kept as") },
};

struct history {
	const struct home *home;
	struct case_row row; /* the case as the steps so far have made it */
	uint32_t tried;      /* sequence of the last step that had its turn */
	struct listing private; /* who brought it; empty: not asked for */
	struct listing steps;
	struct listing escalations;
};

/* Of an outcome of fold_step(). */
static const char *why_not(int outcome) {
	switch (outcome) {
	case 0:
		return NULL;
	case FOLD_NOT_HOLDER:
		return N_("another office held the petition then");
	case FOLD_NOT_ABOVE:
		return N_("a petition is handed over only once");
	case FOLD_NOT_NEXT:
		return N_("another step has its place, or one before it is missing");
	default:
		return N_("it could not follow the state of the petition then");
	}
}

/* Follows the case as fold.c does, one step after the other. 0 with why this one did nothing (NULL: it did), or -errno. */
static int follow(struct history *history, const struct step *step, const struct step_row *at, const char **ret_why) {
	const struct office_row *writer = home_office(history->home, at->office);
	const struct id *writer_id = writer ? &writer->office.id : &(struct id){ { 0 } };
	struct case_row row = history->row;
	struct hash last;
	int r = fold_last(history->home->txn, &row, &last);

	*ret_why = NULL;
	if (r == 0)
		r = fold_takes_back(history->home->txn, &row, at->office);
	if (r > 0)
		row.handed_to = (struct id){ 0 };
	if (r < 0)
		return r;
	if (case_is_held_by(&row, at->office, writer_id)) {
		if (memcmp(last.b, at->follows.b, sizeof(last.b)) != 0 || at->sequence == history->tried) {
			*ret_why = N_("another step has its place, or one before it is missing");
			return 0;
		}
		history->tried = at->sequence;
	}
	*ret_why = why_not(fold_step(&row, step, at->office, writer_id));
	if (*ret_why)
		return 0;
	row.last = at->arrival;
	history->row = row;
	return 0;
}
static void cell_target(struct listing *listing, const struct home *home, const struct step *step) {
	char reference[REFERENCE_TEXT_MAX];
	struct case_row row;

	if (step->action == ACTION_HANDED_OVER) {
		cell_office_id(listing, home, &step->office);
	} else if (step->action == ACTION_MERGED && cases_get(home->txn, &step->office, &row) == 0) {
		reference_format(row.reference, reference);
		cell_str(listing, reference);
	} else {
		cell_text(listing, step->to);
	}
}

static int list_step(void *userdata, const struct step_row *at) {
	struct history *history = userdata;
	struct listing *listing = &history->steps;
	struct step step = { 0 };
	struct record record;
	struct place place;
	const char *why;
	int r;

	r = home_record(history->home, at->arrival, &record);
	if (r || step_decode(record.body, &step))
		return r < 0 ? r : 0;
	r = home_place(history->home, at->arrival, &place);
	if (r)
		return r;
	r = follow(history, &step, at, &why);
	if (r)
		return r;
	cell_count(listing, at->sequence);
	cell_word(listing, &words_action, step.action);
	cell_date(listing, step.date_ms);
	cell_office(listing, history->home, at->office);
	cell_target(listing, history->home, &step);
	cell_date(listing, step.due_ms);
	cell_text(listing, step.text);
	cell_bool(listing, !why);
	if (why)
		cell(listing, json_string(why), "%s", _(why));
	else
		cell_none(listing);
	cell_time(listing, record.time_ms);
	cell_place(listing, history->home, &place);
	cell_id(listing, &at->record);
	return 0;
}

static int list_escalation(void *userdata, const struct id *petition,
	const struct escalation_row *at) {
	struct history *history = userdata;
	struct listing *listing = &history->escalations;
	struct escalation escalation;
	struct record record;
	struct place place;
	int r;

	r = home_record(history->home, at->arrival, &record);
	if (r || escalation_decode(record.body, &escalation))
		return r < 0 ? r : 0;
	r = home_place(history->home, at->arrival, &place);
	if (r)
		return r;
	cell_time(listing, record.time_ms);
	cell_office_id(listing, history->home, &place.oplog.office);
	cell_word(listing, &words_cause, escalation.cause);
	cell_text(listing, escalation.rule);
	cell_count(listing, escalation.measured);
	cell_count(listing, escalation.threshold);
	cell_place(listing, history->home, &place);
	return 0;
}

/* Whether it is known here who brought the petition; not who. */
static int cell_private(struct listing *listing, const struct home *home, const struct id *id) {
	int r = private_state(home->txn, id, NULL);

	switch (r) {
	case 0:
		cell(listing, json_string("kept"), "%s", _("kept; see it with --private --reason"));
		return 0;
	case PRIVATE_ERASED:
		cell(listing, json_string("erased"), "%s", _("erased"));
		return 0;
	case STORE_NOT_FOUND:
		cell_none(listing);
		return 0;
	default:
		return r;
	}
}

static int fill_petition(struct listing *listing, const struct home *home, const struct id *id,
	const struct case_row *row, const struct petition *petition) {
	struct place place;
	int r;

	r = home_place(home, row->arrival, &place);
	if (r)
		return r;
	cell_reference(listing, row->reference);
	cell_text(listing, petition->number);
	cell_date(listing, row->received_ms);
	cell_word(listing, &words_legal_kind, petition->legal_kind);
	cell_word(listing, &words_category, row->category);
	cell_word(listing, &words_organisation, row->organisation);
	cell_word(listing, &words_channel, petition->channel);
	cell_text(listing, petition->village);
	cell_count(listing, row->people);
	cell_text(listing, petition->asked_of);
	cell_text(listing, petition->text);
	cell_marks(listing, row);
	cell(listing, json_boolean(row->urgent), "%s", "");
	cell(listing, json_boolean(row->overdue), "%s", "");
	cell(listing, json_boolean(row->escalated), "%s", "");
	cell_word(listing, &words_state, row->state);
	cell_date(listing, row->since_ms);
	cell_date(listing, row->due_ms);
	cell_office(listing, home, row->origin);
	cell_holder(listing, home, row);
	cell_time(listing, row->recorded_ms);
	r = cell_private(listing, home, id);
	cell_place(listing, home, &place);
	cell_id(listing, id);
	return r;
}

static int show_all(const struct tool *tool, const struct listing *card,
	const struct history *history) {
	bool private = history->private.n_cells > 0;

	if (card->failed || history->private.failed || history->steps.failed ||
		history->escalations.failed)
		return fail_memory();
	if (tool->json)
		return json_show(json_pack("{s:o?, s:o?, s:o?, s:o?}", "petition", listing_object(card),
			"private", private ? listing_object(&history->private) : json_null(),
			"steps", listing_rows(&history->steps), "escalations",
			listing_rows(&history->escalations)));
	listing_cards(card);
	if (private)
		say("%s", "");
	listing_cards(&history->private);
	if (history->steps.n_cells > 0)
		say("%s", "");
	listing_cards(&history->steps);
	if (history->escalations.n_cells > 0)
		say("%s", "");
	listing_cards(&history->escalations);
	return DONE;
}

/* Who wants to know who brought it. */
struct looking {
	const char *reason; /* NULL: nobody */
	struct denunciations_file key;
};

/* @open is empty where @kept is sealed and no key was given. */
static void cell_petitioner(struct listing *listing, const struct private_part *kept, const struct private_part *open) {
	char key[DENUNCIATION_FINGERPRINT_LEN];
	bool closed = kept->form == PRIVATE_SEALED && open->name.len + open->contact.len + open->address.len == 0;
	const struct span cells[] = { open->name, open->contact, open->address };

	for (size_t i = 0; i < N_ELEMENTS(cells); i++) {
		if (closed)
			cell_none(listing);
		else
			cell_text(listing, cells[i]);
	}
	if (kept->form != PRIVATE_SEALED) {
		cell_none(listing);
		return;
	}
	denunciation_fingerprint(kept->key.data, key);
	if (closed)
		cell(listing, json_string(key), _("the key %s; whoever has its file opens it with --key FILE"), key);
	else
		cell_str(listing, key);
}

/* Asks the node, which writes down that somebody did. DONE, or an ending with its words. */
static int fill_private(const struct tool *tool, struct listing *listing, const struct id *id,
	const char *name, const struct looking *looking) {
	uint8_t bytes[PRIVATE_BYTES_MAX], plain[PRIVATE_BOX_PLAIN];
	struct private_part kept, open = { 0 };
	int ending = private_read(tool, id, name, looking->reason, bytes, &kept);

	if (ending == DONE && kept.form == PRIVATE_OPEN)
		open = kept;
	else if (ending == DONE && looking->key.path)
		ending = denunciations_open(&looking->key, name, &kept, plain, &open);
	if (ending == DONE)
		cell_petitioner(listing, &kept, &open);
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(plain, sizeof(plain));
	return ending;
}

static int show_petition(const struct tool *tool, const struct home *home, const struct id *id,
	const struct case_row *row, const char *name, const struct looking *looking) {
	_cleanup_(listing_done) struct listing card;
	struct history history = { .home = home };
	struct petition petition;
	struct record record;
	int ending = DONE;
	int r;

	/* as the petition alone makes it: what the steps do to it follows */
	history.row = (struct case_row){ .kind = KIND_PETITION, .state = CASE_RECEIVED,
		.origin = row->origin, .last = row->arrival };
	listing_init(&card, show_columns, N_ELEMENTS(show_columns));
	listing_init(&history.private, private_columns, N_ELEMENTS(private_columns));
	listing_init(&history.steps, step_columns, N_ELEMENTS(step_columns));
	listing_init(&history.escalations, escalation_columns, N_ELEMENTS(escalation_columns));
	r = home_record(home, row->arrival, &record);
	if (r == 0 && petition_decode(record.body, &petition))
		r = -EIO;
	if (r == 0)
		r = fill_petition(&card, home, id, row, &petition);
	if (r == 0)
		r = steps_each(home->txn, id, list_step, &history);
	if (r == 0)
		r = escalations_each(home->txn, id, list_escalation, &history);
	if (r)
		ending = home_failed(r);
	else if (looking->reason)
		ending = fill_private(tool, &history.private, id, name, looking);
	if (ending == DONE)
		ending = show_all(tool, &card, &history);
	listing_wipe(&history.private);
	listing_done(&history.private);
	listing_done(&history.steps);
	listing_done(&history.escalations);
	return ending;
}

int command_petition_show(struct tool *tool, int argc, char **argv) {
	struct looking looking = { 0 };
	bool private = false;
	const struct option_def options[] = {
		{ "private", NULL, N_("also who brought it; the node must run"), .flag = &private },
		{ "reason", N_("TEXT"), N_("with --private, why: it is written down with your name"),
			.value = &looking.reason },
		{ "key", N_("FILE"), N_("with --private, of a denunciation: what opens who brought it"),
			.value = &looking.key.path },
	};
	const struct usage usage = { "petition show", "REF",
		N_("Shows a petition with its whole history: who did what when, and where each record is kept. REF is the reference, the number in the paper register, or the id."),
		options, N_ELEMENTS(options), 1, 1 };
	struct home home = { 0 };
	struct case_row row;
	struct id id;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (private != (looking.reason != NULL))
		return misuse(_("give --private and --reason together, or neither"));
	if (looking.key.path && !private)
		return misuse(_("--key: only with --private"));
	ending = denunciations_read(&looking.key); /* before this becomes the office's user, who may not reach it */
	if (ending == DONE)
		ending = home_open(tool, &home);
	if (ending == DONE)
		ending = find_petition(&home, args[0], &id, &row);
	if (ending == DONE)
		ending = show_petition(tool, &home, &id, &row, args[0], &looking);
	home_close(&home);
	explicit_bzero(&looking, sizeof(looking));
	return ending;
}
