/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/enrol.h"
#include "proto/keyfile.h"
#include "proto/reference.h"
#include "store/offices.h"
#include "tools/csvfile.h"
#include "tools/dates.h"
#include "tools/enrolment.h"
#include "tools/files.h"
#include "tools/home.h"

enum {
	MAP_SIZE = 1 << 30, /* of address space, while init runs; the node's own is configured */
	Z85_LEN = 41,
	FIRST_EPOCH = 1,
};

struct init {
	const char *code;
	const char *name;
	const char *level;
	struct span name_nfc; /* heap */
	struct span level_nfc; /* heap */
	struct keyfile keys;
	struct office office;
};

static void init_done(struct init *init) {
	free((void *)init->name_nfc.data);
	free((void *)init->level_nfc.data);
	explicit_bzero(&init->keys, sizeof(init->keys));
}

static int read_label(const char *option, const char *text, size_t max, struct span *ret_text) {
	int r = csvfile_normalise(span_str(text), ret_text);

	if (r < 0)
		return fail_memory();
	if (r == CSVFILE_NOT_UTF8)
		return misuse(_("--%s is not UTF-8 text"), option);
	if (ret_text->len == 0 || ret_text->len > max)
		return misuse(_("--%s must have from 1 to %zu bytes"), option, max);
	if (text_unfit(*ret_text, false) < ret_text->len)
		return misuse(_("--%s holds a line break, or a character that cannot be seen; write it again by hand"),
			option);
	return DONE;
}

static int read_options(struct init *init) {
	struct office *office = &init->office;
	char *end;
	int r;

	if (!init->code || !init->name || !init->level)
		return misuse(_("say who the office is, for example: lienthong init --code 09163 --name \"Phường Vũ Ninh\" --level commune"));
	office->code = (uint32_t)strtoul(init->code, &end, 10);
	office->code_digits = (uint8_t)strnlen(init->code, UINT8_MAX);
	if (*end != '\0' || init->code[0] < '0' || init->code[0] > '9' ||
		!reference_code_ok(office->code, office->code_digits))
		return misuse(_("--code: \"%s\" is not an official code; write all its digits: 2 for a province, 3 for a district, 5 for a commune"),
			init->code);
	if (office->code == 0)
		return misuse(_("--code: no office has the code %s; write its official code"), init->code);
	r = read_label("name", init->name, OFFICE_NAME_MAX, &init->name_nfc);
	if (r == DONE)
		r = read_label("level", init->level, OFFICE_LEVEL_MAX, &init->level_nfc);
	office->name = init->name_nfc;
	office->level = init->level_nfc;
	return r;
}

static int make_home(const char *path) {
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return DONE;
	return fail(_("cannot make the directory %s: %s"), path, strerror(errno));
}

static int make_keys(struct keyfile *ret_keys) {
	char public_z85[Z85_LEN];
	char secret_z85[Z85_LEN];
	int r;

	r = random_bytes(ret_keys->seed, sizeof(ret_keys->seed));
	if (r)
		return r;
	if (zmq_curve_keypair(public_z85, secret_z85) < 0)
		return -errno;
	if (!zmq_z85_decode(ret_keys->curve_secret, secret_z85))
		return -EINVAL;
	explicit_bzero(secret_z85, sizeof(secret_z85));
	return 0;
}

/* New keys, or those of an init that the power cut short before there was an office. */
static int prepare_keys(const struct tool *tool, struct keyfile *ret_keys) {
	char *path = home_path(tool, "keys");
	int r;

	if (!path)
		return fail_memory();
	r = keyfile_read(path, ret_keys);
	if (r == KEYFILE_MISSING) {
		r = make_keys(ret_keys);
		if (r == 0)
			r = keyfile_write(path, ret_keys);
	}
	if (r < 0)
		r = fail(_("cannot write the keys %s: %s"), path, strerror(-r));
	else if (r > 0)
		r = fail(_("the keys %s are damaged or open to others; if no office uses them, remove that file and try again"),
			path);
	free(path);
	return r;
}

static int public_keys(struct init *init, struct signer **ret_signer) {
	char secret_z85[Z85_LEN];
	char public_z85[Z85_LEN];
	int r;

	if (!zmq_z85_encode(secret_z85, init->keys.curve_secret, sizeof(init->keys.curve_secret)) ||
		zmq_curve_public(public_z85, secret_z85) < 0 ||
		!zmq_z85_decode(init->office.curve_key, public_z85))
		return -errno;
	explicit_bzero(secret_z85, sizeof(secret_z85));
	r = signer_new(init->keys.seed, ret_signer);
	if (r)
		return r;
	signer_public(*ret_signer, init->office.sign_key);
	return 0;
}

static int make_identity(struct office *office) {
	uint8_t random[10];
	int r = random_bytes(random, sizeof(random));

	if (r)
		return r;
	office->valid_from_ms = date_now_ms();
	office->state = OFFICE_ACTIVE;
	record_make_id(office->valid_from_ms, random, &office->id);
	return 0;
}

enum {
	INIT_EXISTS = 100, /* beyond the outcomes of store.h, which prepare_store() passes on */
};

static int prepare_store(const char *path, const struct office *office) {
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct office_row own;
	uint32_t number;
	uint32_t epoch;
	int r;

	r = store_create(path, MAP_SIZE);
	if (r && r != STORE_EXISTS)
		return r;
	r = store_open(path, STORE_WRITE, MAP_SIZE, &store);
	if (r == 0)
		r = store_begin_write(store, &txn);
	if (r)
		return r;
	r = offices_own(txn, &own, &epoch);
	if (r != STORE_NOT_FOUND)
		return r ? r : INIT_EXISTS;
	r = offices_put(txn, office, &number);
	if (r == 0)
		r = offices_set_own(txn, &office->id, FIRST_EPOCH);
	if (r == 0)
		r = store_commit(TAKE(txn));
	return r;
}

static int store_failed(const struct tool *tool, const char *path, int r) {
	switch (r) {
	case STORE_NEWER_FORMAT:
	case STORE_DAMAGED:
		return home_open_failed(tool, r);
	case INIT_EXISTS:
	case STORE_BUSY:
		return refuse(_("there is an office in %s already; it stays as it is"), path);
	case -ENOMEM:
		return fail_memory();
	default:
		return fail(_("cannot make the store %s: %s"), path, strerror(r < 0 ? -r : EIO));
	}
}

static int make_store(const struct tool *tool, const struct office *office) {
	char *path = home_path(tool, "store");
	int r;

	if (!path)
		return fail_memory();
	r = prepare_store(path, office);
	if (r)
		r = store_failed(tool, path, r);
	free(path);
	return r;
}

static int write_request(const struct tool *tool, const struct init *init, struct signer *signer,
	FILE *copy) {
	_cleanup_(writer_done) struct writer w;
	char *path = home_path(tool, "request");
	int r;

	writer_init_grow(&w);
	r = path ? enrol_request_write(&init->office, signer, &w) : -ENOMEM;
	if (r == 0 && !writer_ok(&w))
		r = -ENOMEM;
	if (r == 0)
		r = file_write(path, writer_span(&w));
	if (r == 0 && copy && (fwrite(w.data, 1, w.len, copy) != w.len || fflush(copy) != 0))
		r = -errno;
	free(path);
	return r ? fail(_("cannot write the request: %s"), strerror(-r)) : DONE;
}

static int initialise(const struct tool *tool, struct init *init, FILE *copy) {
	_cleanup_(signer_freep) struct signer *signer = NULL;
	int r;

	r = make_home(tool->home);
	if (r == DONE)
		r = home_become_owner(tool->home);
	if (r == DONE)
		r = prepare_keys(tool, &init->keys);
	if (r)
		return r;
	r = public_keys(init, &signer);
	if (r == 0)
		r = make_identity(&init->office);
	if (r)
		return r == -ENOMEM ? fail_memory() : fail(_("cannot make keys: %s"), strerror(-r));
	r = make_store(tool, &init->office);
	return r ? r : write_request(tool, init, signer, copy);
}

static void next_steps(const struct tool *tool, const struct init *init) {
	char fingerprint[FINGERPRINT_MAX];

	enrolment_fingerprint(&init->office, fingerprint);
	say(_("The office %s %s is made in %s."), init->code, init->name, tool->home);
	say(_("Its fingerprint, to compare over the telephone: %s"), fingerprint);
	say(_("Next: carry %s/request to the office above; there: lienthong office add FILE"), tool->home);
	say(_("Then start the node here, and hand it the answer: lienthong join ANSWER"));
	say(_("The topmost office has nothing to join: just start its node."));
}

int command_init(struct tool *tool, int argc, char **argv) {
	_cleanup_(init_done) struct init init = { 0 };
	const char *request = NULL;
	const struct option_def options[] = {
		{ "code", N_("DIGITS"), N_("official code: 2 digits (province), 3 (district), 5 (commune)"),
			.value = &init.code },
		{ "name", N_("NAME"), N_("of the office"), .value = &init.name },
		{ "level", N_("WORD"), N_("commune, district, province, or what your levels are called"),
			.value = &init.level },
		{ "request", N_("FILE"), N_("write the request for the office above here too"),
			.value = &request },
	};
	const struct usage usage = { "init", NULL,
		N_("Makes a new office on this computer: its keys, its empty store, and the request with which the office above enrols it. To be done once, before the node is first started."),
		options, N_ELEMENTS(options), 0, 0 };
	FILE *copy = NULL;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = read_options(&init);
	if (ending)
		return ending;
	if (request) { /* opened now, since the owner of the home may not be allowed to */
		copy = fopen(request, "wxe");
		if (!copy)
			return fail(_("cannot write %s: %s"), request, strerror(errno));
	}
	ending = initialise(tool, &init, copy);
	if (copy) {
		(void)fclose(copy);
		if (ending)
			(void)unlink(request);
	}
	if (ending == DONE)
		next_steps(tool, &init);
	return ending;
}
