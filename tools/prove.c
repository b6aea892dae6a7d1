/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A record proved in one file (proto/proof.h), such a file checked without any store, and heads as
 * public transparency-log tools read them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/kinds/petition.h"
#include "proto/proof.h"
#include "proto/reference.h"
#include "tools/enrolment.h"
#include "tools/files.h"
#include "tools/place.h"
#include "tools/prove.h"

/* The leaves of an oplog, as merkle.c asks for them. */
struct leaves {
	const struct home *home;
	const struct oplog *oplog;
};

static int leaf_of(void *userdata, uint64_t index, struct hash *ret_leaf) {
	const struct leaves *leaves = userdata;
	struct leaf leaf;
	uint64_t arrival;
	int r = oplog_leaf(leaves->home->txn, leaves->oplog, index, &leaf, &arrival);

	if (r)
		return r > 0 ? -EIO : r;
	leaf_hash(&leaf, ret_leaf);
	return 0;
}

/*
 * That leaf @index stands in an oplog, under a head that was signed in its own time: where the term ends, or
 * the newest. 0, STORE_NOT_FOUND (the head where it ends is not here yet) or -errno.
 */
static int make_link(const struct home *home, const struct oplog_id *id, uint64_t index,
	struct proof_link *ret_link) {
	const struct office_row *row = home_office_by_id(home, &id->office);
	struct oplog oplog;
	struct leaves leaves = { home, &oplog };
	uint64_t arrival, end;
	int r;

	r = oplog_load(home->txn, id, &oplog);
	if (r == 0 && (!row || index >= oplog.head.size))
		r = -EIO; /* every commit ends with a head */
	if (r)
		return r > 0 ? -EIO : r;
	end = office_next_end(&row->former, id, index);
	ret_link->head = oplog.head;
	if (end < oplog.head.size)
		r = oplog_next_head(home->txn, &oplog, end - 1, &ret_link->head);
	if (r == 0 && ret_link->head.size > end)
		return STORE_NOT_FOUND;
	if (r == 0)
		r = oplog_leaf(home->txn, &oplog, index, &ret_link->leaf, &arrival);
	if (r == 0)
		r = merkle_inclusion_prove(index, ret_link->head.size, leaf_of, &leaves, &ret_link->path);
	ret_link->oplog = *id;
	ret_link->index = index;
	return r > 0 ? -EIO : r;
}

static int link_failed(int r) {
	return r < 0 ? home_failed(r)
		     : refuse(_("the head that signs this is not here (yet); try again once this office was connected"));
}

/* The newest record that says that a key is an office's: its parent's, or its own that begins a term. */
struct key_search {
	const struct home *home;
	const struct id *office;
	const uint8_t *key;
	bool own; /* of the office itself */
	bool found;
	struct oplog_id oplog;
	uint64_t index;
	uint64_t arrival;
};

static int search_oplog(void *userdata, const struct oplog *oplog) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct key_search *search = userdata;
	uint64_t index, arrival;
	struct leaf leaf;
	int r;

	r = oplog_walk_open(search->home->txn, oplog, 0, &walk);
	while (r == 0 && (r = oplog_walk_next(walk, &index, &leaf, &arrival)) == 0) {
		struct office office;
		struct record rec;

		if (leaf.withheld || record_kind(leaf.bytes) != KIND_OFFICE ||
			record_decode(leaf.bytes, &rec) || office_decode(rec.body, &office) ||
			!id_eq(&office.id, search->office) || (search->own && !office.has_end) ||
			memcmp(office.sign_key, search->key, SIGN_PUBLIC_LEN) != 0 ||
			(search->found && arrival < search->arrival))
			continue;
		search->found = true;
		search->oplog = oplog->id;
		search->index = index;
		search->arrival = arrival;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

static const uint8_t *key_of_term(const struct office_row *row, size_t term) {
	return term < row->former.n ? row->former.terms[term].sign_key : row->office.sign_key;
}

/* The link to the record that says the key with which @proof's last link is signed. DONE, or an ending. */
static int add_key(const struct home *home, struct proof *proof, const struct office_row *row, size_t term) {
	struct key_search search = { .home = home, .office = &row->office.id, .key = key_of_term(row, term),
		.own = term > 0 };
	char label[OFFICE_LABEL_MAX];
	int r = oplog_each_of(home->txn, term > 0 ? &row->office.id : &row->office.parent, search_oplog, &search);

	if (r)
		return home_failed(r);
	office_label(row, label);
	if (!search.found)
		return refuse(_("the record that enrols %s is not here (yet); try again once this office was connected"),
			label);
	if (proof->n_links == PROOF_LINKS_MAX)
		return refuse(_("there are more levels and keys than a proof can have"));
	r = make_link(home, &search.oplog, search.index, &proof->links[proof->n_links++]);
	return r ? link_failed(r) : DONE;
}

/* From the key of the first link up to the first key of the topmost office. DONE, or an ending with its words. */
static int add_chain(const struct home *home, struct proof *proof) {
	for (;;) {
		const struct proof_link *last = &proof->links[proof->n_links - 1];
		const struct office_row *row = home_office_by_id(home, &last->oplog.office);
		int term = row ? office_term_of(&row->office, &row->former, &last->oplog, last->head.size) :
				 OFFICE_ENDED;
		int ending;

		if (term == OFFICE_ENDED)
			return home_failed(-EIO);
		/* another life of its store keeps the key */
		while (term > 0 && memcmp(key_of_term(row, term), key_of_term(row, term - 1), SIGN_PUBLIC_LEN) == 0)
			term--;
		if (term == 0 && id_is_nil(&row->office.parent)) {
			proof->root = row->office;
			memcpy(proof->root.sign_key, key_of_term(row, 0), SIGN_PUBLIC_LEN);
			return DONE;
		}
		ending = add_key(home, proof, row, term);
		if (ending)
			return ending;
	}
}

static int make_proof(const struct home *home, const char *name, struct proof *ret_proof) {
	const struct office_row *row;
	struct place place;
	int ending;
	int r;

	ending = place_find(home, name, &place);
	if (ending)
		return ending;
	row = home_office_by_id(home, &place.oplog.office);
	if (row && place_is_void(row, &place))
		return refuse(_("%s: this record lies beyond the end of an earlier life of its office's store; nothing proves it any more"),
			name);
	r = make_link(home, &place.oplog, place.index, &ret_proof->links[0]);
	if (r)
		return link_failed(r);
	ret_proof->n_links = 1;
	return add_chain(home, ret_proof);
}

static int write_proof(const struct tool *tool, const struct proof *proof, const char *path) {
	_cleanup_(writer_done) struct writer w;
	int r;

	writer_init_grow(&w);
	proof_write(proof, &w);
	if (!writer_ok(&w))
		return fail_memory();
	r = file_write(path, writer_span(&w), 0644);
	if (r)
		return fail(_("cannot write %s: %s"), path, strerror(-r));
	if (tool->json)
		return json_show(json_pack("{s:s, s:I}", "file", path, "bytes", (json_int_t)w.len));
	say(_("%s proves it to whoever knows the key of the topmost office: lienthong verify %s"), path, path);
	return DONE;
}

int command_prove(struct tool *tool, int argc, char **argv) {
	const char *path = NULL;
	const struct option_def options[] = {
		{ "out", N_("FILE"), N_("where to write it; default REF.proof"), .value = &path },
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
	if (!path && strchr(args[0], '/')) {
		free(own);
		return misuse(_("\"%s\" cannot be a file's name; give one with --out"), args[0]);
	}
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

/* Checking */

static const struct column proof_columns[] = {
	{ .key = "kind", .title = N_("Record") },
	{ .key = "reference", .title = N_("Reference") },
	{ .key = "text", .title = N_("Text") },
	{ .key = "recorded", .title = N_("Recorded") },
	{ .key = "hash", .title = N_("Its hash") },
	{ .key = "office", .title = N_("Kept by") },
	{ .key = "oplog", .title = N_("In its oplog") },
	{ .key = "number", .title = N_("Number") },
	{ .key = "size", .title = N_("Of") },
	{ .key = "root_office_id", .title = N_("Topmost office") },
	{ .key = "root_fingerprint", .title = N_("Its fingerprint") },
};

static void fill_record(struct listing *listing, const struct leaf *leaf) {
	struct petition petition;
	struct record rec;

	if (leaf->withheld || record_decode(leaf->bytes, &rec)) {
		for (unsigned i = 0; i < 4; i++)
			cell_none(listing);
		return;
	}
	cell_word(listing, &words_kind, rec.kind);
	if (rec.kind == KIND_PETITION && petition_decode(rec.body, &petition) == 0) {
		cell_reference(listing, petition.reference);
		cell_text(listing, petition.text);
	} else {
		cell_none(listing);
		cell_none(listing);
	}
	cell_time(listing, rec.time_ms);
}

static void cell_hash(struct listing *listing, const struct leaf *leaf) {
	char text[2 * sizeof(leaf->hash.b) + 1];
	struct hash hash;

	leaf_hash(leaf, &hash);
	for (size_t i = 0; i < sizeof(hash.b); i++)
		snprintf(text + 2 * i, 3, "%02x", hash.b[i]);
	cell_str(listing, text);
}

static void fill_proof(struct listing *listing, const struct proof *proof, const struct office *offices) {
	const struct proof_link *link = &proof->links[0];
	const struct office_row writer = { .office = offices[0] };
	char label[OFFICE_LABEL_MAX], fingerprint[FINGERPRINT_MAX];
	const char *lane = words_name(&words_lane, link->oplog.lane);

	fill_record(listing, &link->leaf);
	cell_hash(listing, &link->leaf);
	if (proof->n_links > 1) {
		office_label(&writer, label);
		cell_str(listing, label);
	} else { /* the topmost itself: of it the file has only the keys */
		cell_id(listing, &link->oplog.office);
	}
	cell(listing, json_sprintf("%u/%s", link->oplog.epoch, lane ? lane : "?"), "%u/%s", link->oplog.epoch,
		lane ? _(lane) : "?");
	cell_count(listing, link->index);
	cell_count(listing, link->head.size);
	cell_id(listing, &proof->root.id);
	enrolment_fingerprint(&proof->root, fingerprint);
	cell_str(listing, fingerprint);
}

/* Why it proves nothing; NULL: it does. */
static const char *why_not(int outcome) {
	switch (outcome) {
	case 0:
		return NULL;
	case PROOF_MALFORMED:
		return N_("it is not a proof, or damaged");
	case PROOF_BAD_PATH:
		return N_("a record is not in the oplog that it is said to be in");
	case PROOF_BAD_SIGNATURE:
		return N_("an oplog is not signed by the office that it is said to be of");
	case PROOF_ENDED:
		return N_("it lies beyond the end of an office that was revoked");
	default:
		return N_("the offices do not enrol one another up to the topmost");
	}
}

static int show_proof(const struct tool *tool, const struct proof *proof, const struct office *offices,
	const char *root) {
	_cleanup_(listing_done) struct listing card;
	char fingerprint[FINGERPRINT_MAX];
	bool known;

	enrolment_fingerprint(&proof->root, fingerprint);
	known = root && enrolment_same_fingerprint(root, fingerprint);
	listing_init(&card, proof_columns, N_ELEMENTS(proof_columns));
	fill_proof(&card, proof, offices);
	if (card.failed)
		return fail_memory();
	if (tool->json) {
		int ending = json_show(json_pack("{s:b, s:b, s:o?}", "ok", !root || known, "root_known", known,
			"proved", listing_object(&card)));

		return ending ? ending : !root || known ? DONE : FAILED;
	}
	listing_cards(&card);
	say("%s", "");
	if (root && !known) {
		say(_("NOT PROVED: the topmost office of this proof is another one than that of the fingerprint given."));
		return FAILED;
	}
	if (known)
		say(_("Proved, by the office of which you gave the fingerprint."));
	else
		say(_("Proved, if the fingerprint is that of the topmost office: compare it with one that you have from elsewhere."));
	return DONE;
}

int proof_verify(const struct tool *tool, const char *path, const char *root) {
	struct office offices[PROOF_LINKS_MAX];
	uint8_t *bytes = NULL;
	struct proof *proof;
	size_t len = 0, at = 0;
	int ending, r;

	r = file_read(path, PROOF_FILE_MAX, &bytes, &len);
	if (r)
		return fail(_("cannot read %s: %s"), path, strerror(-r));
	proof = calloc(1, sizeof(*proof));
	r = proof ? proof_read((struct span){ bytes, len }, proof) : -ENOMEM;
	if (r == 0)
		r = proof_check(proof, offices, &at);
	if (r < 0)
		ending = fail_memory();
	else if (r == 0)
		ending = show_proof(tool, proof, offices, root);
	else if (tool->json)
		ending = json_show(json_pack("{s:b, s:s}", "ok", false, "fault", why_not(r))) ? FAILED : FAILED;
	else
		ending = fail(_("%s proves nothing: %s"), path, _(why_not(r)));
	free(proof);
	free(bytes);
	return ending;
}

/* Heads */

struct checkpoints {
	const struct home *home;
	const struct office_row *row;
	bool has_lane;
	uint8_t lane;
	uint64_t since;  /* 0: no proof of consistency */
	bool vkeys;      /* the keys to check them with, instead */
	unsigned n;
	bool ahead;      /* a log has not the size that was asked from */
};

static void say_base64(struct span bytes) {
	char text[BASE64_MAX(1 + SIGN_PUBLIC_LEN)];

	base64_encode(bytes, text);
	printf("%s\n", text);
}

/* That the log has only grown since it had @since leaves: a line of base64 a hash (RFC 9162, 2.1.4). */
static int say_consistency(const struct checkpoints *all, const struct oplog *oplog) {
	struct leaves leaves = { all->home, oplog };
	struct merkle_proof proof;
	int r;

	if (all->since == oplog->head.size)
		return 0;
	r = merkle_consistency_prove(all->since, oplog->head.size, leaf_of, &leaves, &proof);
	for (size_t i = 0; r == 0 && i < proof.n; i++)
		say_base64((struct span){ proof.node[i].b, sizeof(proof.node[i].b) });
	return r;
}

static int say_checkpoint(void *userdata, const struct oplog *oplog) {
	struct checkpoints *all = userdata;
	const uint8_t *key;
	char text[HEAD_NOTE_MAX];
	int term;

	if ((all->has_lane && oplog->id.lane != all->lane) || oplog->head.size == 0)
		return 0;
	if (all->since > oplog->head.size) {
		all->ahead = true;
		return 0;
	}
	term = office_term_of(&all->row->office, &all->row->former, &oplog->id, oplog->head.size);
	if (term == OFFICE_ENDED)
		return -EIO;
	key = key_of_term(all->row, term);
	if (all->n++ > 0)
		printf("\n");
	if (all->vkeys) {
		head_vkey(&oplog->id, key, text);
		printf("%s\n", text);
		return 0;
	}
	head_note(&oplog->id, &oplog->head, key, text);
	printf("%s", text);
	return all->since ? say_consistency(all, oplog) : 0;
}

static int find_checkpoints(struct checkpoints *all, const char *office, const char *lane,
	const char *since) {
	int ending;

	all->row = office ? home_find_office(all->home, office, OFFICES_KNOWN) : all->home->own;
	if (!all->row)
		return home_no_office(all->home, office, OFFICES_KNOWN);
	all->has_lane = lane != NULL;
	if (lane && !words_find(&words_lane, span_str(lane), &all->lane))
		return misuse(_("--lane: write urgent, normal or bulk"));
	if (!option_number("since", since, &all->since, &ending))
		return ending;
	if (since && all->since == 0)
		return misuse(_("--since: write a size that you have seen, a number from 1"));
	return DONE;
}

int command_checkpoint(struct tool *tool, int argc, char **argv) {
	struct checkpoints all = { 0 };
	const char *lane = NULL, *since = NULL;
	const struct option_def options[] = {
		{ "lane", N_("WORD"), N_("only urgent, normal or bulk"), .value = &lane },
		{ "since", N_("SIZE"), N_("also the proof that the oplog has only grown since it had this size"),
			.value = &since },
		{ "key", NULL, N_("the keys to verify with, in place of the heads"), .flag = &all.vkeys },
	};
	const struct usage usage = { "checkpoint", "[OFFICE]",
		N_("Prints the newest head of each oplog of an office (this one, if none is named) as a C2SP signed note, which public transparency-log tools can verify."),
		options, N_ELEMENTS(options), 0, 1 };
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
	all.home = &home;
	ending = find_checkpoints(&all, n_args ? args[0] : NULL, lane, since);
	if (ending == DONE) {
		r = oplog_each_of(home.txn, &all.row->office.id, say_checkpoint, &all);
		ending = r ? home_failed(r) : DONE;
		if (ending == DONE && all.ahead)
			ending = refuse(_("--since: an oplog has not had that size yet, or not here; see: lienthong checkpoint, and name one with --lane"));
	}
	home_close(&home);
	return ending;
}
