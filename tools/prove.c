/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A record proved in one file (proto/proof.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/proof.h"
#include "tools/files.h"
#include "tools/home.h"
#include "tools/place.h"

enum {
	LINK_ENDED = 1,   /* no head that counts is over it */
	LINK_NO_HEAD = 2, /* the head where it ends is not here yet */
};

/*
 * That a record stands in its oplog, under a head that was signed in its own time: where the term or the office
 * ends, or the newest. 0, an outcome or -errno.
 */
static int make_link(const struct home *home, const struct office_row *row, const struct place *place,
	struct proof_link *ret_link) {
	struct oplog oplog;
	struct oplog_leaves leaves = { home->txn, &oplog };
	uint64_t limit = office_limit(&row->office, &row->former, &place->oplog);
	uint64_t end = office_next_end(&row->former, &place->oplog, place->index);
	uint64_t arrival;
	int r;

	r = oplog_load(home->txn, &place->oplog, &oplog);
	if (r || place->index >= oplog.head.size)
		return r < 0 ? r : -EIO; /* every commit ends with a head */
	if (place->index >= limit)
		return LINK_ENDED;
	end = end < limit ? end : limit;
	ret_link->head = oplog.head;
	if (end < oplog.head.size)
		r = oplog_next_head(home->txn, &oplog, end - 1, &ret_link->head);
	if (r == 0 && ret_link->head.size > end)
		return LINK_NO_HEAD;
	if (r == 0)
		r = oplog_leaf(home->txn, &oplog, place->index, &ret_link->leaf, &arrival);
	if (r == 0)
		r = merkle_inclusion_prove(place->index, ret_link->head.size, oplog_leaf_hash, &leaves, &ret_link->path);
	ret_link->oplog = place->oplog;
	ret_link->index = place->index;
	return r > 0 ? -EIO : r;
}

/* The newest record that says this of an office: its parent's, or its own that begins a term. */
struct search {
	const struct office_row *writer;
	const struct home *home;
	const struct id *office;
	const uint8_t *key;           /* NULL: any */
	const struct office_end *end; /* NULL: without one */
	bool found;
	uint64_t arrival;
	struct place place;
};

static bool is_sought(const struct search *search, const struct leaf *leaf) {
	struct office said;
	struct record rec;

	if (leaf->withheld || record_kind(leaf->bytes) != KIND_OFFICE || record_decode(leaf->bytes, &rec) ||
		office_decode(rec.body, &said) || !id_eq(&said.id, search->office))
		return false;
	if (!id_eq(&said.id, &search->writer->office.id) && !id_eq(&said.parent, &search->writer->office.id))
		return false;
	if (search->key && memcmp(said.sign_key, search->key, sizeof(said.sign_key)) != 0)
		return false;
	return search->end ? said.has_end && office_end_compare(&said.end, search->end) == 0 : !said.has_end;
}

static int search_oplog(void *userdata, const struct oplog *oplog) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct search *search = userdata;
	uint64_t limit = office_limit(&search->writer->office, &search->writer->former, &oplog->id);
	uint64_t index, arrival;
	struct leaf leaf;
	int r;

	r = oplog_walk_open(search->home->txn, oplog, 0, &walk);
	while (r == 0 && (r = oplog_walk_next(walk, &index, &leaf, &arrival)) == 0 && index < limit) {
		if (!is_sought(search, &leaf) || (search->found && search->arrival > arrival))
			continue;
		search->found = true;
		search->arrival = arrival;
		search->place = (struct place){ oplog->id, index };
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

/* A proof as it is made: from the root down. */
struct chain {
	const struct home *home;
	struct proof *proof;
	const struct office_row *writer; /* of what is added now */
	size_t term;                     /* of the key of the writer that was said so far */
};

static int add_place(struct chain *chain, const struct place *place, size_t last_term);

/* Adds the record that says this of an office. DONE, or an ending with its words. */
static int add_said(struct chain *chain, const struct office_row *row, const uint8_t *key,
	const struct office_end *end) {
	struct search search = { .writer = chain->writer, .home = chain->home, .office = &row->office.id, .key = key,
		.end = end };
	char label[OFFICE_LABEL_MAX];
	int r = oplog_each_of(chain->home->txn, &chain->writer->office.id, search_oplog, &search);

	if (r)
		return home_failed(r);
	if (search.found) /* of its own next key, with one that was said before */
		return add_place(chain, &search.place, row == chain->writer ? chain->term : OFFICE_FORMER_MAX);
	office_label(row, label);
	return refuse(_("a record that says who %s is, is not here (yet); try again once this office was connected"),
		label);
}

/*
 * Adds a record of the writer, behind those that say the key with which its head is signed; that is of no later
 * term than @last_term.
 */
static int add_place(struct chain *chain, const struct place *place, size_t last_term) {
	const struct office *office = &chain->writer->office;
	const struct office_former *former = &chain->writer->former;
	struct proof_link link = { 0 };
	char label[OFFICE_LABEL_MAX];
	int r = make_link(chain->home, chain->writer, place, &link);
	int term = r == 0 ? office_term_of(office, former, &place->oplog, link.head.size) : OFFICE_ENDED;
	int ending = DONE;

	office_label(chain->writer, label);
	if (r < 0)
		return home_failed(r);
	if (r == LINK_NO_HEAD)
		return refuse(_("the head that signs this is not here (yet); try again once this office was connected"));
	if (term == OFFICE_ENDED)
		return refuse(_("the record lies beyond the end of %s, which was revoked or goes on from an older copy; it does not count, and is not proved"),
			label);
	if ((size_t)term > last_term)
		return refuse(_("what %s says of its own keys is signed with a key that it says only there; it is not proved"),
			label);
	for (; ending == DONE && chain->term < (size_t)term; chain->term++) {
		const uint8_t *next = office_term_key(office, former, chain->term + 1);

		/* another life of its store keeps the key */
		if (memcmp(office_term_key(office, former, chain->term), next, SIGN_PUBLIC_LEN) != 0)
			ending = add_said(chain, chain->writer, next, &former->terms[chain->term].end);
	}
	if (ending)
		return ending;
	if (chain->proof->n_links == PROOF_LINKS_MAX)
		return refuse(_("there are more levels and keys than a proof can have"));
	chain->proof->links[chain->proof->n_links++] = link;
	return DONE;
}

/* Who @row is, of the office above it: who enrolled it, and where it ended. */
static int add_office(struct chain *chain, const struct office_row *row) {
	int ending = add_said(chain, row, office_term_key(&row->office, &row->former, 0), NULL);

	return ending || !row->office.has_end ? ending : add_said(chain, row, NULL, &row->office.end);
}

/* The office and all above it; how many, or 0: one of them is not known here. */
static size_t find_above(const struct home *home, const struct id *office,
	const struct office_row *ret_rows[PROOF_LINKS_MAX]) {
	const struct office_row *row;
	size_t n = 0;

	while (n < PROOF_LINKS_MAX && (row = home_office_by_id(home, office))) {
		ret_rows[n++] = row;
		office = &row->office.parent;
		if (id_is_nil(office))
			return n;
	}
	return 0;
}

static int make_chain(struct chain *chain, const struct place *place) {
	const struct office_row *rows[PROOF_LINKS_MAX];
	size_t n = find_above(chain->home, &place->oplog.office, rows);
	int ending = DONE;

	if (n == 0)
		return home_failed(-EIO);
	chain->proof->root = rows[n - 1]->office;
	memcpy(chain->proof->root.sign_key, office_term_key(&rows[n - 1]->office, &rows[n - 1]->former, 0),
		SIGN_PUBLIC_LEN);
	for (size_t i = n; ending == DONE && i-- > 0;) {
		chain->writer = rows[i];
		chain->term = 0;
		ending = i > 0 ? add_office(chain, rows[i - 1]) : add_place(chain, place, OFFICE_FORMER_MAX);
	}
	return ending;
}

static int make_proof(const struct home *home, const char *name, struct proof *ret_proof) {
	struct chain chain = { .home = home, .proof = ret_proof };
	struct place place;
	int ending;

	ending = place_find(home, name, &place);
	if (ending == DONE)
		ending = make_chain(&chain, &place);
	for (size_t i = 0, j = ret_proof->n_links; i + 1 < j; i++) { /* in the file the record is first */
		struct proof_link link = ret_proof->links[--j];

		ret_proof->links[j] = ret_proof->links[i];
		ret_proof->links[i] = link;
	}
	return ending;
}

static int write_proof(const struct tool *tool, const struct proof *proof, const char *path) {
	_cleanup_(writer_done) struct writer w;
	int r;

	writer_init_grow(&w);
	proof_write(proof, &w);
	if (!writer_ok(&w))
		return fail_memory();
	r = file_write(path, writer_span(&w), 0600); /* it may say in full what few may read */
	if (r)
		return fail(_("cannot write %s: %s"), path, file_error(r));
	if (strcmp(path, "-") == 0)
		return DONE;
	if (tool->json)
		return json_show(json_pack("{s:s, s:I}", "file", path, "bytes", (json_int_t)w.len));
	say(_("%s proves it to whoever knows the key of the topmost office: lienthong verify %s"), path, path);
	return DONE;
}

int command_prove(struct tool *tool, int argc, char **argv) {
	const char *path = NULL;
	const struct option_def options[] = {
		{ "out", N_("FILE"), N_("where to write it (-: standard output); default REF.proof, with - for /"), .value = &path },
	};
	const struct usage usage = { "prove", "REF|PLACE",
		N_("Writes a small file that proves a petition: its record, that it stands in the oplog of its office, and who enrolled that office, up to the topmost. Anybody can check it anywhere. A PLACE is office/epoch/lane/number, also of a record of which only the hash is here."),
		options, N_ELEMENTS(options), 1, 1 };
	struct proof *proof;
	struct home home;
	char *own = NULL;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (!path && asprintf(&own, "%s.proof", args[0]) < 0)
		return fail_memory();
	for (char *at = own; at && (at = strchr(at, '/'));) /* of a place, or of a number in a paper register */
		*at = '-';
	ending = home_open(tool, &home);
	if (ending == DONE) {
		proof = calloc(1, sizeof(*proof));
		ending = proof ? make_proof(&home, args[0], proof) : fail_memory();
		if (ending == DONE)
			ending = write_proof(tool, proof, path ? path : own);
		free(proof);
		home_close(&home);
	}
	free(own);
	return ending;
}
