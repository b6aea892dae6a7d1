/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Checks everything that can be checked without trusting whoever wrote the store: each oplog
 * against the heads its origin signed, the register against the records that enrol offices, and
 * the derived tables by making them again.
 */
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/cursor.h"
#include "store/fold.h"
#include "tools/home.h"

enum {
	FAULT_MAX = 200,
	KEY_SHOWN = 24, /* bytes of a key in a message */
	SCRATCH_MIN = 256 << 20,
};

static const struct column oplog_columns[] = {
	{ .key = "office", .title = N_("Office") },
	{ .key = "office_id" },
	{ .key = "epoch", .title = N_("Epoch"), .right = true },
	{ .key = "lane", .title = N_("Lane") },
	{ .key = "records", .title = N_("Records"), .right = true },
	{ .key = "withheld", .title = N_("Withheld"), .right = true },
	{ .key = "heads", .title = N_("Heads"), .right = true },
	{ .key = "ok" },
	{ .key = "fault", .title = N_("Result") },
};

static const struct column fault_columns[] = {
	{ .key = "what", .title = N_("What") },
	{ .key = "fault", .title = N_("Fault") },
};

/* What the newest office record about an office says of its row in the register. */
struct enrolment {
	bool found;
	bool equal;
	uint64_t arrival;
};

struct checking {
	const struct home *home;
	struct listing oplogs;
	struct listing faults;    /* what no single oplog is to blame for */
	struct enrolment *enrolments; /* as home->offices */
	uint64_t records;
	size_t n_bad;
};

/* One oplog on its way to a verdict: only the first fault is kept. */
struct oplog_check {
	struct checking *checking;
	const struct oplog *oplog;
	struct verifier *key;
	struct frontier frontier;
	uint64_t proved; /* so many are as the last head that fits says */
	uint64_t bytes;
	uint64_t withheld;
	uint64_t heads;
	char fault[FAULT_MAX];
};

__attribute__((format(printf, 2, 3))) static void blame(struct oplog_check *check,
	const char *format, ...) {
	va_list args;

	if (check->fault[0])
		return;
	va_start(args, format);
	vsnprintf(check->fault, sizeof(check->fault), format, args);
	va_end(args);
}

__attribute__((format(printf, 3, 4))) static void add_fault(struct checking *checking,
	const char *what, const char *format, ...) {
	char text[FAULT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cell_str(&checking->faults, what);
	cell_str(&checking->faults, text);
}

static bool same_office(const struct office *a, const struct office *b) {
	uint8_t left[OFFICE_NAME_MAX + OFFICE_LEVEL_MAX + 256];
	uint8_t right[sizeof(left)];
	struct writer w, v;

	writer_init(&w, left, sizeof(left));
	writer_init(&v, right, sizeof(right));
	office_encode(a, &w);
	office_encode(b, &v);
	return writer_ok(&w) && writer_ok(&v) && span_eq(writer_span(&w), writer_span(&v));
}

/* Only an office's parent, or the topmost itself, may say who it is. */
static void note_enrolment(struct checking *checking, const struct id *origin, struct span body,
	uint64_t arrival) {
	const struct office_row *row;
	struct enrolment *enrolment;
	struct office office;

	if (office_decode(body, &office) ||
		!id_eq(origin, id_is_nil(&office.parent) ? &office.id : &office.parent))
		return;
	row = home_office_by_id(checking->home, &office.id);
	if (!row || !id_eq(&row->office.parent, &office.parent))
		return;
	enrolment = &checking->enrolments[row - checking->home->offices];
	if (enrolment->found && enrolment->arrival > arrival)
		return;
	*enrolment = (struct enrolment){ true, same_office(&row->office, &office), arrival };
}

static void check_leaf(struct oplog_check *check, const struct leaf *leaf, uint64_t arrival) {
	struct record record;
	struct hash hash;

	if (leaf->withheld) {
		hash = leaf->hash;
		check->withheld++;
		check->bytes += sizeof(hash.b);
	} else {
		merkle_leaf(leaf->bytes, &hash);
		check->bytes += leaf->bytes.len;
		if (record_kind(leaf->bytes) == KIND_OFFICE && record_decode(leaf->bytes, &record) == 0)
			note_enrolment(check->checking, &check->oplog->id.office, record.body, arrival);
	}
	frontier_append(&check->frontier, &hash);
}

static int check_head(struct oplog_check *check, const struct head *head) {
	struct hash root;
	int r;

	frontier_root(&check->frontier, &root);
	check->heads++;
	if (memcmp(root.b, head->root.b, sizeof(root.b)) != 0) {
		blame(check, _("one of the numbers %llu to %llu is not what its office signed"),
			(unsigned long long)check->proved, (unsigned long long)head->size - 1);
		return 0;
	}
	check->proved = head->size;
	if (!check->key)
		return 0;
	r = head_verify(check->key, &check->oplog->id, head);
	if (r == SIGN_BAD_SIGNATURE)
		blame(check, _("the head at %llu is not signed by its office"),
			(unsigned long long)head->size);
	return r < 0 ? r : 0;
}

/* The next kept head; size 0: there is none. */
static int next_head(struct oplog_check *check, uint64_t from, struct head *ret_head) {
	int r = oplog_next_head(check->checking->home->txn, check->oplog, from, ret_head);

	if (r == STORE_NOT_FOUND)
		ret_head->size = 0;
	return r < 0 ? r : 0;
}

static int walk_leaves(struct oplog_check *check) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct head head = { 0 };
	struct leaf leaf;
	uint64_t arrival;
	uint64_t index;
	int r;

	r = next_head(check, 0, &head);
	if (r == 0)
		r = oplog_walk_open(check->checking->home->txn, check->oplog, 0, &walk);
	while (r == 0) {
		r = oplog_walk_next(walk, &index, &leaf, &arrival);
		if (r)
			break;
		if (index != check->frontier.size) {
			blame(check, _("number %llu is missing"), (unsigned long long)check->frontier.size);
			return 0;
		}
		check_leaf(check, &leaf, arrival);
		if (check->frontier.size == head.size) {
			r = check_head(check, &head);
			if (r == 0)
				r = next_head(check, head.size, &head);
		}
	}
	if (r == STORE_NOT_FOUND && head.size > 0)
		blame(check, _("number %llu is missing: a head covers %llu"),
			(unsigned long long)check->frontier.size, (unsigned long long)head.size);
	return r == STORE_NOT_FOUND ? 0 : r;
}

static void check_row(struct oplog_check *check) {
	uint8_t made[FRONTIER_ENCODED_MAX];
	uint8_t kept[FRONTIER_ENCODED_MAX];
	const struct oplog *oplog = check->oplog;
	size_t made_len = frontier_encode(&check->frontier, made);
	size_t kept_len = frontier_encode(&oplog->frontier, kept);

	if (check->frontier.size != oplog->frontier.size)
		blame(check, _("number %llu is missing: its row says %llu records"),
			(unsigned long long)check->frontier.size,
			(unsigned long long)oplog->frontier.size);
	if (!span_eq((struct span){ made, made_len }, (struct span){ kept, kept_len }))
		blame(check, _("its kept tree differs from its records (first %llu)"),
			(unsigned long long)oplog->frontier.size);
	if (check->bytes != oplog->bytes)
		blame(check, _("its row says %llu bytes, its records have %llu"),
			(unsigned long long)oplog->bytes, (unsigned long long)check->bytes);
	if (oplog->head.size != oplog->frontier.size)
		blame(check, _("number %llu and those after it are not covered by a signed head"),
			(unsigned long long)oplog->head.size);
}

static int open_key(struct oplog_check *check) {
	const struct office_row *row =
		home_office_by_id(check->checking->home, &check->oplog->id.office);
	int r;

	if (!row) {
		blame(check, _("its office is not in the register"));
		return 0;
	}
	r = verifier_new(row->office.sign_key, &check->key);
	if (r == SIGN_BAD_KEY)
		blame(check, _("the key of its office in the register cannot be used"));
	return r < 0 ? r : 0;
}

static void list_oplog(const struct oplog_check *check) {
	struct listing *listing = &check->checking->oplogs;
	const struct oplog *oplog = check->oplog;
	const char *fine = oplog->flags & OPLOG_QUARANTINED ?
		_("in order; set aside: nothing more is accepted") : _("in order");

	cell_office_id(listing, check->checking->home, &oplog->id.office);
	cell_id(listing, &oplog->id.office);
	cell_count(listing, oplog->id.epoch);
	cell_word(listing, &words_lane, oplog->id.lane);
	cell_count(listing, check->frontier.size);
	cell_count(listing, check->withheld);
	cell_count(listing, check->heads);
	cell_bool(listing, check->fault[0] == '\0');
	if (check->fault[0])
		cell_str(listing, check->fault);
	else
		cell(listing, json_null(), "%s", fine);
}

static int check_oplog(void *userdata, const struct oplog *oplog) {
	struct checking *checking = userdata;
	struct oplog_check check = { .checking = checking, .oplog = oplog };
	int r;

	frontier_init(&check.frontier);
	r = open_key(&check);
	if (r == 0)
		r = walk_leaves(&check);
	if (r == -ENOMEM) {
		verifier_free(check.key);
		return r;
	}
	if (r < 0)
		blame(&check, _("number %llu cannot be read: %s"),
			(unsigned long long)check.frontier.size, strerror(-r));
	check_row(&check);
	checking->records += check.frontier.size;
	checking->n_bad += check.fault[0] != '\0';
	list_oplog(&check);
	verifier_free(check.key);
	return 0;
}

static void check_register(struct checking *checking) {
	const struct home *home = checking->home;

	for (size_t i = 0; i < home->n_offices; i++) {
		const struct office_row *row = &home->offices[i];
		const struct enrolment *enrolment = &checking->enrolments[i];
		char label[OFFICE_LABEL_MAX];

		office_label(row, label);
		/* this office and those above it were pinned when it joined */
		if (!enrolment->found && !home_is_within(home, &home->own->office.id, &row->office.id))
			add_fault(checking, label, "%s", _("stands in the register, and no record enrols it"));
		if (enrolment->found && !enrolment->equal)
			add_fault(checking, label, "%s",
				_("the register does not say what the newest record of its parent says"));
	}
}

static int check_total(struct checking *checking) {
	uint64_t records;
	int r;

	r = txn_count(checking->home->txn, TABLE_RECORDS, &records);
	if (r)
		return r;
	if (records != checking->records)
		add_fault(checking, _("records"), _("%llu are kept, the oplogs have %llu"),
			(unsigned long long)records, (unsigned long long)checking->records);
	return 0;
}

static int check_cursor(void *userdata, const struct oplog *oplog) {
	struct checking *checking = userdata;
	const struct home *home = checking->home;

	for (size_t i = 0; i < home->n_offices; i++) {
		const struct office_row *row = &home->offices[i];
		char label[OFFICE_LABEL_MAX];
		uint64_t size;
		int r;

		if (row != home_parent(home) && !home_is_child(home, row))
			continue;
		r = cursor_get(home->txn, &row->office.id, &oplog->id, &size);
		if (r)
			return r;
		if (size <= oplog->frontier.size)
			continue;
		office_label(row, label);
		add_fault(checking, label,
			_("has acknowledged %llu records of an oplog of which %llu are here: this store is older than what was sent"),
			(unsigned long long)size, (unsigned long long)oplog->frontier.size);
	}
	return 0;
}

/* What is made again from the oplogs. */
static const struct {
	enum table table;
	const char *name;
} derived[] = {
	{ TABLE_CASES, N_("cases") },
	{ TABLE_STEPS, N_("steps") },
	{ TABLE_ESCALATIONS, N_("escalations") },
	{ TABLE_WAITING, N_("clocks") },
	{ TABLE_TALLIES, N_("counts") },
};

static void format_key(struct span key, char ret_text[2 * KEY_SHOWN + 1]) {
	ret_text[0] = '\0';
	for (size_t i = 0; i < key.len && i < KEY_SHOWN; i++)
		sprintf(ret_text + 2 * i, "%02x", key.data[i]);
}

static int compare_table(struct checking *checking, struct txn *made, enum table table,
	const char *name) {
	_cleanup_(scan_closep) struct scan *ours = NULL;
	_cleanup_(scan_closep) struct scan *theirs = NULL;
	struct span our_key = { 0 }, our_value = { 0 }, made_key = { 0 }, made_value = { 0 };
	char key[2 * KEY_SHOWN + 1];
	int r, s;

	r = scan_open(checking->home->txn, table, (struct span){ 0 }, &ours);
	if (r == 0)
		r = scan_open(made, table, (struct span){ 0 }, &theirs);
	if (r)
		return r;
	do {
		r = scan_next(ours, &our_key, &our_value);
		s = scan_next(theirs, &made_key, &made_value);
		if (r < 0 || s < 0)
			return r < 0 ? r : s;
	} while (r == 0 && s == 0 && span_eq(our_key, made_key) && span_eq(our_value, made_value));
	if (r == STORE_NOT_FOUND && s == STORE_NOT_FOUND)
		return 0;
	format_key(r == 0 ? our_key : made_key, key);
	add_fault(checking, _(name), _("differ from what the records give, first at %s"), key);
	return 0;
}

static int rebuild_into(struct checking *checking, const char *path, uint64_t map_size) {
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *made = NULL;
	int r;

	r = store_create(path, map_size);
	if (r == 0)
		r = store_open(path, STORE_WRITE, map_size, &store);
	if (r == 0)
		r = fold_rebuild(checking->home->txn, store);
	if (r == 0)
		r = store_begin_read(store, &made);
	for (size_t i = 0; i < N_ELEMENTS(derived) && r == 0; i++)
		r = compare_table(checking, made, derived[i].table, derived[i].name);
	return r > 0 ? -EIO : r;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	(void)remove(path);
	return 0;
}

/* Makes the derived tables again in a store that is thrown away. 0, an ending, or -errno. */
static int check_derived(struct checking *checking) {
	const char *tmp = getenv("TMPDIR");
	char *folder = NULL;
	char *path = NULL;
	uint64_t used;
	uint64_t max;
	int r;

	r = store_usage(checking->home->store, &used, &max);
	if (r)
		return r;
	if (asprintf(&folder, "%s/lienthong-verify-XXXXXX", tmp ? tmp : "/tmp") < 0)
		return -ENOMEM;
	if (!mkdtemp(folder)) {
		r = fail(_("cannot make the directory %s: %s"), folder, strerror(errno));
		free(folder);
		return r;
	}
	r = asprintf(&path, "%s/store", folder) < 0 ? -ENOMEM : 0;
	if (r == 0)
		r = rebuild_into(checking, path, 2 * used + SCRATCH_MIN);
	if (r == -ENOSPC)
		r = fail(_("there is no room in %s to make the tables again; set TMPDIR to another disk, or use --quick"),
			folder);
	(void)nftw(folder, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
	free(path);
	free(folder);
	return r;
}

static int show(const struct tool *tool, struct checking *checking, bool quick) {
	bool ok = checking->n_bad == 0 && checking->faults.n_cells == 0;

	if (checking->oplogs.failed || checking->faults.failed)
		return fail_memory();
	if (tool->json) {
		int ending = json_show(json_pack("{s:b, s:b, s:o?, s:o?}", "ok", ok, "rebuilt", !quick,
			"oplogs", listing_rows(&checking->oplogs), "faults",
			listing_rows(&checking->faults)));

		return ending ? ending : ok ? DONE : FAILED;
	}
	listing_table(&checking->oplogs);
	if (checking->faults.n_cells > 0) {
		say("%s", "");
		listing_table(&checking->faults);
	}
	say("%s", "");
	if (!ok) {
		say(_("NOT IN ORDER (oplogs: %zu, other faults: %zu). Keep a copy of this store; do not delete anything."),
			checking->n_bad, checking->faults.n_cells / N_ELEMENTS(fault_columns));
		return FAILED;
	}
	if (quick)
		say(_("In order: %llu records as their offices signed them. The tables were not made again."),
			(unsigned long long)checking->records);
	else
		say(_("In order: %llu records as their offices signed them, and every table is what they give."),
			(unsigned long long)checking->records);
	return DONE;
}

static int check_all(const struct tool *tool, struct checking *checking, bool quick) {
	struct txn *txn = checking->home->txn;
	int r;

	r = oplog_each(txn, check_oplog, checking);
	if (r == 0)
		r = check_total(checking);
	if (r == 0)
		r = oplog_each(txn, check_cursor, checking);
	if (r)
		return home_failed(r);
	check_register(checking);
	if (!quick) {
		r = check_derived(checking);
		if (r < 0) /* what cannot even be folded is a fault like the others */
			add_fault(checking, _("tables"), _("cannot be made again: %s"), strerror(-r));
		else if (r > 0)
			return r;
	}
	return show(tool, checking, quick);
}

int command_verify(struct tool *tool, int argc, char **argv) {
	bool quick = false;
	const struct option_def options[] = {
		{ "quick", NULL, N_("do not make the tables again"), .flag = &quick },
	};
	const struct usage usage = { "verify", NULL,
		N_("Checks the whole store: every record against what its office signed, the register, and every table by making it again. Trusts nothing but the register's keys. Works with the node down, and on a copy."),
		options, N_ELEMENTS(options), 0, 0 };
	struct checking checking = { 0 };
	struct home home;
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	ending = home_open(tool, &home);
	if (ending)
		return ending;
	checking.home = &home;
	checking.enrolments = calloc(home.n_offices, sizeof(*checking.enrolments));
	listing_init(&checking.oplogs, oplog_columns, N_ELEMENTS(oplog_columns));
	listing_init(&checking.faults, fault_columns, N_ELEMENTS(fault_columns));
	ending = checking.enrolments ? check_all(tool, &checking, quick) : fail_memory();
	listing_done(&checking.oplogs);
	listing_done(&checking.faults);
	free(checking.enrolments);
	home_close(&home);
	return ending;
}
