/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/newoffice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/enrol.h"
#include "proto/reference.h"
#include "store/fold_offices.h"
#include "tools/dates.h"
#include "tools/files.h"
#include "tools/home.h"

enum {
	MAP_SIZE = 1 << 30, /* of address space, while it is made; the node's own is configured */
	Z85_LEN = 41,
	FIRST_EPOCH = 1,
};

void newoffice_done(struct newoffice *made) {
	free((void *)made->name.data);
	free((void *)made->level.data);
	explicit_bzero(&made->keys, sizeof(made->keys));
	made->signer = signer_free(made->signer);
}

int newoffice_describe(struct newoffice *made, const char *code, const char *name, const char *level) {
	struct office *office = &made->office;
	char *end;
	int r;

	office->code = (uint32_t)strtoul(code, &end, 10);
	office->code_digits = (uint8_t)strnlen(code, UINT8_MAX);
	if (*end != '\0' || code[0] < '0' || code[0] > '9' ||
		!reference_code_ok(office->code, office->code_digits))
		return misuse(_("--code: \"%s\" is not an official code; write all its digits: 2 for a province, 3 for a district, 5 for a commune"),
			code);
	if (office->code == 0)
		return misuse(_("--code: no office has the code %s; write its official code"), code);
	r = option_line("name", name, OFFICE_NAME_MAX, &made->name);
	if (r == DONE)
		r = option_line("level", level, OFFICE_LEVEL_MAX, &made->level);
	office->name = made->name;
	office->level = made->level;
	return r;
}

static int make_home(const char *path) {
	if (mkdir(path, 0700) == 0 ? keyfile_sync_folder(path) == 0 : errno == EEXIST)
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

static int public_keys(struct newoffice *made) {
	char secret_z85[Z85_LEN];
	char public_z85[Z85_LEN];
	int r;

	if (!zmq_z85_encode(secret_z85, made->keys.curve_secret, sizeof(made->keys.curve_secret)) ||
		zmq_curve_public(public_z85, secret_z85) < 0 ||
		!zmq_z85_decode(made->office.curve_key, public_z85))
		return -errno;
	explicit_bzero(secret_z85, sizeof(secret_z85));
	r = signer_new(made->keys.seed, &made->signer);
	if (r)
		return r;
	signer_public(made->signer, made->office.sign_key);
	made->office.valid_from_ms = date_now_ms();
	made->office.state = OFFICE_ACTIVE;
	return 0;
}

int newoffice_keys(const struct tool *tool, struct newoffice *made) {
	int r;

	r = make_home(tool->home);
	if (r == DONE)
		r = home_become_owner(tool->home);
	if (r == DONE && keyfile_check_folder(tool->home) == KEYFILE_EXPOSED)
		r = fail(_("%s belongs to another user, or others can write to it: make it yours, mode 0700"), tool->home);
	if (r == DONE)
		r = prepare_keys(tool, &made->keys);
	if (r)
		return r;
	r = public_keys(made);
	if (r)
		return r == -ENOMEM ? fail_memory() : fail(_("cannot make keys: %s"), strerror(-r));
	return DONE;
}

int newoffice_id(struct newoffice *made) {
	uint8_t random[10];
	int r = random_bytes(random, sizeof(random));

	if (r)
		return fail(_("cannot make keys: %s"), strerror(-r));
	record_make_id(made->office.valid_from_ms, random, &made->office.id);
	return DONE;
}

/* 0, an outcome of store.h, or -errno. */
static int own_office(const char *path, struct id *ret_office) {
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct office_row own;
	uint32_t epoch;
	int r;

	r = store_open(path, STORE_READ, 0, &store);
	if (r == 0)
		r = store_begin_read(store, &txn);
	if (r == 0)
		r = offices_own(txn, &own, &epoch);
	if (r == 0)
		*ret_office = own.office.id;
	return r;
}

int newoffice_present(const struct tool *tool, struct id *ret_office) {
	char *path;
	int r;

	*ret_office = (struct id){ 0 };
	r = home_become_owner(tool->home);
	if (r)
		return r;
	path = home_path(tool, "store");
	r = path ? own_office(path, ret_office) : -ENOMEM;
	free(path);
	return r == 0 || r == STORE_NOT_FOUND || r == -ENOENT ? DONE : home_open_failed(tool, r);
}

enum {
	STORE_HAS_OFFICE = 100, /* beyond the outcomes of store.h, which prepare_store() passes on */
};

static int put_chain(struct txn *txn, const struct enrol_office *chain, size_t n_chain, struct span address) {
	uint8_t secret[32];
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_chain; i++)
		r = fold_told(txn, &chain[i]);
	if (r == 0)
		r = offices_set_own(txn, &chain[n_chain - 1].office.id, FIRST_EPOCH);
	if (r == 0)
		r = random_bytes(secret, sizeof(secret));
	if (r == 0)
		r = meta_put(txn, "import-secret", (struct span){ secret, sizeof(secret) });
	if (r == 0 && n_chain > 1)
		r = offices_set_parent_address(txn, address);
	return r;
}

static int prepare_store(const char *path, const struct enrol_office *chain, size_t n_chain,
	struct span address) {
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct office_row own;
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
		return r ? r : STORE_HAS_OFFICE;
	r = put_chain(txn, chain, n_chain, address);
	if (r == 0)
		r = store_commit(TAKE(txn));
	return r;
}

static int store_failed(const struct tool *tool, const char *path, int r) {
	switch (r) {
	case STORE_NEWER_FORMAT:
	case STORE_DAMAGED:
		return home_open_failed(tool, r);
	case STORE_HAS_OFFICE:
	case STORE_BUSY:
		return refuse(_("there is an office in %s already; it stays as it is"), path);
	case -ENOMEM:
		return fail_memory();
	default:
		return fail(_("cannot make the store %s: %s"), path, strerror(r < 0 ? -r : EIO));
	}
}

int newoffice_store(const struct tool *tool, const struct enrol_office *chain, size_t n_chain,
	struct span address) {
	char *path = home_path(tool, "store");
	int r;

	if (!path)
		return fail_memory();
	r = prepare_store(path, chain, n_chain, address);
	if (r)
		r = store_failed(tool, path, r);
	free(path);
	return r;
}

int newoffice_request(const struct tool *tool, const struct newoffice *made, struct writer *w) {
	char *path = home_path(tool, "request");
	int r;

	r = path ? enrol_request_write(&made->office, made->signer, w) : -ENOMEM;
	if (r == 0 && !writer_ok(w))
		r = -ENOMEM;
	if (r == 0)
		r = file_write(path, writer_span(w), 0644);
	free(path);
	return r ? fail(_("cannot write the request: %s"), file_error(r)) : DONE;
}
