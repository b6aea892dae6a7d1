/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Checks everything that can be checked without trusting whoever wrote the store: its tables, the derived ones by
 * making them again; the rest is verify_oplogs.c. And the command, in a process apart.
 */
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/changes.h"
#include "store/fold.h"
#include "tools/enrolment.h"
#include "tools/proved.h"
#include "tools/verify.h"

enum {
	KEY_SHOWN = 24, /* bytes of a key in a message */
	SCRATCH_MIN = 256 << 20,      /* of the map of the scratch store */
	SCRATCH_ROWS = 3,             /* times the bytes of the rows is what its pages take */
	SCRATCH_ROOM_MIN = 16 << 20,
	FULL_BELOW = 1 << 20,         /* so few free bytes are none */
	LMDB_ASSERTION = 76,          /* how store.h says that LMDB ends the process */
};

static const struct column fault_columns[] = {
	{ .key = "what", .title = N_("What") },
	{ .key = "fault", .title = N_("Fault") },
};

/* In JSON these words are as they stand here. */
static const char *const table_names[TABLE_N] = {
	[TABLE_META] = N_("settings"),
	[TABLE_OFFICES] = N_("register"),
	[TABLE_WORDS] = N_("what parents say"),
	[TABLE_OPLOGS] = N_("oplogs"),
	[TABLE_RECORDS] = N_("records"),
	[TABLE_RUNS] = N_("runs"),
	[TABLE_HEADS] = N_("heads"),
	[TABLE_SUBTREES] = N_("subtrees"),
	[TABLE_CURSORS] = N_("cursors"),
	[TABLE_CASES] = N_("cases"),
	[TABLE_STEPS] = N_("steps"),
	[TABLE_ESCALATIONS] = N_("escalations"),
	[TABLE_WAITING] = N_("clocks"),
	[TABLE_TALLIES] = N_("counts"),
	[TABLE_CHANGES] = N_("changes"),
	[TABLE_INVITES] = N_("invitations"),
	[TABLE_PRIVATE] = N_("private parts"),
	[TABLE_DISCLOSURES] = N_("disclosures"),
	[TABLE_REQUESTS] = N_("requests"),
	[TABLE_GRANTS] = N_("grants"),
};

static const char *table_name(const struct checking *checking, enum table table) {
	return for_reader(checking->tool->json, table_names[table]);
}

void verify_fault(struct checking *checking, const char *what, const char *format, ...) {
	char text[FAULT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), for_reader(checking->tool->json, format), args);
	va_end(args);
	cell_str(&checking->faults, what);
	cell_str(&checking->faults, text);
}

static int check_total(struct checking *checking) {
	uint64_t records;
	int r;

	r = txn_count(checking->home->txn, TABLE_RECORDS, &records);
	if (r)
		return r;
	if (records != checking->records)
		verify_fault(checking, table_name(checking, TABLE_RECORDS),
			N_("%llu are kept, the oplogs have %llu"),
			(unsigned long long)records, (unsigned long long)checking->records);
	return 0;
}

static bool read_cursor(struct span key, struct span value, struct id *ret_neighbour,
	struct oplog_id *ret_oplog, uint64_t *ret_size) {
	if (key.len != sizeof(ret_neighbour->b) + OPLOG_KEY_LEN || value.len != 8)
		return false;
	memcpy(ret_neighbour->b, key.data, sizeof(ret_neighbour->b));
	memcpy(ret_oplog->office.b, key.data + 16, sizeof(ret_oplog->office.b));
	ret_oplog->epoch = get_be32(key.data + 32);
	ret_oplog->lane = key.data[36];
	*ret_size = get_be64(value.data);
	return true;
}

static int check_cursor(struct checking *checking, struct span key, struct span value) {
	const struct home *home = checking->home;
	struct oplog oplog = { 0 };
	const struct office_row *row;
	struct oplog_id id = { 0 };
	struct id neighbour;
	uint64_t size;
	char label[OFFICE_LABEL_MAX];
	int r;

	row = read_cursor(key, value, &neighbour, &id, &size) ?
		home_office_by_id(home, &neighbour) : NULL;
	if (!row) {
		verify_fault(checking, table_name(checking, TABLE_CURSORS),
			N_("one is of no office in the register"));
		return 0;
	}
	r = oplog_load(home->txn, &id, &oplog);
	if (r < 0)
		return r;
	office_label(row, label);
	if (r == STORE_NOT_FOUND)
		verify_fault(checking, label, N_("has acknowledged an oplog that is not here"));
	else if (size > oplog.frontier.size)
		verify_fault(checking, label,
			N_("has acknowledged %llu records of an oplog of which %llu are here: this store is older than what was sent"),
			(unsigned long long)size, (unsigned long long)oplog.frontier.size);
	return 0;
}

static int check_cursors(struct checking *checking) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	int r;

	r = scan_open(checking->home->txn, TABLE_CURSORS, (struct span){ 0 }, &scan);
	while (r == 0) {
		r = scan_next(scan, &key, &value);
		if (r == 0)
			r = check_cursor(checking, key, value);
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

static int check_changes(struct checking *checking) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	struct change change;
	uint64_t last = 0;
	int r;

	r = scan_open(checking->home->txn, TABLE_CHANGES, (struct span){ 0 }, &scan);
	while (r == 0) {
		r = scan_next(scan, &key, &value);
		if (r)
			break;
		if (key.len != 8 || (last && get_be64(key.data) != last + 1 && get_be64(key.data) != last + CHANGES_JUMP)) {
			verify_fault(checking, table_name(checking, TABLE_CHANGES),
				N_("number %llu is not followed by the next"), (unsigned long long)last);
			return 0;
		}
		last = get_be64(key.data);
		if (change_decode(value, &change))
			verify_fault(checking, table_name(checking, TABLE_CHANGES),
				N_("number %llu cannot be read"), (unsigned long long)last);
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

/* What is made again from the oplogs. */
static const enum table derived[] = {
	TABLE_CASES, TABLE_STEPS, TABLE_ESCALATIONS, TABLE_WAITING, TABLE_TALLIES, TABLE_REQUESTS, TABLE_GRANTS,
};

static void format_key(struct span key, char ret_text[2 * KEY_SHOWN + 1]) {
	hex_format((struct span){ key.data, key.len < KEY_SHOWN ? key.len : KEY_SHOWN }, ret_text);
}

static int compare_table(struct checking *checking, struct txn *made, enum table table) {
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
	verify_fault(checking, table_name(checking, table), N_("differ from what the records give, first at %s"), key);
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
		r = compare_table(checking, made, derived[i]);
	return r > 0 ? -EIO : r;
}

/* A full disk would end this process: LMDB maps its files. */
static bool has_room(const char *folder, uint64_t bytes) {
	struct statvfs fs;

	return statvfs(folder, &fs) < 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= bytes;
}

static int no_room(const char *folder) {
	return fail(_("there is no room in %s to make the tables again; set TMPDIR to another disk, or use --quick"),
		folder);
}

/* Makes the derived tables again in a store that is thrown away. 0, an ending, or -errno. */
static int check_derived(struct checking *checking) {
	char *path = NULL;
	uint64_t used;
	uint64_t max;
	int r;

	r = store_usage(checking->home->store, &used, &max);
	if (r)
		return r;
	if (!has_room(checking->scratch, SCRATCH_ROWS * checking->derived_bytes + SCRATCH_ROOM_MIN))
		return no_room(checking->scratch);
	if (asprintf(&path, "%s/store", checking->scratch) < 0)
		return -ENOMEM;
	r = rebuild_into(checking, path, 2 * used + SCRATCH_MIN);
	free(path);
	return r == -ENOSPC ? no_room(checking->scratch) : r;
}

static int show(struct checking *checking, bool rebuilt) {
	bool ok = checking->n_bad == 0 && checking->faults.n_cells == 0;

	if (checking->oplogs.failed || checking->faults.failed)
		return fail_memory();
	if (checking->tool->json) {
		int ending = json_show(json_pack("{s:b, s:b, s:o?, s:o?}", "ok", ok, "rebuilt", rebuilt,
			"oplogs", listing_rows(&checking->oplogs), "faults",
			listing_rows(&checking->faults)));

		return ending ? ending : ok ? DONE : FAILED;
	}
	if (checking->oplogs.n_cells > 0) {
		listing_table(&checking->oplogs);
		say("%s", "");
	}
	if (checking->faults.n_cells > 0) {
		listing_table(&checking->faults);
		say("%s", "");
	}
	if (!ok) {
		say(_("NOT IN ORDER (oplogs: %zu, other faults: %zu). Keep a copy of this store; do not delete anything."),
			checking->n_bad, checking->faults.n_cells / N_ELEMENTS(fault_columns));
		return FAILED;
	}
	if (!rebuilt)
		say(_("In order: %llu records as their offices signed them. The tables were not made again."),
			(unsigned long long)checking->records);
	else
		say(_("In order: %llu records as their offices signed them, and every table is what they give."),
			(unsigned long long)checking->records);
	return DONE;
}

/* Whether @key stands behind @last in a table. */
static bool rises(struct span last, struct span key) {
	int order = memcmp(last.data, key.data, last.len < key.len ? last.len : key.len);

	return order < 0 || (order == 0 && last.len < key.len);
}

/*
 * Meets every row of a table once. Until all are met in order, nothing else may walk it: where a page
 * names one that stands above it, a walk has no end. 0, or what the fault is, as -errno.
 */
static int walk_table(struct checking *checking, struct txn *txn, enum table table) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value, last = { 0 };
	uint64_t n = 0, expected, bytes = 0;
	int r;

	r = txn_count(txn, table, &expected);
	if (r == 0)
		r = scan_open(txn, table, (struct span){ 0 }, &scan);
	for (; r == 0 && (r = scan_next(scan, &key, &value)) == 0; n++) {
		if (n > 0 && !rises(last, key)) {
			verify_fault(checking, table_name(checking, table),
				N_("row %llu is out of order"), (unsigned long long)n);
			return 0;
		}
		last = key;
		bytes += key.len + value.len;
	}
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		verify_fault(checking, table_name(checking, table), N_("row %llu cannot be read: %s"),
			(unsigned long long)n, error_text(checking->tool->json, -r));
	else if (n != expected)
		verify_fault(checking, table_name(checking, table),
			N_("%llu rows are there, and there must be %llu"), (unsigned long long)n,
			(unsigned long long)expected);
	for (size_t i = 0; i < N_ELEMENTS(derived); i++)
		checking->derived_bytes += derived[i] == table ? bytes : 0;
	return 0;
}

/* Of the store as it is, before anything in it is believed. 0 (look at the faults) or -errno. */
static int walk_tables(struct checking *checking) {
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	char *path = home_path(checking->tool, "store");
	uint64_t cut_off = 0;
	int r;

	if (!path)
		return -ENOMEM;
	r = store_open(path, STORE_READ, 0, &store);
	free(path);
	if (r == 0)
		r = store_cut_off(store, &cut_off);
	if (r == 0)
		r = store_begin_read(store, &txn);
	if (r == STORE_DAMAGED || r == -EIO)
		verify_fault(checking, for_reader(checking->tool->json, N_("store")),
			N_("cannot be opened: it is not as a node leaves it"));
	if (r) /* what else is in the way is said by whoever opens it to read it */
		return 0;
	if (cut_off > 0)
		verify_fault(checking, for_reader(checking->tool->json, N_("store")),
			N_("is cut off: %llu bytes are missing"), (unsigned long long)cut_off);
	for (unsigned table = 0; table < TABLE_N && r == 0; table++)
		r = walk_table(checking, txn, table);
	return r;
}

static int read_all(struct checking *checking) {
	int r;

	r = oplog_each(checking->home->txn, verify_oplog, checking);
	if (r == 0)
		r = check_total(checking);
	if (r == 0)
		r = check_cursors(checking);
	return r ? r : check_changes(checking);
}

static int check_all(struct checking *checking) {
	int r;

	r = read_all(checking);
	if (r == -ENOMEM)
		return fail_memory();
	if (r) {
		verify_fault(checking, for_reader(checking->tool->json, N_("store")), N_("cannot be read: %s"),
			error_text(checking->tool->json, r < 0 ? -r : EIO));
		return show(checking, false);
	}
	verify_register(checking);
	if (!checking->scratch)
		return show(checking, false);
	r = check_derived(checking);
	if (r > 0)
		return r;
	if (r < 0) /* what cannot even be folded is a fault like the others */
		verify_fault(checking, for_reader(checking->tool->json, N_("tables")),
			N_("cannot be made again: %s"), error_text(checking->tool->json, -r));
	return show(checking, r == 0);
}

/* Not the store's fault: whoever gave the fingerprint meant another office, or another key. */
static int say_other_root(struct checking *checking, const struct office_row *row, const char *first) {
	char label[OFFICE_LABEL_MAX], present[FINGERPRINT_MAX], text[FAULT_MAX];
	bool json = checking->tool->json;

	office_label(row, label);
	enrolment_fingerprint(&row->office, present);
	if (enrolment_same_fingerprint(checking->root, present))
		snprintf(text, sizeof(text), "%s", for_reader(json, N_("that is the fingerprint of its present key; give the one that lienthong office list shows there for proofs")));
	else
		snprintf(text, sizeof(text), for_reader(json, N_("is topmost here, and has another fingerprint than the one given: %s")), first);
	if (!json)
		return fail(_("%s: %s. Nothing was checked."), label, text);
	verify_fault(checking, label, "%s", text);
	return show(checking, false);
}

/* The topmost office, whom nobody enrols: there is one, and it is the one of the fingerprint that was given. */
static int check_root(struct checking *checking) {
	const struct home *home = checking->home;
	const struct office_row *topmost = NULL;
	char first[FINGERPRINT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < home->n_offices; i++) {
		if (!id_is_nil(&home->offices[i].office.parent))
			continue;
		topmost = &home->offices[i];
		n++;
	}
	if (n != 1) {
		verify_fault(checking, table_name(checking, TABLE_OFFICES),
			N_("there must be one office with none above it, and there are %zu"), n);
		return show(checking, false);
	}
	enrolment_first_fingerprint(&topmost->office, &topmost->former, first);
	return enrolment_same_fingerprint(checking->root, first) ? DONE : say_other_root(checking, topmost, first);
}

static int check_home(struct checking *checking) {
	_cleanup_(home_close) struct home home = { 0 };
	int ending;
	int r;

	r = walk_tables(checking);
	if (r)
		return fail_memory();
	if (checking->faults.n_cells > 0)
		return show(checking, false);
	ending = home_open(checking->tool, &home);
	if (ending)
		return ending;
	checking->home = &home;
	ending = checking->root ? check_root(checking) : DONE;
	if (ending)
		return ending;
	checking->enrolments = calloc(home.n_offices, sizeof(*checking->enrolments));
	ending = checking->enrolments ? check_all(checking) : fail_memory();
	free(checking->enrolments);
	return ending;
}

/*
 * The map of a damaged store may end the process that reads it, in many ways. So a child reads; what
 * ends it is one more thing to tell.
 */

static volatile sig_atomic_t child_pid;
static volatile sig_atomic_t ended_by; /* a signal for us, which the child was given as well */

static void on_signal(int number) {
	ended_by = number;
	(void)kill(child_pid, SIGKILL);
}

static const int endings[] = { SIGHUP, SIGINT, SIGTERM };

static void set_handlers(void (*handler)(int)) {
	struct sigaction action = { .sa_handler = handler };

	for (size_t i = 0; i < N_ELEMENTS(endings); i++)
		(void)sigaction(endings[i], &action, NULL);
}

/* In the child; never returns. */
static void check_and_exit(struct checking *checking, pid_t parent) {
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(FAILED);
	(void)signal(SIGBUS, SIG_DFL); /* the parent has better words */
	(void)signal(SIGSEGV, SIG_DFL);
	_exit(output_finish(check_home(checking)));
}

static int say_dead(struct checking *checking) {
	const char *sentence = N_("the store is so damaged that it cannot be read to the end. Keep a copy of it; do not delete anything.");

	if (!checking->tool->json)
		return fail("%s", _(sentence));
	verify_fault(checking, for_reader(checking->tool->json, N_("store")), "%s", sentence);
	(void)fail("%s", _(sentence));
	return show(checking, false);
}

static int how_it_ended(struct checking *checking, int status) {
	if (WIFEXITED(status) && WEXITSTATUS(status) != LMDB_ASSERTION)
		return WEXITSTATUS(status);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return fail(_("the check was ended from outside, or this computer has no memory left; try again"));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS && checking->scratch &&
		!has_room(checking->scratch, FULL_BELOW))
		return no_room(checking->scratch);
	return say_dead(checking);
}

/* Waits for a child that checks. */
static int check_apart(struct checking *checking) {
	pid_t own = getpid();
	sigset_t held, before;
	int status;
	pid_t pid;

	(void)sigemptyset(&held);
	for (size_t i = 0; i < N_ELEMENTS(endings); i++)
		(void)sigaddset(&held, endings[i]);
	(void)sigprocmask(SIG_BLOCK, &held, &before);
	pid = fork();
	if (pid == 0) {
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
		check_and_exit(checking, own);
	}
	child_pid = pid;
	if (pid > 0)
		set_handlers(on_signal);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return fail(_("cannot begin another process: %s"), strerror(errno));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return fail(_("cannot wait for another process: %s"), strerror(errno));
	}
	set_handlers(SIG_DFL);
	return ended_by ? FAILED : how_it_ended(checking, status);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	(void)remove(path);
	return 0;
}

static int check_with_scratch(struct checking *checking) {
	const char *tmp = getenv("TMPDIR");
	char *folder;
	int ending;

	if (asprintf(&folder, "%s/lienthong-verify-XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0)
		return fail_memory();
	if (mkdtemp(folder)) {
		checking->scratch = folder;
		ending = check_apart(checking);
		(void)nftw(folder, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
	} else {
		ending = fail(_("cannot make the directory %s: %s"), folder, strerror(errno));
	}
	free(folder);
	return ending;
}

int command_verify(struct tool *tool, int argc, char **argv) {
	const char *root = NULL;
	bool quick = false;
	const struct option_def options[] = {
		{ "quick", NULL, N_("do not make the tables again"), .flag = &quick },
		{ "root", N_("FINGERPRINT"), N_("that of the topmost office, for proofs, known from elsewhere: all keys must follow from it"), .value = &root },
	};
	const struct usage usage = { "verify", "[FILE]",
		N_("Checks the whole store: every record against what its office signed, the register, and every table by making it again. Trusts nothing but the register's keys; with --root, nothing but that fingerprint. Works with the node down, and on a copy. Or checks a FILE that lienthong prove made, which needs no store."),
		options, N_ELEMENTS(options), 0, 1 };
	struct checking checking = { .tool = tool };
	char **args;
	int n_args;
	int ending;

	if (!options_read(tool, &usage, argc, argv, &args, &n_args, &ending))
		return ending;
	if (root && !enrolment_is_fingerprint(root))
		return enrolment_no_fingerprint(root);
	if (n_args > 0 && quick)
		return misuse(_("--quick is for a store; a file is checked whole"));
	if (n_args > 0)
		return proof_verify(tool, args[0], root);
	checking.root = root;
	ending = home_become_owner(tool->home);
	if (ending)
		return ending;
	verify_oplogs_init(&checking);
	listing_init(&checking.faults, fault_columns, N_ELEMENTS(fault_columns));
	ending = quick ? check_apart(&checking) : check_with_scratch(&checking);
	listing_done(&checking.oplogs);
	listing_done(&checking.faults);
	if (ended_by)
		(void)raise(ended_by);
	return ending;
}
