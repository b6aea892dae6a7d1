/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/denunciations.h"
#include "tools/files.h"
#include "tools/find.h"
#include "tools/submit.h"

enum {
	BAR_WIDTH = 40,
};

struct importing {
	const struct tool *tool;
	enum import_type type;
	const char *path;
	bool dry_run;
	bool progress;
};

/* A bar on a terminal; whoever reads stderr otherwise gets the line at the end. */
static void show_progress(size_t done, size_t total) {
	int full = total ? (int)(done * BAR_WIDTH / total) : BAR_WIDTH;

	fprintf(stderr, "\r[%.*s%*s] %zu/%zu", full, "########################################",
		BAR_WIDTH - full, "", done, total);
	if (done == total)
		fputc('\n', stderr);
}

static void on_progress(void *userdata, size_t done, size_t total) {
	show_progress(done, total);
}

static int report(const struct importing *importing, const struct import *import,
	const struct submitted *done) {
	size_t held = 0;

	for (size_t i = 0; i < import->n_rows; i++)
		held += done[i].outcome == OUTCOME_HELD;
	if (importing->tool->json)
		return json_show(json_pack("{s:I, s:I, s:I}", "rows", (json_int_t)import->n_rows,
			"added", (json_int_t)(import->n_rows - held), "held", (json_int_t)held));
	if (importing->dry_run)
		say(_("%zu rows, all in order: %zu would be added, %zu are there already; nothing was kept"),
			import->n_rows, import->n_rows - held, held);
	else
		say(_("%zu rows: %zu added, %zu already there"), import->n_rows, import->n_rows - held,
			held);
	return DONE;
}

static int send_rows(const struct importing *importing, const struct import *import) {
	struct submitted *done;
	int ending;

	done = calloc(import->n_rows + 1, sizeof(*done));
	if (!done)
		return fail_memory();
	ending = submit(importing->tool, import, importing->path, importing->dry_run, done);
	if (ending == DONE)
		ending = report(importing, import, done);
	free(done);
	return ending;
}

static int check_and_send(const struct importing *importing, const struct import_context *context,
	struct span bytes) {
	struct import import;
	int ending;
	int r;

	r = import_file(importing->type, context, bytes, &import);
	if (importing->progress && import.file.n_rows > 0)
		show_progress(import.file.n_rows - 1, import.file.n_rows - 1);
	if (r) {
		ending = fail_memory();
	} else if (import.n_faults > 0) {
		submit_say_faults(&import, importing->path);
		ending = refuse(_("%s: nothing was imported (faults: %zu); correct them and import the file again"),
			importing->path, import.n_faults);
	} else {
		ending = send_rows(importing, &import);
	}
	import_done(&import);
	return ending;
}

static int import_bytes(const struct importing *importing, struct span bytes) {
	_cleanup_(home_close) struct home home = { 0 };
	_cleanup_(book_done) struct book book = { 0 };
	uint8_t key[BOX_KEY_LEN];
	struct import_context context;
	int ending;
	int r;

	ending = home_open(importing->tool, &home);
	if (ending)
		return ending;
	r = book_init(&book, &home);
	if (r)
		return home_failed(r);
	book_context(&book, &context);
	denunciations_context(importing->tool, key, &context);
	if (importing->progress)
		context.progress = on_progress;
	return check_and_send(importing, &context, bytes);
}

static bool find_type(const char *word, enum import_type *ret_type) {
	for (unsigned type = 0; type < IMPORT_N; type++) {
		if (strcmp(word, import_type_name(type)) == 0) {
			*ret_type = type;
			return true;
		}
	}
	return false;
}

int command_import(struct tool *tool, int argc, char **argv) {
	struct importing importing = { .tool = tool, .progress = isatty(STDERR_FILENO) };
	const struct option_def options[] = {
		{ "dry-run", NULL, N_("only check the file, here and at the node, which must run; nothing is kept"), .flag = &importing.dry_run },
	};
	const struct usage usage = { "import", "petitions|steps|meetings FILE.csv",
		N_("Imports a CSV file (RFC 4180, UTF-8, with a header line), all of it or nothing. Importing it again adds nothing. Columns: petitions: number, received, organisation, kind, village, category, channel, people, urgent, text, asked_of. Steps: petition, step, date, to, due, text. Meetings: number, date, organisation, type, host, attendance, opinions, on_the_spot, later, pending, topic."),
		options, N_ELEMENTS(options), 2, 2 };
	uint8_t *bytes = NULL;
	size_t len = 0;
	char **args;
	int n_args;
	int ending;
	int r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (!find_type(args[0], &importing.type))
		return misuse(_("\"%s\" cannot be imported; write petitions, steps or meetings"), args[0]);
	importing.path = args[1];
	r = file_read(args[1], CONTROL_MAX, &bytes, &len);
	if (r == -EFBIG)
		return refuse(_("%s is larger than %d MiB; split it into files of fewer rows, each with the header line"),
			args[1], CONTROL_MAX >> 20);
	if (r)
		return fail(_("cannot read %s: %s"), args[1], file_error(r));
	ending = import_bytes(&importing, (struct span){ bytes, len });
	if (len > 0)
		explicit_bzero(bytes, len);
	free(bytes);
	return ending;
}
