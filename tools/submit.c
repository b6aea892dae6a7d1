/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/submit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/head.h"
#include "proto/reference.h"
#include "proto/sign.h"
#include "tools/client.h"
#include "tools/dates.h"
#include "tools/denunciations.h"
#include "tools/find.h"

/* Columns are called as their options: asked_of is --asked-of. The two of a step have none. */
static void say_option_fault(const struct import_fault *fault) {
	char option[32];

	snprintf(option, sizeof(option), "%s", fault->column ? fault->column : "");
	for (char *at = option; *at; at++) {
		if (*at == '_')
			*at = '-';
	}
	if (strcmp(option, "petition") == 0 || strcmp(option, "step") == 0)
		(void)refuse("%s: %s", option, fault->text);
	else
		(void)refuse("--%s: %s", option, fault->text);
}

void submit_say_faults(const struct import *import, const char *file) {
	for (size_t i = 0; i < import->n_faults; i++) {
		const struct import_fault *fault = &import->faults[i];

		if (!file)
			say_option_fault(fault);
		else if (fault->line == 0)
			(void)refuse("%s: %s", file, fault->text);
		else if (fault->column)
			(void)refuse("%s:%llu: %s: %s", file, (unsigned long long)fault->line,
				fault->column, fault->text);
		else
			(void)refuse("%s:%llu: %s", file, (unsigned long long)fault->line, fault->text);
	}
}

/* "petitions.csv:14: number 12/2024" */
static int say_refusal(const struct answer *answer, const struct import *import, const char *name) {
	const struct import_row *row;
	char *what = NULL;
	int ending;

	if (answer->index >= import->n_rows || import->rows[answer->index].line == 0)
		return client_refused(answer, name);
	row = &import->rows[answer->index];
	if (asprintf(&what, "%s:%llu: %s %.*s", name, (unsigned long long)row->line,
			import_column(import->type, 0), (int)row->name.len,
			(const char *)row->name.data) < 0)
		return fail_memory();
	ending = client_refused(answer, what);
	free(what);
	return ending;
}

/* All that the node found wrong; the first says how it ends. */
static int refused(struct answer *answer, const struct import *import, const char *name) {
	int ending = say_refusal(answer, import, name);
	struct control_fault fault;

	while (control_fault_next(answer, &fault)) {
		const struct answer next = { .result = fault.result, .index = fault.index,
			.detail = fault.detail };

		(void)say_refusal(&next, import, name);
	}
	return ending;
}

static bool read_done(struct answer *answer, size_t n, struct submitted *ret_done) {
	struct reader *r = &answer->values;

	read_array(r, n, n);
	for (size_t i = 0; i < n; i++) {
		read_array(r, 3, UINT64_MAX);
		ret_done[i].outcome = read_uint(r, UINT8_MAX);
		read_id(r, &ret_done[i].id);
		ret_done[i].reference = read_uint(r, UINT64_MAX);
		read_end(r);
	}
	return !r->failed;
}

static void note_kept(const struct import *import, const char *name, const struct submitted *done) {
	char reference[REFERENCE_TEXT_MAX];
	char id[OFFICE_ID_TEXT_LEN + 1];

	if (import->n_rows == 0)
		return;
	id_format(&done[0].id, id);
	reference_format(done[0].reference, reference);
	if (import->rows[0].line > 0)
		output_kept(_("the %zu rows of %s are kept all the same"), import->n_rows, name);
	else
		output_kept(_("it is kept all the same, as %s; do not enter it again"),
			import->type == IMPORT_PETITIONS ? reference : id);
}

/* What was asked may have been done. */
static int say_unknown(const struct import *import, const char *name) {
	if (import->rows[0].line > 0)
		return fail(_("%s: the node stopped or does not answer; whether the rows are kept is not known: import the file again when it runs, nothing is kept twice"),
			name);
	switch (import->type) {
	case IMPORT_PETITIONS:
		return fail(_("the node stopped or does not answer; whether the petition is kept is not known: look with lienthong petition list before you enter it again"));
	case IMPORT_MEETINGS:
		return fail(_("the node stopped or does not answer; whether the meeting is kept is not known: look with lienthong meeting list before you enter it again"));
	default:
		return fail(_("the node stopped or does not answer; whether the step is kept is not known: look with lienthong petition show %s before you enter it again"),
			name);
	}
}

int submit(const struct tool *tool, const struct import *import, const char *name, bool check_only,
	struct submitted *ret_done) {
	_cleanup_(client_closep) struct client *client = NULL;
	_cleanup_(writer_done) struct writer w;
	struct answer answer;
	int r;

	writer_init_grow(&w);
	r = client_open(tool, &client);
	if (r == 0) {
		control_write_submit(&w, client_number(client), check_only, import->n_rows);
		for (size_t i = 0; i < import->n_rows; i++)
			control_write_draft(&w, &import->rows[i].draft);
		r = client_ask_again(client, &w, CLIENT_PATIENT_MS, CLIENT_BACK_MS, &answer);
	}
	if ((r == CLIENT_SILENT || r == CLIENT_GONE) && import->n_rows > 0)
		return say_unknown(import, name);
	if (r)
		return client_explain(tool, r);
	if (answer.result != CONTROL_OK)
		return refused(&answer, import, name);
	if (!read_done(&answer, import->n_rows, ret_done))
		return client_explain(tool, CLIENT_STRANGE);
	if (!check_only)
		note_kept(import, name, ret_done);
	return DONE;
}

/* An id of our own: asked twice, the node keeps it once. */
static int make_id(struct draft *draft) {
	uint8_t random[10];
	int r;

	r = random_bytes(random, sizeof(random));
	if (r)
		return r;
	record_make_id(date_now_ms(), random, &draft->id);
	draft->has_id = true;
	return 0;
}

static int submit_row(const struct tool *tool, struct import *import, const char *name,
	struct submitted *ret_done) {
	int r;

	r = make_id(&import->rows[0].draft);
	if (r)
		return fail(_("this computer gives no random numbers: %s"), strerror(-r));
	return submit(tool, import, name, false, ret_done);
}

static bool only_rules(const struct import *import) {
	for (size_t i = 0; i < import->n_faults; i++)
		if (!import->faults[i].rule)
			return false;
	return true;
}

static int check_and_submit(const struct tool *tool, enum import_type type,
	const struct import_context *context, const struct span *cells, struct submitted *ret_done) {
	struct import import;
	int ending;
	int r;

	r = import_one(type, context, cells, &import);
	if (r) {
		ending = fail_memory();
	} else if (import.n_faults > 0) {
		submit_say_faults(&import, NULL);
		ending = only_rules(&import) ? REFUSED : MISUSED;
	} else {
		const char *name = cells[0].len ? (const char *)cells[0].data : import_type_name(type);

		ending = submit_row(tool, &import, name, ret_done);
	}
	import_done(&import);
	return ending;
}

static int open_book_and_submit(const struct tool *tool, enum import_type type,
	const struct span *cells, struct submitted *ret_done) {
	_cleanup_(home_close) struct home home = { 0 };
	_cleanup_(book_done) struct book book = { 0 };
	uint8_t key[BOX_KEY_LEN];
	struct import_context context;
	int ending;
	int r;

	ending = home_open(tool, &home);
	if (ending)
		return ending;
	r = book_init(&book, &home);
	if (r)
		return home_failed(r);
	book_context(&book, &context);
	denunciations_context(tool, key, &context);
	return check_and_submit(tool, type, &context, cells, ret_done);
}

int submit_one(const struct tool *tool, enum import_type type, const char *const *cells,
	struct submitted *ret_done) {
	struct span texts[IMPORT_COLUMNS_MAX] = { 0 };
	int ending = DONE;

	for (unsigned i = 0; import_column(type, i) && ending == DONE; i++) {
		int r = csvfile_normalise(span_str(cells[i] ? cells[i] : ""), &texts[i]);

		if (r < 0)
			ending = fail_memory();
		else if (r == CSVFILE_NOT_UTF8)
			ending = misuse(_("--%s is not UTF-8 text"), import_column(type, i));
	}
	if (ending == DONE)
		ending = open_book_and_submit(tool, type, texts, ret_done);
	for (unsigned i = 0; i < IMPORT_COLUMNS_MAX; i++) {
		if (texts[i].len > 0)
			explicit_bzero((void *)texts[i].data, texts[i].len); /* one is a name, perhaps */
		free((void *)texts[i].data);
	}
	return ending;
}
