/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The parent's side of an invitation: the text, who asked with it, and what a person decides.
 */
#include <errno.h>
#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/enrol.h"
#include "proto/invite.h"
#include "store/invites.h"
#include "tools/address.h"
#include "tools/client.h"
#include "tools/dates.h"
#include "tools/enrolment.h"
#include "tools/files.h"
#include "tools/home.h"
#include "tools/newoffice.h"

enum {
	DAYS_DEFAULT = 7,
	DAYS_MAX = 366,
	QR_MARGIN = 2, /* modules; readers want some light around */
};

struct inviting {
	const char *code, *name, *level, *address, *days, *file;
	bool automatic;
	bool qr;
};

static bool is_dark(const QRcode *code, int x, int y) {
	return x >= 0 && y >= 0 && x < code->width && y < code->width &&
		(code->data[y * code->width + x] & 1);
}

/* Two rows in a line of half blocks, light on dark so that it reads on most terminals. */
static int show_qr(const char *text) {
	static const char *const blocks[4] = { "█", "▄", "▀", " " }; /* by dark above, dark below */
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);

	if (!code)
		return errno == ENOMEM ? fail_memory() : fail(_("the text is too long for a QR code"));
	for (int y = -QR_MARGIN; y < code->width + QR_MARGIN; y += 2) {
		for (int x = -QR_MARGIN; x < code->width + QR_MARGIN; x++)
			printf("%s", blocks[2 * is_dark(code, x, y) + is_dark(code, x, y + 1)]);
		printf("\n");
	}
	QRcode_free(code);
	return DONE;
}

static int write_text(const char *path, const char *text) {
	char line[INVITE_TEXT_MAX + 1];
	int r;

	snprintf(line, sizeof(line), "%s\n", text);
	r = file_write(path, span_str(line), 0600); /* whoever has it can ask */
	explicit_bzero(line, sizeof(line));
	return r ? fail(_("cannot write %s: %s"), path, file_error(r)) : DONE;
}

static int show_invite(const struct tool *tool, const struct inviting *inviting, const char *text,
	const struct id *office) {
	char id[OFFICE_ID_TEXT_LEN + 1];
	int ending = DONE;

	id_format(office, id);
	if (inviting->file)
		ending = write_text(inviting->file, text);
	if (tool->json) {
		int shown = json_show(json_pack("{s:s, s:s}", "text", text, "office_id", id));

		return ending ? ending : shown;
	}
	if (!inviting->file || ending) /* it was made, and is told nowhere else */
		say("%s", text);
	if (ending)
		return ending;
	if (inviting->qr)
		ending = show_qr(text);
	if (ending)
		return ending;
	say("%s", "");
	say(_("Give this to %s, and to nobody else: whoever has it can ask to be that office. There: lienthong join TEXT"),
		inviting->name);
	if (!inviting->automatic)
		say(_("Then compare five words over the telephone: lienthong office pending; lienthong office accept %s"),
			inviting->code);
	return DONE;
}

static int ask_invite(const struct tool *tool, const struct inviting *inviting, const struct office *office,
	uint64_t valid_ms) {
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	struct answer answer;
	struct span text;
	struct id id;
	char copy[INVITE_TEXT_MAX];
	int ending;

	writer_init_grow(&w);
	ending = client_reach(tool, &client);
	if (ending)
		return ending;
	control_write_invite(&w, client_number(client), office,
		span_str(inviting->address ? inviting->address : ""), valid_ms, inviting->automatic);
	ending = client_order(tool, client, &w, inviting->name, &answer);
	if (ending)
		return ending;
	text = read_str(&answer.values, 1, INVITE_TEXT_MAX - 1);
	read_id(&answer.values, &id);
	if (answer.values.failed)
		return client_explain(tool, CLIENT_STRANGE);
	snprintf(copy, sizeof(copy), "%.*s", (int)text.len, (const char *)text.data);
	ending = show_invite(tool, inviting, copy, &id);
	explicit_bzero(copy, sizeof(copy));
	return ending;
}

static int invite(const struct tool *tool, const struct inviting *inviting) {
	_cleanup_(newoffice_done) struct newoffice wanted = { 0 };
	unsigned long days = DAYS_DEFAULT;
	char *end;
	int ending;

	if (!inviting->code || !inviting->name || !inviting->level)
		return misuse(_("say whom, for example: lienthong invite --code 09163 --name \"Phường Vũ Ninh\" --level commune"));
	if (inviting->address && !address_ok(span_str(inviting->address)))
		return misuse(_("--address: \"%s\" cannot be connected to; write tcp://HOST:PORT, with a host or address that the office below can reach, and a port from 1 to 65535"),
			inviting->address);
	if (inviting->days) {
		days = strtoul(inviting->days, &end, 10);
		if (*end || inviting->days[0] < '0' || inviting->days[0] > '9' || days < 1 || days > DAYS_MAX)
			return misuse(_("--days: write a number from 1 to %d"), DAYS_MAX);
	}
	ending = newoffice_describe(&wanted, inviting->code, inviting->name, inviting->level);
	return ending ? ending : ask_invite(tool, inviting, &wanted.office, days * DATE_DAY_MS);
}

int command_invite(struct tool *tool, int argc, char **argv) {
	struct inviting inviting = { 0 };
	const struct option_def options[] = {
		{ "code", N_("DIGITS"), N_("official code: 2 digits (province), 3 (district), 5 (commune)"),
			.value = &inviting.code },
		{ "name", N_("NAME"), N_("of the office"), .value = &inviting.name },
		{ "level", N_("WORD"), N_("commune, district, province, or what your levels are called"),
			.value = &inviting.level },
		{ "address", N_("tcp://HOST:PORT"), N_("where that office shall find this one; default: as configured"),
			.value = &inviting.address },
		{ "days", N_("NUMBER"), N_("how long it can be used; default 7"), .value = &inviting.days },
		{ "auto", NULL, N_("accept the first who asks, without a telephone call"), .flag = &inviting.automatic },
		{ "file", N_("FILE"), N_("write the text here, readable by you alone"), .value = &inviting.file },
		{ "qr", NULL, N_("show it as a QR code too"), .flag = &inviting.qr },
	};
	const struct usage usage = { "invite", NULL,
		N_("Makes a short text with which a new office below this one joins: lienthong join TEXT. It can be used once."),
		options, N_ELEMENTS(options), 0, 0 };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (inviting.file && strcmp(inviting.file, "-") == 0)
		return misuse(_("without --file the text goes to standard output"));
	return invite(tool, &inviting);
}

/* Who asked */

static const struct column pending_columns[] = {
	{ .key = "code", .title = N_("Code") },
	{ .key = "name", .title = N_("Name") },
	{ .key = "level", .title = N_("Level") },
	{ .key = "state", .title = N_("State") },
	{ .title = N_("Words") },
	{ .key = "words_en" },
	{ .key = "words_vi" },
	{ .key = "expires", .title = N_("Until") },
	{ .key = "id" },
};

static const char *state_name(const struct invite_row *row) {
	switch (row->state) {
	case INVITE_OPEN:
		return date_now_ms() < row->expires_ms ? N_("not asked yet") : N_("expired");
	case INVITE_ASKED:
		return N_("asks to be accepted");
	case INVITE_ACCEPTED:
		return N_("accepted");
	default:
		return N_("refused");
	}
}

static void cell_words(struct listing *listing, const struct invite_row *row, const struct office *own) {
	char english[WORDS_MAX], vietnamese[WORDS_MAX];
	struct office office;

	if (row->request.len == 0 || enrol_request_read(row->request, &office)) {
		for (unsigned i = 0; i < 3; i++)
			cell_none(listing);
		return;
	}
	enrolment_words(&office, own, false, english);
	enrolment_words(&office, own, true, vietnamese);
	/* TRANSLATORS: "en" or "vi": in which of the two languages the five words are shown */
	cell(listing, json_null(), "%s", strcmp(_("en"), "vi") == 0 ? vietnamese : english);
	cell(listing, json_string(english), "%s", "");
	cell(listing, json_string(vietnamese), "%s", "");
}

struct pending {
	const struct office *own;
	struct listing listing;
	bool all;
};

static int list_invite(void *userdata, const struct invite_row *row) {
	const struct office office = { .code = row->code, .code_digits = row->code_digits };
	struct pending *pending = userdata;
	struct listing *listing = &pending->listing;
	char code[16];

	if (!pending->all && row->state != INVITE_ASKED && row->state != INVITE_OPEN)
		return 0;
	office_code(&office, code);
	cell_str(listing, code);
	cell_text(listing, row->name);
	cell_text(listing, row->level);
	cell(listing, json_string(state_name(row)), "%s", _(state_name(row)));
	cell_words(listing, row, pending->own);
	cell_time(listing, row->expires_ms);
	cell_id(listing, &row->office);
	return 0;
}

int command_office_pending(struct tool *tool, int argc, char **argv) {
	struct pending pending = { 0 };
	const struct option_def options[] = {
		{ "all", NULL, N_("also those that were accepted or refused"), .flag = &pending.all },
	};
	const struct usage usage = { "office pending", NULL,
		N_("Lists who was invited, and who has asked: let them read their five words to you over the telephone, and accept only if they are these."),
		options, N_ELEMENTS(options), 0, 0 };
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
	pending.own = &home.own->office;
	listing_init(&pending.listing, pending_columns, N_ELEMENTS(pending_columns));
	r = invites_each(home.txn, list_invite, &pending);
	ending = r ? home_failed(r) : listing_show(&pending.listing, tool->json, _("Nobody was invited."));
	listing_done(&pending.listing);
	home_close(&home);
	return ending;
}

/* Who is meant: the one that asks, under this code, name or id. */
struct choice {
	const char *text;
	bool open; /* or that was invited and has not asked yet */
	struct id office;
	unsigned n;
};

static int choose(void *userdata, const struct invite_row *row) {
	const struct office_row invited = { .office = { .id = row->office, .code = row->code,
		.code_digits = row->code_digits, .name = row->name } };
	struct choice *choice = userdata;

	if ((row->state == INVITE_ASKED || (choice->open && row->state == INVITE_OPEN)) &&
		office_is_called(&invited, span_str(choice->text))) {
		choice->office = row->office;
		choice->n++;
	}
	return 0;
}

static int find_asking(const struct tool *tool, struct choice *choice) {
	struct home home;
	int ending = home_open(tool, &home);
	int r;

	if (ending)
		return ending;
	r = invites_each(home.txn, choose, choice);
	home_close(&home);
	if (r)
		return home_failed(r);
	if (choice->n == 0)
		return refuse(_("%s: nobody waits to be accepted as that office; see: lienthong office pending"),
			choice->text);
	if (choice->n > 1)
		return refuse(_("%s: several wait to be accepted as that office; give the id of one, from lienthong office pending --json"),
			choice->text);
	return DONE;
}

static int decide(const struct tool *tool, const char *text, enum command command) {
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	struct choice choice = { .text = text, .open = command == COMMAND_DECLINE };
	struct answer answer;
	int ending;

	writer_init_grow(&w);
	ending = find_asking(tool, &choice);
	if (ending == DONE)
		ending = client_reach(tool, &client);
	if (ending)
		return ending;
	control_write_decision(&w, client_number(client), command, &choice.office);
	ending = client_order(tool, client, &w, text, &answer);
	if (ending)
		return ending;
	if (tool->json) {
		char id[OFFICE_ID_TEXT_LEN + 1];

		id_format(&choice.office, id);
		return json_show(json_pack("{s:s}", "id", id));
	}
	if (command == COMMAND_ACCEPT)
		say(_("Enrolled: %s. It hears of it as soon as it asks again."), text);
	else
		say(_("Refused: %s. For another try, invite it again."), text);
	return DONE;
}

static int command_decide(struct tool *tool, int argc, char **argv, const struct usage *usage,
	enum command command) {
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, usage, argc, argv, &args, &n_args, &ending))
		return ending;
	return decide(tool, args[0], command);
}

int command_office_accept(struct tool *tool, int argc, char **argv) {
	static const struct usage usage = { "office accept", "OFFICE",
		N_("Enrols an office that asked with an invitation, after its five words were compared over the telephone. OFFICE is its code, name or id."),
		NULL, 0, 1, 1 };

	return command_decide(tool, argc, argv, &usage, COMMAND_ACCEPT);
}

int command_office_refuse(struct tool *tool, int argc, char **argv) {
	static const struct usage usage = { "office refuse", "OFFICE",
		N_("Refuses an office that asked with an invitation: its words were others, or it was not to be invited. An invitation that nobody has used yet is taken back."),
		NULL, 0, 1, 1 };

	return command_decide(tool, argc, argv, &usage, COMMAND_DECLINE);
}
