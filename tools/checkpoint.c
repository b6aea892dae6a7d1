/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Heads of oplogs: as public transparency-log tools read them, and another's compared with what is here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/files.h"
#include "tools/home.h"
#include "tools/place.h"

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
static int say_consistency(const struct checkpoints *all, const struct oplog *oplog, uint64_t size) {
	struct oplog_leaves leaves = { all->home->txn, oplog };
	struct merkle_proof proof;
	int r;

	if (all->since == size)
		return 0;
	r = merkle_consistency_prove(all->since, size, oplog_leaf_hash, &leaves, &proof);
	for (size_t i = 0; r == 0 && i < proof.n; i++)
		say_base64((struct span){ proof.node[i].b, sizeof(proof.node[i].b) });
	return r;
}

/* The newest head that counts: where an oplog ended, no head beyond does. 0, STORE_NOT_FOUND or -errno. */
static int newest_head(const struct checkpoints *all, const struct oplog *oplog, struct head *ret_head) {
	uint64_t limit = office_limit(&all->row->office, &all->row->former, &oplog->id);
	struct head head = oplog->head;
	int r = 0;

	if (head.size > limit)
		r = limit ? oplog_next_head(all->home->txn, oplog, limit - 1, &head) : STORE_NOT_FOUND;
	if (r == 0 && (head.size == 0 || head.size > limit))
		r = STORE_NOT_FOUND;
	if (r == 0)
		*ret_head = head;
	return r;
}

static int say_checkpoint(void *userdata, const struct oplog *oplog) {
	struct checkpoints *all = userdata;
	const uint8_t *key;
	char text[HEAD_NOTE_MAX];
	struct head head;
	int r;

	if (all->has_lane && oplog->id.lane != all->lane)
		return 0;
	r = newest_head(all, oplog, &head);
	if (r)
		return r < 0 ? r : 0;
	if (all->since > head.size) {
		all->ahead = true;
		return 0;
	}
	key = office_key_of(&all->row->office, &all->row->former, &oplog->id, head.size);
	if (!key)
		return -EIO;
	if (all->vkeys) {
		head_vkey(&oplog->id, key, text);
		printf("%s\n", text);
		return 0;
	}
	if (all->n++ > 0)
		printf("\n");
	head_note(&oplog->id, &head, key, text);
	printf("%s", text);
	return all->since ? say_consistency(all, oplog, head.size) : 0;
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

/* Another's heads */

enum {
	COMPARED_FILE_MAX = 1 << 20, /* bytes: as many heads as an office can have, several times over */
};

enum finding {
	FINDING_AGREES,
	FINDING_DIFFERS,    /* its office signed two histories */
	FINDING_NOT_HERE,   /* yet, or any more */
	FINDING_UNKNOWN,    /* an office that is not known here */
	FINDING_NOT_SIGNED, /* by that office */
};

static const char *const findings[] = {
	[FINDING_AGREES] = N_("agrees"),
	[FINDING_DIFFERS] = N_("another-history"),
	[FINDING_NOT_HERE] = N_("not-here"),
	[FINDING_UNKNOWN] = N_("unknown-office"),
	[FINDING_NOT_SIGNED] = N_("not-signed"),
};

static const struct words words_finding = { findings, N_ELEMENTS(findings) };

static const struct column compared_columns[] = {
	{ .key = "last", .title = N_("Up to") },
	{ .key = "finding", .title = N_("Compared with what is here") },
};

/* A finding or -errno. */
static int compare(const struct home *home, const struct oplog_id *id, const struct head *head) {
	_cleanup_(verifier_freep) struct verifier *key = NULL;
	const struct office_row *row = home_office_by_id(home, &id->office);
	const uint8_t *signed_with;
	struct oplog oplog;
	int r;

	if (!row)
		return FINDING_UNKNOWN;
	signed_with = office_key_of(&row->office, &row->former, id, head->size);
	if (!signed_with)
		return FINDING_NOT_HERE;
	r = verifier_new(signed_with, &key);
	if (r == 0)
		r = head_verify(key, id, head);
	if (r)
		return r < 0 ? r : FINDING_NOT_SIGNED;
	r = oplog_load(home->txn, id, &oplog);
	if (r == 0)
		r = oplog_compare(home->txn, &oplog, head);
	return r <= 0 ? r : r == OPLOG_DIFFERS ? FINDING_DIFFERS : FINDING_NOT_HERE;
}

static unsigned line_of(struct span text, size_t at) {
	unsigned line = 1;

	for (size_t i = 0; i < at; i++)
		line += text.data[i] == '\n';
	return line;
}

/* Lines as they end on this system, whatever mail made of them; how long that is. */
static size_t without_returns(uint8_t *text, size_t len) {
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (text[i] != '\r' || i + 1 == len || text[i + 1] != '\n')
			text[n++] = text[i];
	return n;
}

/* All notes of the text; @ret_found: how many there were of each finding. DONE, or an ending with its words. */
static int compare_all(const struct home *home, const char *path, struct span text, struct listing *listing,
	unsigned ret_found[N_ELEMENTS(findings)]) {
	unsigned n = 0;

	for (size_t at = 0, len; at < text.len;) {
		struct oplog_id oplog;
		struct head head;
		int finding;

		if (text.data[at] == '\n') {
			at++;
			continue;
		}
		if (head_note_read((struct span){ text.data + at, text.len - at }, &oplog, &head, &len) || head.size == 0)
			return misuse(_("%s, line %u: this is not a head as lienthong checkpoint prints it"), path,
				line_of(text, at));
		finding = compare(home, &oplog, &head);
		if (finding < 0)
			return home_failed(finding);
		cell_place(listing, home, &(struct place){ oplog, head.size - 1 });
		cell_word(listing, &words_finding, (uint64_t)finding);
		ret_found[finding]++;
		n++;
		/* a proof that it has only grown may follow, and witnesses' signatures */
		for (at += len; at < text.len && text.data[at] != '\n'; at++)
			while (at < text.len && text.data[at] != '\n')
				at++;
	}
	return n ? DONE : misuse(_("%s is empty"), path);
}

static int compare_file(const struct tool *tool, const struct home *home, const char *path) {
	_cleanup_(listing_done) struct listing listing;
	unsigned found[N_ELEMENTS(findings)] = { 0 };
	uint8_t *bytes;
	size_t len;
	int r = file_read(path, COMPARED_FILE_MAX, &bytes, &len);
	int ending, shown;

	listing_init(&listing, compared_columns, N_ELEMENTS(compared_columns));
	if (r)
		return fail(_("cannot read %s: %s"), path, file_error(r));
	ending = compare_all(home, path, (struct span){ bytes, without_returns(bytes, len) }, &listing, found);
	free(bytes);
	shown = listing_show(&listing, tool->json, "");
	if (ending || shown)
		return ending ? ending : shown;
	if (found[FINDING_DIFFERS])
		return fail(_("an office signed another history than what is here: keep this file, and show it to the office above"));
	if (found[FINDING_NOT_SIGNED])
		return fail(_("somebody else than the office signed a head in %s, or it was changed"), path);
	return found[FINDING_NOT_HERE] || found[FINDING_UNKNOWN] ?
		refuse(_("not all of it could be compared: what is not here may come, or counts no more")) : DONE;
}

int command_checkpoint(struct tool *tool, int argc, char **argv) {
	struct checkpoints all = { 0 };
	const char *lane = NULL, *since = NULL, *path = NULL;
	const struct option_def options[] = {
		{ "lane", N_("WORD"), N_("only urgent, normal or bulk"), .value = &lane },
		{ "since", N_("SIZE"), N_("also the proof that the oplog has only grown since it had this size"),
			.value = &since },
		{ "key", NULL, N_("the keys to verify with, in place of the heads"), .flag = &all.vkeys },
		{ "compare", N_("FILE"), N_("instead, whether what is here is what the heads in the file sign"),
			.value = &path },
	};
	const struct usage usage = { "checkpoint", "[OFFICE] | --compare FILE",
		N_("Prints the newest head of each oplog of an office (this one, if none is named) as a C2SP signed note, which public transparency-log tools can verify."),
		options, N_ELEMENTS(options), 0, 1 };
	struct home home;
	char **args;
	int n_args;
	int ending;
	int r;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (tool->json && !path)
		return misuse(_("heads and keys are for programs as they are: without --json"));
	if (path && (n_args || lane || since || all.vkeys))
		return misuse(_("--compare stands alone: the file says whose heads they are"));
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	all.home = &home;
	ending = path ? compare_file(tool, &home, path) : find_checkpoints(&all, n_args ? args[0] : NULL, lane, since);
	if (ending == DONE && !path) {
		r = oplog_each_of(home.txn, &all.row->office.id, say_checkpoint, &all);
		ending = r ? home_failed(r) : DONE;
		if (ending == DONE && all.ahead)
			ending = refuse(_("--since: an oplog has not had that size yet, or not here; see: lienthong checkpoint, and name one with --lane"));
	}
	home_close(&home);
	return ending;
}
