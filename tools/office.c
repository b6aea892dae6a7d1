/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/enrol.h"
#include "tools/address.h"
#include "tools/client.h"
#include "tools/enrolment.h"
#include "tools/files.h"
#include "tools/home.h"

enum {
	INDENT = 2, /* of a level in the tree */
};

/* Where the answer goes if nothing is said: beside the request. Heap. */
static char *answer_path(const char *request, const struct office *office) {
	const char *slash = strrchr(request, '/');
	int dir_len = slash ? (int)(slash - request) + 1 : 0;
	char code[16];
	char *path;

	office_code(office, code);
	return asprintf(&path, "%.*sanswer-%s", dir_len, request, code) < 0 ? NULL : path;
}

static int put_answer(const char *out, struct span file) {
	int r = file_write(out, file, 0644);

	return r ? fail(_("the office is enrolled, but %s cannot be written: %s; ask again with --out"), out, file_error(r)) :
		   DONE;
}

static int ask_to_add(const struct tool *tool, const char *name, struct span request,
	const char *address, const char *out) {
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	struct answer answer;
	struct span file;
	int ending;

	writer_init_grow(&w);
	ending = client_reach(tool, &client);
	if (ending)
		return ending;
	control_write_add_office(&w, client_number(client), request, span_str(address));
	ending = client_order(tool, client, &w, name, &answer);
	if (ending)
		return ending;
	file = read_bin(&answer.values, 1, ENROL_FILE_MAX);
	if (answer.values.failed)
		return client_explain(tool, CLIENT_STRANGE);
	return put_answer(out, file);
}

static int read_request(const char *name, struct span file, struct office *ret_office) {
	switch (enrol_request_read(file, ret_office)) {
	case 0:
		return DONE;
	case ENROL_BAD_SIGNATURE:
		return refuse(_("%s is damaged or was changed: its signature does not fit; ask for it again"),
			name);
	case ENROL_MALFORMED:
		return refuse(_("%s is not the request of an office; the file that init makes is called request"),
			name);
	default:
		return fail_memory();
	}
}

static int add_office(const struct tool *tool, const char *name, struct span request,
	const char *address, const char *out, const struct comparison *comparison) {
	struct office office;
	char *path = NULL;
	int ending;

	ending = read_request(name, request, &office);
	if (ending == DONE)
		ending = enrolment_confirm(&office, comparison);
	if (ending)
		return ending;
	if (!out) {
		path = answer_path(name, &office);
		out = path;
	}
	ending = out ? ask_to_add(tool, name, request, address ? address : "", out) : fail_memory();
	if (ending == DONE && strcmp(out, "-") != 0) {
		char code[16];

		office_code(&office, code);
		say(_("Enrolled: %s %.*s."), code, (int)office.name.len, (const char *)office.name.data);
		say(_("Next: carry %s to that office; there: lienthong join FILE. It asks for the fingerprint of this office, which lienthong office list shows here."),
			out);
	}
	free(path);
	return ending;
}

int command_office_add(struct tool *tool, int argc, char **argv) {
	const char *address = NULL;
	const char *out = NULL;
	struct comparison comparison = { 0 };
	const struct option_def options[] = {
		{ "fingerprint", N_("TEXT"), N_("as that office reads it out over the telephone; otherwise you are asked"),
			.value = &comparison.fingerprint },
		{ "yes", NULL, N_("do not ask: the file surely is of that office"), .flag = &comparison.yes },
		{ "address", N_("tcp://HOST:PORT"), N_("where that office shall find this one; default: as configured"),
			.value = &address },
		{ "out", N_("FILE"), N_("write the answer here; - for standard output; default: beside the request"),
			.value = &out },
	};
	const struct usage usage = { "office add", "REQUEST",
		N_("Enrols the office that made REQUEST as one directly below this one, and writes the answer that it joins with, after its fingerprint was compared. Done again, it writes the same answer again."),
		options, N_ELEMENTS(options), 1, 1 };
	uint8_t *bytes = NULL;
	size_t len = 0;
	char **args;
	int n_args;
	int ending;
	int r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (address && !address_ok(span_str(address)))
		return misuse(_("--address: \"%s\" cannot be connected to; write tcp://HOST:PORT, with a host or address that the office below can reach, and a port from 1 to 65535"),
			address);
	r = file_read(args[0], ENROL_FILE_MAX, &bytes, &len);
	if (r)
		return fail(_("cannot read %s: %s"), args[0], file_error(r));
	ending = add_office(tool, args[0], (struct span){ bytes, len }, address, out,
		&comparison);
	free(bytes);
	return ending;
}

static const struct column office_columns[] = {
	{ .key = "code", .title = N_("Code") },
	{ .key = "name", .title = N_("Name") },
	{ .key = "level", .title = N_("Level") },
	{ .key = "state", .title = N_("State") },
	{ .key = "parent", .title = N_("Parent") },
	{ .key = "own" },
	{ .key = "depth" },
	{ .key = "valid_from", .title = N_("Since") },
	{ .key = "fingerprint", .title = N_("Fingerprint") },
	{ .key = "root_fingerprint", .title = N_("For proofs") },
	{ .key = "id" },
};

static void list_office(struct listing *listing, const struct home *home,
	const struct office_row *row, unsigned depth, bool tree) {
	const struct office *office = &row->office;
	char code[16], fingerprint[FINGERPRINT_MAX];

	office_code(office, code);
	enrolment_fingerprint(office, fingerprint);
	cell_str(listing, code);
	cell(listing, json_stringn((const char *)office->name.data, office->name.len), "%*s%.*s",
		tree ? (int)depth * INDENT : 0, "", (int)office->name.len,
		(const char *)office->name.data);
	cell_text(listing, office->level);
	cell_word(listing, &words_office_state, row->forks.settled < row->forks.found ? OFFICE_SHOWN_FORKED : office->state);
	if (id_is_nil(&office->parent))
		cell_none(listing);
	else
		cell_office_id(listing, home, &office->parent);
	cell_bool(listing, row == home->own);
	cell_count(listing, depth);
	cell_date(listing, office->valid_from_ms);
	cell_str(listing, fingerprint);
	if (id_is_nil(&office->parent)) {
		enrolment_first_fingerprint(office, &row->former, fingerprint);
		cell_str(listing, fingerprint);
	} else {
		cell_none(listing);
	}
	cell_id(listing, &office->id);
}

static int compare_codes(const void *a, const void *b) {
	const struct office_row *const *left = a;
	const struct office_row *const *right = b;

	if ((*left)->office.code != (*right)->office.code)
		return (*left)->office.code < (*right)->office.code ? -1 : 1;
	return (*left)->number < (*right)->number ? -1 : 1;
}

/* The offices below @parent (nil: those without one), and below each of them those below it. */
static void list_below(struct listing *listing, const struct home *home,
	const struct office_row *const *sorted, const struct id *parent, unsigned depth, bool tree) {
	if (depth > ENROL_CHAIN_MAX)
		return;
	for (size_t i = 0; i < home->n_offices; i++) {
		const struct office_row *row = sorted[i];
		bool here = id_is_nil(parent) ? !home_office_by_id(home, &row->office.parent) :
						id_eq(&row->office.parent, parent);

		if (!here)
			continue;
		list_office(listing, home, row, depth, tree);
		list_below(listing, home, sorted, &row->office.id, depth + 1, tree);
	}
}

int command_office_list(struct tool *tool, int argc, char **argv) {
	bool tree = false;
	const struct option_def options[] = {
		{ "tree", NULL, N_("names moved in under the office above"), .flag = &tree },
	};
	const struct usage usage = { "office list", NULL,
		N_("Lists the offices that this one knows: those above it, itself, and all below it."),
		options, N_ELEMENTS(options), 0, 0 };
	const struct office_row **sorted;
	struct listing listing;
	struct home home;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	listing_init(&listing, office_columns, N_ELEMENTS(office_columns));
	sorted = calloc(home.n_offices, sizeof(*sorted));
	if (sorted) {
		memcpy(sorted, home.by_id, home.n_offices * sizeof(*sorted));
		qsort(sorted, home.n_offices, sizeof(*sorted), compare_codes);
		list_below(&listing, &home, sorted, &(struct id){ 0 }, 0, tree);
		ending = listing_show(&listing, tool->json, _("No offices."));
	} else {
		ending = fail_memory();
	}
	free(sorted);
	listing_done(&listing);
	home_close(&home);
	return ending;
}
