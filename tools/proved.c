/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A proof in a file (proto/proof.h) checked: without any store, and against a register where one is at hand. */
#include "tools/proved.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/kinds/petition.h"
#include "proto/proof.h"
#include "proto/record.h"
#include "proto/reference.h"
#include "tools/enrolment.h"
#include "tools/files.h"
#include "tools/home.h"

static const struct column proof_columns[] = {
	{ .key = "kind", .title = N_("Record") },
	{ .key = "reference", .title = N_("Reference") },
	{ .key = "text", .title = N_("Text") },
	{ .key = "recorded", .title = N_("Recorded") },
	{ .key = "hash", .title = N_("Leaf hash") },
	{ .key = "office", .title = N_("Kept by") },
	{ .key = "chain", .title = N_("Enrolled by") },
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
	hex_format((struct span){ hash.b, sizeof(hash.b) }, text);
	cell_str(listing, text);
}

/* What a register says of the offices of a proof. */
enum verdict {
	REGISTER_NONE,     /* there is none here */
	REGISTER_AGREES,
	REGISTER_UNKNOWN,  /* it agrees, as far as it knows them */
	REGISTER_KEY,      /* another key was an office's, */
	REGISTER_ENDED,    /* or none any more; */
	REGISTER_PARENT,   /* or it was never below the one that says who it is, */
	REGISTER_MISSING,  /* or it would have to know an office and does not */
};

static const char *const verdict_words[] = {
	[REGISTER_AGREES] = "agrees",
	[REGISTER_UNKNOWN] = "unknown",
	[REGISTER_KEY] = "another-key",
	[REGISTER_ENDED] = "ended",
	[REGISTER_PARENT] = "another-parent",
	[REGISTER_MISSING] = "missing",
};

/* A proof that holds, and what is known of its offices here. */
struct proved {
	const struct tool *tool;
	const struct proof *proof;
	const struct office *offices; /* who wrote each link */
	const struct home *home;      /* NULL: there is none */
	enum verdict verdict;
	size_t at;      /* the link of the office that it is about */
	size_t revoked; /* a link of one that is revoked by now, as the proof or the register says; n_links: none */
};

static const struct office_row *known(const struct proved *proved, size_t at) {
	return proved->home ? home_office_by_id(proved->home, &proved->offices[at].id) : NULL;
}

static bool is_topmost(const struct proved *proved, size_t at) {
	return id_eq(&proved->offices[at].id, &proved->proof->root.id);
}

enum {
	VOUCHER_MAX = 2 * OFFICE_LABEL_MAX + 96,
};

/* Who wrote link @at, and how the register calls it by now; of the topmost office the file has only id and keys. */
static void voucher(const struct proved *proved, size_t at, char ret_text[VOUCHER_MAX]) {
	const struct office_row row = { .office = proved->offices[at] };
	const struct office_row *held = known(proved, at);
	char label[OFFICE_LABEL_MAX], present[OFFICE_LABEL_MAX];
	size_t len;

	office_label(&row, label);
	if (held)
		office_label(held, present);
	if (is_topmost(proved, at)) {
		snprintf(ret_text, VOUCHER_MAX, held ? _("%s (the topmost office)") : "%s",
			held ? present : _("the topmost office"));
		return;
	}
	len = (size_t)snprintf(ret_text, VOUCHER_MAX, row.office.has_end ? _("%s (revoked)") : "%s", label);
	if (held && strcmp(label, present) != 0 && len < VOUCHER_MAX)
		snprintf(ret_text + len, VOUCHER_MAX - len, _(" (now %s)"), present);
}

/* The first link towards the root, from @at on, that another office wrote; n_links: none. */
static size_t next_above(const struct proof *proof, size_t at) {
	size_t above = at;

	while (above < proof->n_links && id_eq(&proof->links[above].oplog.office, &proof->links[at].oplog.office))
		above++;
	return above;
}

/* For people the offices above the writer, upward; for programs all, from the topmost down. */
static void cell_chain(struct listing *listing, const struct proved *proved) {
	char text[VOUCHER_MAX], id[OFFICE_ID_TEXT_LEN + 1];
	json_t *chain = json_array();
	char *names = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&names, &len);

	for (size_t at = 0; f && at < proved->proof->n_links; at = next_above(proved->proof, at)) {
		const struct office_row row = { .office = proved->offices[at] };
		const struct office_row *held = known(proved, at);
		char label[OFFICE_LABEL_MAX], present[OFFICE_LABEL_MAX];

		id_format(&row.office.id, id);
		office_label(&row, label);
		if (held)
			office_label(held, present);
		voucher(proved, at, text);
		if (at > 0)
			fprintf(f, ftell(f) > 0 ? _(", by %s") : "%s", text);
		(void)json_array_insert_new(chain, 0, json_pack("{s:s, s:s?, s:s?, s:b}", "office_id", id, "office",
			is_topmost(proved, at) ? NULL : label, "register_office", held ? present : NULL, "revoked",
			row.office.has_end));
	}
	if (f && fclose(f) == 0)
		cell(listing, chain, "%s", names);
	else
		listing->failed = true;
	free(names);
}

static void cell_topmost(struct listing *listing, const struct proved *proved) {
	const struct id *id = &proved->proof->root.id;
	const struct office_row *held = known(proved, proved->proof->n_links - 1);
	char text[OFFICE_ID_TEXT_LEN + 1], label[OFFICE_LABEL_MAX];

	id_format(id, text);
	if (held)
		office_label(held, label);
	cell(listing, json_string(text), "%s", held ? label : text);
}

static void fill_proof(struct listing *listing, const struct proved *proved) {
	const struct proof_link *link = &proved->proof->links[0];
	const char *lane = words_name(&words_lane, link->oplog.lane);
	char text[VOUCHER_MAX], fingerprint[FINGERPRINT_MAX];

	fill_record(listing, &link->leaf);
	cell_hash(listing, &link->leaf);
	voucher(proved, 0, text);
	cell_str(listing, text);
	cell_chain(listing, proved);
	cell(listing, json_sprintf("%u/%s", link->oplog.epoch, lane ? lane : "?"), "%u/%s", link->oplog.epoch,
		lane ? _(lane) : "?");
	cell_count(listing, link->index);
	cell_count(listing, link->head.size);
	cell_topmost(listing, proved);
	enrolment_fingerprint(&proved->proof->root, fingerprint);
	cell_str(listing, fingerprint);
}

static size_t find_revoked(const struct proved *proved) {
	size_t at = 0;

	for (; at < proved->proof->n_links && !proved->offices[at].has_end; at++) {
		const struct office_row *row = known(proved, at);

		if (row && row->office.has_end)
			break;
	}
	return at;
}

/*
 * Whether link @at is signed with the key that the register has for it. A change of the present key that the
 * proof shows, and the register has not heard of, is believed. @leads: the links of this office until now lead
 * to such a change; kept up to date.
 */
static enum verdict compare_key(const struct office_row *row, const struct proof_link *link,
	const struct office *writer, bool *leads) {
	const uint8_t *key = office_key_of(&row->office, &row->former, &link->oplog, link->head.size);
	bool present = key == row->office.sign_key;

	if (!key)
		return REGISTER_ENDED;
	if (memcmp(writer->sign_key, key, SIGN_PUBLIC_LEN) != 0)
		return *leads && present ? REGISTER_AGREES : REGISTER_KEY;
	*leads = present;
	return REGISTER_AGREES;
}

/* Whether the register has the office of link @at below the one that enrols it in the proof, or had. */
static bool was_below(const struct proved *proved, const struct office_row *row, size_t at) {
	size_t above = next_above(proved->proof, at);
	const struct id *parent;

	if (above == proved->proof->n_links)
		return true;
	parent = &proved->proof->links[above].oplog.office;
	return id_eq(&row->office.parent, parent) || office_had_parent(&row->parents, parent);
}

/* Link by link from the root down. All offices below its own are in a register. */
static void compare(struct proved *proved) {
	const struct office_row *row = NULL, *last;
	bool leads = false, below = false;

	proved->verdict = REGISTER_AGREES;
	for (size_t at = proved->proof->n_links; at-- > 0;) {
		enum verdict verdict = REGISTER_UNKNOWN;

		last = row;
		row = known(proved, at);
		leads = leads && row == last;
		below = below || row == proved->home->own;
		if (row)
			verdict = compare_key(row, &proved->proof->links[at], &proved->offices[at], &leads);
		else if (below)
			verdict = REGISTER_MISSING;
		if (verdict == REGISTER_AGREES && !was_below(proved, row, at))
			verdict = REGISTER_PARENT;
		if (verdict == REGISTER_AGREES)
			continue;
		proved->verdict = verdict;
		proved->at = at;
		if (verdict != REGISTER_UNKNOWN)
			return;
	}
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

static int say_differs(const struct proved *proved) {
	const char *home = proved->tool->home;
	char office[VOUCHER_MAX];

	voucher(proved, proved->at, office);
	switch (proved->verdict) {
	case REGISTER_KEY:
		say(_("NOT PROVED for the register in %s: it has another key of %s."), home, office);
		break;
	case REGISTER_ENDED:
		say(_("NOT PROVED for the register in %s: %s was revoked, or had begun another life, before this was written."),
			home, office);
		break;
	case REGISTER_PARENT:
		say(_("NOT PROVED for the register in %s: it does not have %s below the office that says here who that is, and never had."),
			home, office);
		break;
	default:
		say(_("NOT PROVED for the register in %s: it would have %s in it, and has not."), home, office);
	}
	return FAILED;
}

/* What a proof cannot say. */
static void say_limits(const struct proved *proved) {
	const char *home = proved->tool->home;
	char office[VOUCHER_MAX];

	if (proved->revoked < proved->proof->n_links) {
		const struct office_row row = { .office = proved->offices[proved->revoked] };

		office_label(&row, office);
		say(_("%s was revoked; what is proved lies before its end."), office);
	}
	voucher(proved, proved->at, office);
	if (proved->verdict == REGISTER_AGREES)
		say(_("The register in %s says the same of these offices."), home);
	else if (proved->verdict == REGISTER_UNKNOWN)
		say(_("The register in %s does not know %s; of those that it knows it says the same."), home, office);
	else
		say(_("There is no office in %s, with whose register these offices could be compared."), home);
	say(_("Each office in the chain can speak for those below it. Ask the office above whether one of them was revoked since."));
}

static int show_proof(const struct proved *proved, const char *root) {
	_cleanup_(listing_done) struct listing card;
	char fingerprint[FINGERPRINT_MAX];
	bool known_root, ok;

	enrolment_fingerprint(&proved->proof->root, fingerprint);
	known_root = root && enrolment_same_fingerprint(root, fingerprint);
	ok = (!root || known_root) && proved->verdict <= REGISTER_UNKNOWN;
	listing_init(&card, proof_columns, N_ELEMENTS(proof_columns));
	fill_proof(&card, proved);
	if (card.failed)
		return fail_memory();
	if (proved->tool->json) {
		int ending = json_show(json_pack("{s:b, s:b, s:s?, s:o?}", "ok", ok, "root_known", known_root, "register",
			verdict_words[proved->verdict], "proved", listing_object(&card)));

		return ending || ok ? ending : FAILED;
	}
	listing_cards(&card);
	say("%s", "");
	if (root && !known_root) {
		say(_("NOT PROVED: the topmost office of this proof has another fingerprint than the one given. Give the one that lienthong office list shows for proofs; it stays as it is when that office changes its key."));
		return FAILED;
	}
	if (proved->verdict > REGISTER_UNKNOWN)
		return say_differs(proved);
	if (known_root)
		say(_("Proved, by the office of which you gave the fingerprint."));
	else
		say(_("Proved, if the fingerprint is that of the topmost office: compare it with one that you have from elsewhere."));
	say_limits(proved);
	return DONE;
}

static int check_proof(const struct tool *tool, const struct proof *proof, const struct office *offices,
	const char *root) {
	_cleanup_(home_close) struct home home = { 0 };
	struct proved proved = { .tool = tool, .proof = proof, .offices = offices };
	int r;

	if (home_become_owner(tool->home))
		return FAILED;
	r = home_try(tool, &home);
	if (r && (tool->home_given || (r != STORE_NOT_FOUND && r != -ENOENT)))
		return home_open_failed(tool, r); /* it would have something to say */
	if (r == 0) {
		proved.home = &home;
		compare(&proved);
	}
	proved.revoked = find_revoked(&proved);
	return show_proof(&proved, root);
}

int proof_verify(const struct tool *tool, const char *path, const char *root) {
	struct office offices[PROOF_LINKS_MAX];
	uint8_t *bytes = NULL;
	struct proof *proof;
	size_t len = 0, at = 0;
	int ending, r;

	r = file_read(path, PROOF_FILE_MAX, &bytes, &len);
	if (r)
		return fail(_("cannot read %s: %s"), path, file_error(r));
	proof = calloc(1, sizeof(*proof));
	r = proof ? proof_read((struct span){ bytes, len }, proof) : -ENOMEM;
	if (r == 0)
		r = proof_check(proof, offices, &at);
	if (r < 0)
		ending = fail_memory();
	else if (r == 0)
		ending = check_proof(tool, proof, offices, root);
	else if (tool->json)
		ending = json_show(json_pack("{s:b, s:s}", "ok", false, "fault", why_not(r))) ? FAILED : FAILED;
	else
		ending = fail(_("%s proves nothing: %s"), path, _(why_not(r)));
	free(proof);
	free(bytes);
	return ending;
}
