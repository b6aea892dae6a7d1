/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What becomes of an office after it was enrolled: other labels, its end, another key. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/keyfile.h"
#include "tools/client.h"
#include "tools/home.h"
#include "tools/newoffice.h"

/* A change that was typed in; what is NULL stays. */
struct change_request {
	const char *name, *code, *level;
	uint8_t state; /* 0: stays */
};

static int find_office(const struct home *home, const char *text, enum offices among, struct office_row *ret_row) {
	const struct office_row *row = home_find_office(home, text, among);

	if (!row)
		return home_no_office(home, text, among);
	*ret_row = *row;
	office_row_fix(ret_row);
	return DONE;
}

/* What the office is called from now on; what was not said is read back from what it is called. */
static int describe(const struct change_request *change, const struct office *held, struct newoffice *made) {
	char code[16], name[OFFICE_NAME_MAX + 1], level[OFFICE_LEVEL_MAX + 1];

	office_code(held, code);
	snprintf(name, sizeof(name), "%.*s", (int)held->name.len, (const char *)held->name.data);
	snprintf(level, sizeof(level), "%.*s", (int)held->level.len, (const char *)held->level.data);
	made->office = *held;
	if (change->state)
		made->office.state = change->state;
	return newoffice_describe(made, change->code ? change->code : code, change->name ? change->name : name,
		change->level ? change->level : level);
}

static int ask_to_change(const struct tool *tool, const char *text, const struct office *office) {
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	struct answer answer;
	int ending;

	writer_init_grow(&w);
	ending = client_reach(tool, &client);
	if (ending)
		return ending;
	control_write_change_office(&w, client_number(client), office);
	return client_order(tool, client, &w, text, &answer);
}

static int show_change(const struct tool *tool, const struct office_row *row, const char *done) {
	char label[OFFICE_LABEL_MAX], id[OFFICE_ID_TEXT_LEN + 1];

	id_format(&row->office.id, id);
	if (tool->json)
		return json_show(json_pack("{s:s}", "id", id));
	office_label(row, label);
	say("%s: %s", label, done);
	return DONE;
}

static int change_office(const struct tool *tool, const char *text, const struct change_request *change,
	const char *done) {
	_cleanup_(newoffice_done) struct newoffice made = { 0 };
	struct office_row row;
	struct home home;
	int ending;

	ending = home_open(tool, &home);
	if (ending)
		return ending;
	ending = find_office(&home, text, OFFICES_BELOW, &row);
	home_close(&home);
	if (ending == DONE)
		ending = describe(change, &row.office, &made);
	if (ending == DONE)
		ending = ask_to_change(tool, text, &made.office);
	if (ending)
		return ending;
	row.office = made.office;
	return show_change(tool, &row, done);
}

int command_office_rename(struct tool *tool, int argc, char **argv) {
	struct change_request change = { 0 };
	const struct option_def options[] = {
		{ "name", N_("NAME"), N_("what it is called from now on"), .value = &change.name },
		{ "code", N_("CODE"), N_("its official code from now on; old references keep the one they have"),
			.value = &change.code },
		{ "level", N_("WORD"), N_("its level from now on, such as commune"), .value = &change.level },
	};
	const struct usage usage = { "office rename", "OFFICE",
		N_("Gives an office directly below this one another name, code or level; the topmost office, itself. Its id, its keys and all its records stay."),
		options, N_ELEMENTS(options), 1, 1 };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (!change.name && !change.code && !change.level)
		return misuse(_("say what changes: --name, --code or --level"));
	return change_office(tool, args[0], &change, _("this is what it is called from now on; it hears of it over its line"));
}

static int change_state(struct tool *tool, int argc, char **argv, const struct usage *usage, uint8_t state,
	const char *done) {
	const struct change_request change = { .state = state };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, usage, argc, argv, &args, &n_args, &ending))
		return ending;
	return change_office(tool, args[0], &change, done);
}

int command_office_close(struct tool *tool, int argc, char **argv) {
	static const struct usage usage = { "office close", "OFFICE",
		N_("Closes an office directly below this one: it takes in no new petitions and meetings, brings those that it has to an end, and all of it still arrives here."),
		NULL, 0, 1, 1 };

	return change_state(tool, argc, argv, &usage, OFFICE_CLOSED,
		_("closed; it hears of it over its line, and works as before until then"));
}

int command_office_reopen(struct tool *tool, int argc, char **argv) {
	static const struct usage usage = { "office reopen", "OFFICE",
		N_("Opens an office again that was closed."), NULL, 0, 1, 1 };

	return change_state(tool, argc, argv, &usage, OFFICE_ACTIVE, _("open again"));
}

int command_office_revoke(struct tool *tool, int argc, char **argv) {
	bool sure = false;
	const struct option_def options[] = {
		{ "for-ever", NULL, N_("yes: nothing takes this back"), .flag = &sure },
	};
	const struct usage usage = { "office revoke", "OFFICE",
		N_("Ends an office directly below this one whose keys may be in wrong hands, or whose computer is lost: what is here of it stays, nothing more is accepted. For ever; the office is then enrolled anew, with other keys. What it had not sent is lost."),
		options, N_ELEMENTS(options), 1, 1 };
	const struct change_request change = { .state = OFFICE_REVOKED };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (!sure)
		return misuse(_("nothing takes this back, and what the office had not sent is lost; if that is meant, add --for-ever"));
	return change_office(tool, args[0], &change, _("revoked; nothing more is accepted from it"));
}

int command_office_move(struct tool *tool, int argc, char **argv) {
	const char *to = NULL;
	const struct option_def options[] = {
		{ "to", N_("OFFICE"), N_("the office that is above it from now on"), .value = &to },
	};
	const struct usage usage = { "office move", "OFFICE",
		N_("Hands an office directly below this one over to another office. Then, there: lienthong office add REQUEST, with the file request of the office's home; and in the office itself: lienthong join ANSWER. It sends all its records there; what is here of it stays. Until the new office has added it, it can be taken back: the same with this office itself."),
		options, N_ELEMENTS(options), 1, 1 };
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	struct office_row row, above;
	struct answer answer;
	struct home home;
	bool back;
	char **args;
	int n_args;
	int ending;

	writer_init_grow(&w);
	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (!to)
		return misuse(_("say where it moves: --to OFFICE"));
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	ending = find_office(&home, args[0], OFFICES_BELOW, &row);
	if (ending == DONE)
		ending = find_office(&home, to, OFFICES_KNOWN, &above);
	back = ending == DONE && id_eq(&above.office.id, &home.own->office.id);
	home_close(&home);
	if (ending == DONE)
		ending = client_reach(tool, &client);
	if (ending)
		return ending;
	control_write_move_office(&w, client_number(client), &row.office.id, &above.office.id);
	ending = client_order(tool, client, &w, args[0], &answer);
	if (ending)
		return ending;
	if (back)
		return show_change(tool, &row,
			_("taken back. So that it hears of it, here: lienthong office add REQUEST; then, in the office itself: lienthong join ANSWER"));
	return show_change(tool, &row,
		_("moved; nothing more is accepted from it here. Now, in the new office above: lienthong office add REQUEST; then, in the office itself: lienthong join ANSWER"));
}

int command_office_unfork(struct tool *tool, int argc, char **argv) {
	static const struct usage usage = { "office unfork", "OFFICE",
		N_("Settles that an office directly below this one ran twice, or from an old copy. First make sure that only one computer of it is left; there: lienthong restore --here. What is here of both stays; the office goes on with a new life of its store."),
		NULL, 0, 1, 1 };
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	struct office_row row;
	struct answer answer;
	struct home home;
	char **args;
	int n_args;
	int ending;

	writer_init_grow(&w);
	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	ending = find_office(&home, args[0], OFFICES_BELOW, &row);
	home_close(&home);
	if (ending == DONE)
		ending = client_reach(tool, &client);
	if (ending)
		return ending;
	control_write_decision(&w, client_number(client), COMMAND_UNFORK, &row.office.id);
	ending = client_order(tool, client, &w, args[0], &answer);
	return ending ? ending : show_change(tool, &row, _("settled; it goes on once it has begun a new life"));
}

/* Another signing key beside the present one; one that is there was never used, or the node had taken it. */
static int make_next_keys(const struct tool *tool) {
	char *path = home_path(tool, "keys");
	char *next = home_path(tool, "keys.next");
	struct keyfile keys;
	int r = path && next ? keyfile_read(path, &keys) : -ENOMEM;

	if (r > 0)
		r = -EACCES;
	if (r == 0)
		r = random_bytes(keys.seed, sizeof(keys.seed));
	if (r == 0)
		r = keyfile_write(next, &keys);
	explicit_bzero(&keys, sizeof(keys));
	free(path);
	free(next);
	if (r && r != -EEXIST)
		return fail(_("cannot make another key in %s: %s"), tool->home, strerror(-r));
	return DONE;
}

int command_key_rotate(struct tool *tool, int argc, char **argv) {
	static const struct usage usage = { "key rotate", NULL,
		N_("Makes another signing key for this office, says so in a record that the present key signs, and signs with the new one from then on. What was signed stays valid."),
		NULL, 0, 0, 0 };
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	struct answer answer;
	char **args;
	int n_args;
	int ending;

	writer_init_grow(&w);
	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_become_owner(tool->home);
	if (ending == DONE)
		ending = client_reach(tool, &client);
	if (ending == DONE)
		ending = make_next_keys(tool);
	if (ending)
		return ending;
	control_write_rotate(&w, client_number(client));
	ending = client_order(tool, client, &w, "key rotate", &answer);
	if (ending)
		return ending;
	if (tool->json)
		return json_show(json_pack("{s:b}", "rotated", true));
	say(_("This office signs with another key from now on. Back up %s/keys again."), tool->home);
	return DONE;
}
