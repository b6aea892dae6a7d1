/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Asking the office below for a case of which only hashes are here; and granting it, or not, when asked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/kinds/meeting.h"
#include "proto/kinds/petition.h"
#include "proto/reference.h"
#include "store/requests.h"
#include "tools/client.h"
#include "tools/find.h"
#include "tools/place.h"

enum {
	TEXT_MAX = 240, /* bytes of the beginning of a text */
};

static const struct column columns[] = {
	{ .key = "id", .title = N_("Request") },
	{ .key = "time", .title = N_("Time") },
	{ .key = "by", .title = N_("By") },
	{ .key = "who", .title = N_("Who") },
	{ .key = "reason", .title = N_("Reason"), .width_max = 40 },
	{ .key = "reference", .title = N_("Reference") },
	{ .key = "petition_id" },
	{ .key = "origin", .title = N_("Office") },
	{ .key = "text", .title = N_("Text"), .width_max = 48 },
	{ .key = "place", .title = N_("Record") },
	/* of a list of them */
	{ .key = "asked", .title = N_("Asked") },
	{ .key = "state", .title = N_("State") },
	{ .key = "answered", .title = N_("Answered") },
	{ .key = "answer", .title = N_("Answer"), .width_max = 40 },
	{ .key = "answered_who" },
};

enum {
	WHAT_COLUMNS = 10, /* of them: what is asked for, by whom, and why */
};

static const char *const states[] = {
	[0] = N_("open"),
	[REPLY_GRANTED] = N_("granted"),
	[REPLY_REFUSED] = N_("refused"),
};
static const struct words words_request_state = { states, N_ELEMENTS(states) };

/* Listing */

struct request_listing {
	const struct home *home;
	struct listing listing;
};

/* Only who is directly above can ask. */
static bool may_ask(const struct home *home, const struct request_state *state) {
	const struct office_row *asker = home_office(home, state->asker);
	const struct office_row *asked = home_office_by_id(home, &state->inquiry.asked);

	return asker && asked && id_eq(&asked->office.parent, &asker->office.id);
}

/* How a petition begins, or what a meeting was about. */
static struct span text_of(const struct record *record) {
	struct petition petition;
	struct meeting meeting;

	if (record->kind == KIND_PETITION && petition_decode(record->body, &petition) == 0)
		return petition.text;
	if (record->kind == KIND_MEETING && meeting_decode(record->body, &meeting) == 0)
		return meeting.topic;
	return (struct span){ 0 };
}

static void cell_beginning(struct listing *listing, struct span text) {
	char beginning[TEXT_MAX + sizeof("…")];
	size_t len = text.len;

	if (len > TEXT_MAX)
		for (len = TEXT_MAX; len > 0 && (text.data[len] & 0xc0) == 0x80;) /* no half of a letter */
			len--;
	snprintf(beginning, sizeof(beginning), "%.*s%s", (int)len, (const char *)text.data, len < text.len ? "…" : "");
	cell_str(listing, beginning);
}

/* As it stands here, which is what is disclosed, whatever who asks calls it. */
static int list_case(struct listing *listing, const struct home *home, const struct id *id, const struct case_row *row) {
	struct record record;
	int r = home_record(home, row->arrival, &record);

	if (r)
		return r < 0 ? r : -EIO;
	cell_reference(listing, row->reference);
	cell_id(listing, id);
	cell_office(listing, home, row->origin);
	cell_beginning(listing, text_of(&record));
	return 0;
}

/* What is not here in full, or is not one petition and would not be granted, as who asks calls it. */
static void list_claim(struct listing *listing, const struct home *home, const struct inquiry *inquiry) {
	cell_reference(listing, inquiry->reference);
	if (id_is_nil(&inquiry->petition))
		cell_none(listing);
	else
		cell_id(listing, &inquiry->petition);
	cell_none(listing);
	if (id_eq(&inquiry->asked, &home->own->office.id))
		cell(listing, json_null(), "%s", _("(no petition that can be read here fits)"));
	else
		cell_none(listing);
}

static int list_what(struct listing *listing, const struct home *home, const struct request_state *state) {
	const struct place place = { state->inquiry.oplog, state->inquiry.index };
	struct inquiry wanted = state->inquiry;
	struct case_row row;
	struct id id;
	int r;

	if (state->outcome && !id_is_nil(&state->reply.petition))
		wanted.petition = state->reply.petition;
	cell_id(listing, &state->id);
	cell_time(listing, state->time_ms);
	cell_office(listing, home, state->asker);
	cell_text(listing, state->inquiry.who);
	cell_text(listing, state->inquiry.reason);
	r = requests_find_case(home->txn, &wanted, &id, &row);
	if (r > 0)
		list_claim(listing, home, &state->inquiry);
	else if (r == 0)
		r = list_case(listing, home, &id, &row);
	if (id_is_nil(&place.oplog.office))
		cell_none(listing);
	else
		cell_place(listing, home, &place);
	return r < 0 ? r : 0;
}

static int list_request(void *userdata, const struct request_row *row) {
	struct request_listing *list = userdata;
	struct listing *listing = &list->listing;
	struct request_state state;
	int r;

	if (!id_eq(&row->record, &row->request))
		return 0;
	r = requests_look(list->home->txn, &row->request, row->office, &state);
	if (r || !may_ask(list->home, &state))
		return r < 0 ? r : 0;
	r = list_what(listing, list->home, &state);
	cell_office_id(listing, list->home, &state.inquiry.asked);
	cell_word(listing, &words_request_state, state.outcome);
	if (state.outcome) {
		cell_time(listing, state.answered_ms);
		cell_text(listing, state.reply.reason);
		cell_text(listing, state.reply.who);
	} else {
		cell_none(listing);
		cell_none(listing);
		cell_none(listing);
	}
	return r;
}

int command_requests(struct tool *tool, int argc, char **argv) {
	const struct usage usage = { "requests", NULL,
		N_("Lists what this office asked of those below it, and what the office above asked of it: petitions of which only the hash is there. Works with the node down."),
		NULL, 0, 0, 0 };
	struct request_listing list = { 0 };
	struct home home;
	char **args;
	int n_args;
	int ending;
	int r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	list.home = &home;
	listing_init(&list.listing, columns, N_ELEMENTS(columns));
	r = requests_each(home.txn, NULL, list_request, &list);
	ending = r ? home_failed(r) : listing_show(&list.listing, tool->json, _("Nothing was asked for."));
	listing_done(&list.listing);
	home_close(&home);
	return ending;
}

/* Asking */

struct reference_search {
	uint64_t reference;
	const struct office_row *office; /* that gave it */
};

static int look_at_case(void *userdata, const struct id *id, const struct case_row *row) {
	const struct reference_search *search = userdata;

	return row->reference == search->reference && row->origin == search->office->number;
}

/*
 * The office that gave a reference, by the code in it. What else is said here of that reference is not looked at:
 * anybody can write an escalation or a petition with the reference of another's.
 */
static const struct office_row *find_giver(const struct home *home, uint64_t reference) {
	char code[REFERENCE_TEXT_MAX];

	reference_format(reference, code);
	code[strcspn(code, "-")] = '\0';
	return home_find_office(home, code, OFFICES_KNOWN);
}

static int read_reference(const struct home *home, const char *name, struct inquiry *inquiry) {
	struct reference_search search;
	int r = reference_parse(span_str(name), &search.reference);

	if (r == REFERENCE_WRONG_CHECK)
		return refuse(_("in the reference \"%s\" a digit is wrong: its last two digits do not fit the others"), name);
	if (r)
		return misuse(_("\"%s\" is neither a reference nor a place such as 09163/1/normal/0"), name);
	search.office = find_giver(home, search.reference);
	if (!search.office)
		return refuse(_("%s: no office known here has the code in this reference, or several have; write the place of the record instead, such as 09163/1/normal/0"),
			name);
	r = cases_each(home->txn, look_at_case, &search);
	if (r < 0)
		return home_failed(r);
	if (r > 0)
		return refuse(_("%s: it can be read here already"), name);
	inquiry->reference = search.reference;
	inquiry->asked = search.office->office.id;
	return DONE;
}

static int read_wanted(const struct home *home, const char *name, struct inquiry *inquiry) {
	struct place place;
	int ending;

	if (place_is(name)) {
		ending = place_find(home, name, &place);
		if (ending)
			return ending;
		inquiry->oplog = place.oplog;
		inquiry->index = place.index;
		inquiry->asked = place.oplog.office;
	} else {
		ending = read_reference(home, name, inquiry);
		if (ending)
			return ending;
	}
	if (id_eq(&inquiry->asked, &home->own->office.id) ||
		!home_is_within(home, &inquiry->asked, &home->own->office.id))
		return refuse(_("%s: its office is not below this one"), name);
	return DONE;
}

static int send_request(const struct tool *tool, const char *name, const struct inquiry *inquiry) {
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	char text[OFFICE_ID_TEXT_LEN + 1];
	struct answer answer;
	uint64_t outcome;
	struct id id;
	int ending;

	writer_init_grow(&w);
	ending = client_reach(tool, &client);
	if (ending)
		return ending;
	control_write_ask(&w, client_number(client), inquiry);
	ending = client_order(tool, client, &w, name, &answer);
	if (ending)
		return ending;
	outcome = read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &id);
	if (answer.values.failed)
		return client_explain(tool, CLIENT_STRANGE);
	id_format(&id, text);
	if (tool->json)
		return json_show(json_pack("{s:s, s:b}", "id", text, "asked_before", outcome == OUTCOME_HELD));
	if (outcome == OUTCOME_HELD)
		say(_("%s: this was asked before (request %s); see: lienthong requests"), name, text);
	else
		say(_("%s: asked (request %s); what is answered is in: lienthong requests"), name, text);
	return DONE;
}

int command_request(struct tool *tool, int argc, char **argv) {
	const char *reason = NULL;
	const struct option_def options[] = {
		{ "reason", N_("TEXT"), N_("why: it is written down with your name, and the offices below read it"),
			.value = &reason },
	};
	const struct usage usage = { "request", "REF|PLACE",
		N_("Asks the office below, through which it came, to disclose a petition of which only the hash is here. REF is a reference; a PLACE is office/epoch/lane/number. What is asked twice is one request."),
		options, N_ELEMENTS(options), 1, 1 };
	struct inquiry inquiry = { .reference = 0 };
	struct span line = { 0 };
	char who[USER_NAME_MAX + 1];
	struct home home;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = option_reason(reason, &line);
	if (ending == DONE)
		ending = home_open(tool, &home);
	if (ending == DONE) {
		user_name(&tool->user, who);
		inquiry.who = span_str(who);
		inquiry.reason = line;
		ending = read_wanted(&home, args[0], &inquiry);
		home_close(&home);
		if (ending == DONE)
			ending = send_request(tool, args[0], &inquiry);
	}
	free((void *)line.data);
	return ending;
}

/* Answering */

/* Which of the open requests is for the petition that has a reference here. */
struct open_search {
	const struct home *home;
	uint64_t reference;
	struct request_state found;
	size_t n;
};

static int look_at_open(void *userdata, const struct request_row *row) {
	struct open_search *search = userdata;
	const struct home *home = search->home;
	struct request_state state;
	struct case_row held;
	struct id id;
	int r;

	if (!id_eq(&row->record, &row->request))
		return 0;
	r = requests_look(home->txn, &row->request, row->office, &state);
	if (r || !may_ask(home, &state) || state.outcome || !id_eq(&state.inquiry.asked, &home->own->office.id))
		return r < 0 ? r : 0;
	r = requests_find_case(home->txn, &state.inquiry, &id, &held);
	if (r == 0 && held.reference == search->reference) {
		search->found = state;
		search->n++;
	}
	return r < 0 ? r : 0;
}

static int find_by_id(const struct home *home, const char *name, const struct id *id,
	struct request_state *ret_state) {
	const struct office_row *above = home_parent(home);
	int r = above ? requests_look(home->txn, id, above->number, ret_state) : STORE_NOT_FOUND;

	if (r < 0)
		return home_failed(r);
	if (r)
		return refuse(_("%s: the office above has not asked this of this office; see: lienthong requests"), name);
	return DONE;
}

static int find_request(const struct home *home, const char *name, struct request_state *ret_state) {
	struct open_search search = { .home = home };
	struct id id;
	int r;

	if (id_parse(span_str(name), &id))
		return find_by_id(home, name, &id, ret_state);
	if (reference_parse(span_str(name), &search.reference))
		return misuse(_("\"%s\" is neither the id of a request nor a reference; see: lienthong requests"), name);
	r = requests_each(home->txn, NULL, look_at_open, &search);
	if (r)
		return home_failed(r);
	if (search.n == 0)
		return refuse(_("%s: nobody asks for it, or it was answered; see: lienthong requests"), name);
	if (search.n > 1)
		return refuse(_("%s: %zu open requests are for it; see: lienthong requests"), name, search.n);
	*ret_state = search.found;
	return DONE;
}

/* The request, and what it is for as it stands here. */
static int read_request(const struct tool *tool, const char *name, struct id *ret_id, struct listing *listing) {
	struct request_state state;
	struct home home;
	int ending = home_open(tool, &home);
	int r;

	if (ending)
		return ending;
	ending = find_request(&home, name, &state);
	if (ending == DONE) {
		*ret_id = state.id;
		r = list_what(listing, &home, &state);
		if (r)
			ending = home_failed(r);
	}
	home_close(&home);
	return ending;
}

static int show_answer(const struct tool *tool, const struct listing *listing, const char *name, bool granted) {
	json_t *object;

	if (listing->failed)
		return fail_memory();
	if (tool->json) {
		object = listing_object(listing);
		if (json_object_set_new(object, "granted", json_boolean(granted))) {
			json_decref(object);
			object = NULL;
		}
		return json_show(object);
	}
	listing_cards(listing);
	if (granted)
		say(_("%s: granted; the office above gets it, and what is added to it later"), name);
	else
		say(_("%s: refused; the office above is told why"), name);
	return DONE;
}

static int order_answer(const struct tool *tool, const char *name, enum command command, const struct id *id,
	struct span reason) {
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	char who[USER_NAME_MAX + 1];
	struct answer answer;
	int ending;

	writer_init_grow(&w);
	ending = client_reach(tool, &client);
	if (ending)
		return ending;
	user_name(&tool->user, who);
	control_write_reply(&w, client_number(client), command, id, span_str(who), reason);
	return client_order(tool, client, &w, name, &answer);
}

static int answer_request(const struct tool *tool, const char *name, enum command command, struct span reason) {
	struct listing listing;
	struct id id;
	int ending;

	listing_init(&listing, columns, WHAT_COLUMNS);
	ending = read_request(tool, name, &id, &listing);
	if (ending == DONE)
		ending = order_answer(tool, name, command, &id, reason);
	if (ending == DONE)
		ending = show_answer(tool, &listing, name, command == COMMAND_GRANT);
	listing_done(&listing);
	return ending;
}

int command_request_grant(struct tool *tool, int argc, char **argv) {
	const struct usage usage = { "request grant", "ID|REF",
		N_("Discloses to the office above a petition that it asked for, with its steps, also those that come later. It cannot be taken back."),
		NULL, 0, 1, 1 };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	return answer_request(tool, args[0], COMMAND_GRANT, (struct span){ 0 });
}

int command_request_refuse(struct tool *tool, int argc, char **argv) {
	const char *reason = NULL;
	const struct option_def options[] = {
		{ "reason", N_("TEXT"), N_("why: it is written down with your name, and the office above reads it"),
			.value = &reason },
	};
	const struct usage usage = { "request refuse", "ID|REF",
		N_("Does not disclose to the office above a petition that it asked for, and says why. It can ask again."),
		options, N_ELEMENTS(options), 1, 1 };
	struct span line = { 0 };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = option_reason(reason, &line);
	if (ending == DONE)
		ending = answer_request(tool, args[0], COMMAND_DENY, line);
	free((void *)line.data);
	return ending;
}
