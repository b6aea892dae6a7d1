/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What waits for a neighbour, and how much came from it, in a file that is carried there (proto/bundle.h). */
#include <errno.h>
#include <stdlib.h>

#include "proto/keyfile.h"
#include "tools/client.h"
#include "tools/files.h"
#include "tools/home.h"

enum {
	SIZE_MIN = 2 * BUNDLE_CHUNK_MAX,
	SIZE_DEFAULT = 1024 * 1024 * 1024,
};

/* Of what was refused, and why first. */
struct refused {
	uint64_t n;
	uint64_t reason;
};

/* DONE, or an ending, having said why. */
static int read_secret(const struct tool *tool, const struct home *home, uint8_t ret_secret[BOX_KEY_LEN]) {
	char *path = home_path(tool, "keys");
	uint8_t public[BOX_KEY_LEN];
	struct keyfile keys;
	int r = path ? keyfile_read(path, &keys) : -ENOMEM;

	free(path);
	if (r == 0)
		r = curve_public(keys.curve_secret, public);
	if (r == 0 && memcmp(public, home->own->office.curve_key, sizeof(public)) != 0)
		r = -EINVAL;
	if (r == 0)
		memcpy(ret_secret, keys.curve_secret, BOX_KEY_LEN);
	explicit_bzero(&keys, sizeof(keys));
	if (r < 0 && r != -EINVAL)
		return fail(_("cannot read %s/keys: %s"), tool->home, strerror(-r));
	return r ? fail(_("%s/keys are not the keys of %.*s, whose store this is: restore the right ones"), tool->home,
			  (int)home->own->office.name.len, home->own->office.name.data) : DONE;
}

static bool is_neighbour(const struct home *home, const struct office_row *row) {
	return row == home_parent(home) || home_is_child(home, row);
}

static int bundle_failed(const char *path, int r) {
	if (r == -EACCES || r == -EPERM)
		return fail(_("no bundle was written to %s: %s; the user that owns this office must be able to write there"),
			path, file_error(r));
	return fail(_("no bundle was written to %s: %s"), path, file_error(r));
}

/* What is being written. */
struct export {
	struct bundle bundle;
	struct file_new file;
	uint8_t *chunk;
	uint64_t size, size_max;
	uint64_t records;
	struct held next;
};

/* 0 or -errno. */
static int put_chunk(struct export *export, bool last, struct span plain) {
	size_t len;
	int r = bundle_seal(&export->bundle, last, plain, export->chunk, &len);

	export->size += len;
	return r ? r : file_append(&export->file, (struct span){ export->chunk, len });
}

/* One chunk more. DONE, or an ending, having said why. */
static int ask_chunk(const struct tool *tool, struct client *client, struct export *export, const char *path) {
	_cleanup_(writer_done) struct writer w;
	struct answer answer;
	struct span messages;
	uint64_t records;
	int r;

	writer_init_grow(&w);
	control_write_export(&w, client_number(client), &export->bundle.to, BUNDLE_PLAIN_MAX, &export->next);
	r = client_ask_again(client, &w, CLIENT_PATIENT_MS, CLIENT_BACK_MS, &answer);
	if (r)
		return client_explain(tool, r);
	if (answer.result != CONTROL_OK)
		return client_refused(&answer, path);
	messages = read_raw(&answer.values);
	records = read_uint(&answer.values, UINT64_MAX);
	control_read_from(&answer.values, &export->next);
	if (answer.values.failed || messages.len > BUNDLE_PLAIN_MAX)
		return client_explain(tool, CLIENT_STRANGE);
	export->records += records;
	r = put_chunk(export, false, messages);
	return r ? bundle_failed(path, r) : DONE;
}

static int fill(const struct tool *tool, struct client *client, struct export *export, const char *path) {
	static const uint8_t nothing[] = { 0x90 }; /* an array without elements */
	int ending, r;

	r = file_append(&export->file, (struct span){ export->bundle.header, BUNDLE_HEADER_LEN });
	export->size = BUNDLE_HEADER_LEN;
	ending = r ? bundle_failed(path, r) : DONE;
	do {
		if (ending == DONE)
			ending = ask_chunk(tool, client, export, path);
	} while (ending == DONE && !id_is_nil(&export->next.oplog.office) &&
		export->size + BUNDLE_CHUNK_MAX + BUNDLE_CHUNK_HEADER_LEN + SEAL_OVERHEAD + sizeof(nothing) <= export->size_max);
	if (ending)
		return ending;
	r = put_chunk(export, true, (struct span){ nothing, sizeof(nothing) });
	return r ? bundle_failed(path, r) : DONE;
}

static int write_bundle(const struct tool *tool, struct export *export, const char *path) {
	_cleanup_(client_closep) struct client *client = NULL;
	int ending = client_reach(tool, &client);
	int r;

	if (ending)
		return ending;
	export->chunk = malloc(BUNDLE_CHUNK_MAX);
	if (!export->chunk)
		return fail_memory();
	r = file_begin(path, &export->file);
	if (r) {
		ending = bundle_failed(path, r);
	} else {
		ending = fill(tool, client, export, path);
		r = file_end(&export->file, ending ? -ECANCELED : 0, 0600);
		if (r && ending == DONE)
			ending = bundle_failed(path, r);
	}
	free(export->chunk);
	return ending;
}

static int report_export(const struct tool *tool, const struct export *export, const char *path, const char *label) {
	bool all = id_is_nil(&export->next.oplog.office);

	if (tool->json)
		return json_show(json_pack("{s:s, s:I, s:b}", "bundle", path, "records", (json_int_t)export->records, "all",
			(int)all));
	say(_("%s holds %llu records for %s, and what came from there as acknowledged. They go on waiting here until that office says, by a line or in a bundle of its own, that it has them. There: lienthong bundle import FILE"),
		path, (unsigned long long)export->records, label);
	if (!all)
		say(_("More waits than fits: export again once that office has acknowledged this, or with a larger --size."));
	return DONE;
}

int command_bundle_export(struct tool *tool, int argc, char **argv) {
	const char *to = NULL, *size = NULL;
	const struct option_def options[] = {
		{ "to", N_("OFFICE"), N_("for which neighbour: the office above, or one directly below"), .value = &to },
		{ "size", N_("BYTES"), N_("no longer than that; default 1073741824; what does not fit waits for the next one"),
			.value = &size },
	};
	const struct usage usage = { "bundle export", "--to OFFICE FILE",
		N_("Writes what waits for a neighbouring office, and how much has come from it, into a file to be carried there, where there is no line. Only that office can read it. Done again before it has answered, the same goes again, which is harmless."),
		options, N_ELEMENTS(options), 1, 1 };
	struct export export = { .size_max = SIZE_DEFAULT };
	char label[OFFICE_LABEL_MAX];
	const struct office_row *row;
	uint8_t secret[BOX_KEY_LEN];
	struct home home;
	char **args;
	int n_args, ending, r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending) ||
		!option_number("size", size, &export.size_max, &ending))
		return ending;
	if (!to)
		return misuse(_("say for which office: --to OFFICE"));
	if (strcmp(args[0], "-") == 0)
		return misuse(_("a bundle goes into a file"));
	if (export.size_max < SIZE_MIN)
		return misuse(_("--size: write a number of bytes, at least %d"), SIZE_MIN);
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	row = home_find_office(&home, to, OFFICES_KNOWN);
	if (!row)
		ending = home_no_office(&home, to, OFFICES_KNOWN);
	else if (!is_neighbour(&home, row))
		ending = refuse(_("%s: this is not the office above, nor one directly below this one; see lienthong office list"), to);
	else
		ending = read_secret(tool, &home, secret);
	if (ending == DONE) {
		office_label(row, label);
		r = bundle_begin(&home.own->office.id, &row->office.id, secret, row->office.curve_key, &export.bundle);
		explicit_bzero(secret, sizeof(secret));
		if (r)
			ending = bundle_failed(args[0], r > 0 ? -EINVAL : r);
	}
	home_close(&home);
	if (ending == DONE)
		ending = write_bundle(tool, &export, args[0]);
	explicit_bzero(export.bundle.key, sizeof(export.bundle.key));
	return ending ? ending : report_export(tool, &export, args[0], label);
}

/* What is being read. */
struct import {
	struct bundle bundle;
	const char *path;
	FILE *file;
	uint8_t *sealed, *plain;
	uint64_t records;
	struct refused refused;
};

static int damaged(const struct import *import) {
	return fail(_("%s is cut off or was altered, or is not between these two offices: of it %llu new records were kept, which came before and are whole; ask for it again"),
		import->path, (unsigned long long)import->records);
}

/* What one chunk holds, to the node. DONE, or an ending, having said why. */
static int give_chunk(const struct tool *tool, struct client *client, struct import *import, struct span messages) {
	_cleanup_(writer_done) struct writer w;
	struct answer answer;
	struct refuse refuse;
	uint64_t records;
	int r;

	writer_init_grow(&w);
	control_write_import(&w, client_number(client), &import->bundle.from, messages);
	r = client_ask_again(client, &w, CLIENT_PATIENT_MS, CLIENT_BACK_MS, &answer);
	if (r)
		return client_explain(tool, r);
	if (answer.result != CONTROL_OK)
		return client_refused(&answer, import->path);
	records = read_uint(&answer.values, UINT64_MAX);
	(void)read_array(&answer.values, 0, UINT64_MAX);
	while (reader_peek(&answer.values) != VALUE_END) {
		control_read_refused(&answer.values, &refuse);
		if (import->refused.n++ == 0)
			import->refused.reason = refuse.reason;
	}
	read_end(&answer.values);
	if (answer.values.failed)
		return client_explain(tool, CLIENT_STRANGE);
	import->records += records;
	return DONE;
}

static int take_chunks(const struct tool *tool, struct client *client, struct import *import) {
	struct bundle_chunk chunk = { 0 };
	uint8_t header[BUNDLE_CHUNK_HEADER_LEN];
	size_t len;
	int r, ending = DONE;

	while (ending == DONE && !chunk.last) {
		if (fread(header, 1, sizeof(header), import->file) != sizeof(header) || bundle_chunk_read(header, &chunk) ||
			fread(import->sealed, 1, chunk.len, import->file) != chunk.len)
			return damaged(import);
		r = bundle_open(&import->bundle, &chunk, import->sealed, import->plain, &len);
		if (r)
			return r > 0 ? damaged(import) : fail_memory();
		ending = give_chunk(tool, client, import, (struct span){ import->plain, len });
	}
	if (ending == DONE && fgetc(import->file) != EOF)
		return damaged(import);
	return ending;
}

/* Whose it is and for whom. DONE, or an ending, having said why. */
static int read_header(const struct tool *tool, const struct home *home, struct import *import,
	char ret_label[OFFICE_LABEL_MAX]) {
	uint8_t header[BUNDLE_HEADER_LEN], secret[BOX_KEY_LEN];
	const struct office_row *from;
	int ending, r;

	if (fread(header, 1, sizeof(header), import->file) != sizeof(header) || bundle_read(header, &import->bundle))
		return fail(_("%s is not a bundle, or its beginning is damaged, or it is of another version"), import->path);
	if (!id_eq(&import->bundle.to, &home->own->office.id)) {
		const struct office_row *to = home_office_by_id(home, &import->bundle.to);

		if (to)
			office_label(to, ret_label);
		return refuse(_("%s is for another office: %s"), import->path, to ? ret_label : _("one that is not known here"));
	}
	from = home_office_by_id(home, &import->bundle.from);
	if (!from || !is_neighbour(home, from))
		return refuse(_("%s is not from the office above, nor from one directly below this one"), import->path);
	office_label(from, ret_label);
	ending = read_secret(tool, home, secret);
	if (ending)
		return ending;
	r = bundle_unlock(&import->bundle, secret, from->office.curve_key);
	explicit_bzero(secret, sizeof(secret));
	return r ? damaged(import) : DONE;
}

static int take_bundle(const struct tool *tool, struct import *import) {
	_cleanup_(client_closep) struct client *client = NULL;
	int ending = client_reach(tool, &client);

	if (ending)
		return ending;
	import->sealed = malloc(BUNDLE_CHUNK_MAX);
	import->plain = malloc(BUNDLE_PLAIN_MAX);
	ending = import->sealed && import->plain ? take_chunks(tool, client, import) : fail_memory();
	free(import->sealed);
	free(import->plain);
	return ending;
}

static int report_import(const struct tool *tool, const struct import *import, const char *label) {
	int ending = DONE;

	if (tool->json)
		ending = json_show(json_pack("{s:s, s:s, s:I, s:I}", "bundle", import->path, "from", label, "records",
			(json_int_t)import->records, "refused", (json_int_t)import->refused.n));
	else
		say(_("%llu new records from %s are on the disk. To tell that office: lienthong bundle export --to OFFICE FILE, or the line, once there is one."),
			(unsigned long long)import->records, label);
	if (import->refused.n && ending == DONE)
		return refuse(_("%s: some of it was not taken (%s); where a bundle before it is missing, import that one first, then this one again"),
			import->path, _(refusal_name(import->refused.reason)));
	return ending;
}

int command_bundle_import(struct tool *tool, int argc, char **argv) {
	const struct usage usage = { "bundle import", "FILE",
		N_("Takes what a neighbouring office wrote with lienthong bundle export. Every record is checked as on a line; again, or in another order, is harmless."),
		NULL, 0, 1, 1 };
	char label[OFFICE_LABEL_MAX];
	struct import import = { 0 };
	struct home home;
	char **args;
	int n_args, ending, r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	import.path = args[0];
	r = file_open(import.path, &import.file);
	if (r)
		return fail(_("cannot read %s: %s"), import.path, file_error(r));
	ending = home_open(tool, &home);
	if (ending == DONE) {
		ending = read_header(tool, &home, &import, label);
		home_close(&home);
	}
	if (ending == DONE)
		ending = take_bundle(tool, &import);
	(void)fclose(import.file);
	explicit_bzero(import.bundle.key, sizeof(import.bundle.key));
	return ending ? ending : report_import(tool, &import, label);
}
