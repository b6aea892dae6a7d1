/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/home.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *home_path(const struct tool *tool, const char *name) {
	char *path;

	return asprintf(&path, "%s/%s", tool->home, name) < 0 ? NULL : path;
}

int home_become_owner(const char *path) {
	struct stat st;

	if (geteuid() != 0 || stat(path, &st) < 0 || st.st_uid == 0)
		return DONE;
	if (setgroups(1, &st.st_gid) < 0 || setgid(st.st_gid) < 0 || setuid(st.st_uid) < 0)
		return fail(_("cannot become the user that owns %s: %s"), path, strerror(errno));
	return DONE;
}

static int add_office(void *userdata, const struct office_row *row) {
	struct home *home = userdata;

	if (home->n_offices == home->cap_offices) {
		size_t cap = home->cap_offices ? 2 * home->cap_offices : 64;
		struct office_row *rows = reallocarray(home->offices, cap, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		home->offices = rows;
		home->cap_offices = cap;
	}
	home->offices[home->n_offices++] = *row;
	return 0;
}

static int compare_ids(const void *a, const void *b) {
	const struct office_row *const *left = a;
	const struct office_row *const *right = b;

	return memcmp(&(*left)->office.id, &(*right)->office.id, sizeof(struct id));
}

static int read_register(struct home *home) {
	struct office_row own;
	int r;

	r = offices_own(home->txn, &own, &home->epoch);
	if (r == 0)
		r = offices_each(home->txn, add_office, home);
	if (r)
		return r;
	r = meta_get(home->txn, "import-secret", &home->import_secret);
	if (r < 0)
		return r;
	home->by_id = calloc(home->n_offices, sizeof(*home->by_id));
	if (!home->by_id)
		return -ENOMEM;
	for (size_t i = 0; i < home->n_offices; i++) {
		office_row_fix(&home->offices[i]);
		home->by_id[i] = &home->offices[i];
	}
	qsort(home->by_id, home->n_offices, sizeof(*home->by_id), compare_ids);
	home->own = home_office_by_id(home, &own.office.id);
	return home->own ? 0 : -EIO;
}

int home_open_failed(const struct tool *tool, int r) {
	switch (r) {
	case STORE_NOT_FOUND:
	case -ENOENT:
		return fail(_("there is no office in %s: make one with lienthong init, or name its directory with --home"),
			tool->home);
	case STORE_NEWER_FORMAT:
		return fail(_("the store in %s was made by a newer version; install that version"),
			tool->home);
	case STORE_DAMAGED:
		return fail(_("the store in %s is damaged; nothing was changed: keep a copy of it, delete nothing, and do not start the node from an older copy, which the office above would refuse"),
			tool->home);
	case -EACCES:
	case -EPERM:
		return fail(_("you may not read %s; use sudo"), tool->home);
	case -ENOMEM:
		return fail_memory();
	default:
		return fail(_("cannot open the store in %s: %s"), tool->home,
			strerror(r < 0 ? -r : EIO));
	}
}

int home_try(const struct tool *tool, struct home *ret_home) {
	struct home home = { 0 };
	char *path = home_path(tool, "store");
	int r;

	if (!path)
		return -ENOMEM;
	r = store_open(path, STORE_READ, 0, &home.store);
	free(path);
	if (r == 0)
		r = store_begin_read(home.store, &home.txn);
	if (r == 0)
		r = read_register(&home);
	if (r)
		home_close(&home);
	else
		*ret_home = home;
	return r;
}

int home_open(const struct tool *tool, struct home *ret_home) {
	int r = home_become_owner(tool->home);

	if (r)
		return r;
	r = home_try(tool, ret_home);
	return r ? home_open_failed(tool, r) : DONE;
}

void home_close(struct home *home) {
	free(home->by_id);
	free(home->offices);
	store_abort(home->txn);
	store_close(home->store);
	*home = (struct home){ 0 };
}

int home_failed(int r) {
	if (r == -ENOMEM)
		return fail_memory();
	return fail(_("the store cannot be read: %s; see: lienthong verify"), strerror(r < 0 ? -r : EIO));
}

static int compare_number(const void *key, const void *row) {
	uint32_t left = *(const uint32_t *)key;
	uint32_t right = ((const struct office_row *)row)->number;

	return left < right ? -1 : left > right;
}

const struct office_row *home_office(const struct home *home, uint32_t number) {
	return bsearch(&number, home->offices, home->n_offices, sizeof(*home->offices),
		compare_number);
}

static int compare_id(const void *key, const void *row) {
	return memcmp(key, &(*(const struct office_row *const *)row)->office.id, sizeof(struct id));
}

const struct office_row *home_office_by_id(const struct home *home, const struct id *id) {
	const struct office_row **found = bsearch(id, home->by_id, home->n_offices,
		sizeof(*home->by_id), compare_id);

	return found ? *found : NULL;
}

bool office_is_called(const struct office_row *row, struct span text) {
	char code[16];
	struct id id;

	if (id_parse(text, &id) && id_eq(&id, &row->office.id))
		return true;
	office_code(&row->office, code);
	return span_eq(text, span_str(code)) || span_eq(text, row->office.name);
}

size_t home_distance(const struct home *home, const struct office_row *row) {
	const struct id *own = &home->own->office.id;
	const size_t step_down = home->n_offices + 1; /* more than all steps up */
	size_t up = 0;
	size_t down = 0;

	while (row && down <= home->n_offices && !home_is_within(home, own, &row->office.id)) {
		row = home_office_by_id(home, &row->office.parent);
		down++;
	}
	if (!row || down > home->n_offices) /* it was handed over to an office that is not known here */
		return step_down * step_down;
	for (const struct office_row *at = home->own; at != row; at = home_office_by_id(home, &at->office.parent))
		up++;
	return down * step_down + up;
}

/* Whether this office handed another over to one that has not said so itself: it can still take it back. */
static bool was_handed_over(const struct home *home, const struct office_row *row) {
	return row->office.state == OFFICE_MOVING && row->parents.n > 0 &&
		id_eq(&row->parents.list[row->parents.n - 1].id, &home->own->office.id);
}

static bool is_among(const struct home *home, const struct office_row *row, enum offices among) {
	return among == OFFICES_KNOWN || home_is_child(home, row) || was_handed_over(home, row) ||
		(row == home->own && !home_parent(home));
}

/* Those of the least rank are meant. Codes are given anew when an office has closed: one that works comes first. */
static size_t rank_of(const struct home *home, const struct office_row *row, const char *text, enum offices among) {
	if (!is_among(home, row, among) || !office_is_called(row, span_str(text)))
		return SIZE_MAX;
	return 2 * home_distance(home, row) + (row->office.state != OFFICE_ACTIVE);
}

static size_t count_offices(const struct home *home, const char *text, enum offices among, size_t *ret_rank,
	const struct office_row **ret_found) {
	size_t n = 0;

	*ret_rank = SIZE_MAX;
	for (size_t i = 0; i < home->n_offices; i++) {
		size_t rank = rank_of(home, &home->offices[i], text, among);

		if (rank == SIZE_MAX || rank > *ret_rank)
			continue;
		n = rank < *ret_rank ? 1 : n + 1;
		*ret_rank = rank;
		*ret_found = &home->offices[i];
	}
	return n;
}

const struct office_row *home_find_office(const struct home *home, const char *text, enum offices among) {
	const struct office_row *found = NULL;
	struct id id;
	size_t rank;

	if (id_parse(span_str(text), &id)) {
		found = home_office_by_id(home, &id);
		return found && is_among(home, found, among) ? found : NULL;
	}
	return count_offices(home, text, among, &rank, &found) == 1 ? found : NULL;
}

char *home_list_offices(const struct home *home, const char *text, enum offices among) {
	const struct office_row *found;
	char *list = NULL;
	size_t len = 0;
	size_t rank;
	FILE *f = open_memstream(&list, &len);

	if (!f)
		return NULL;
	(void)count_offices(home, text, among, &rank, &found);
	for (size_t i = 0; rank != SIZE_MAX && i < home->n_offices; i++) {
		char id[OFFICE_ID_TEXT_LEN + 1];
		char label[OFFICE_LABEL_MAX];

		if (rank_of(home, &home->offices[i], text, among) != rank)
			continue;
		office_label(&home->offices[i], label);
		id_format(&home->offices[i].office.id, id);
		fputs(ftell(f) > 0 ? "; " : "", f);
		fprintf(f, _("%s (id %s)"), label, id);
	}
	if (fclose(f) == 0)
		return list;
	free(list);
	return NULL;
}

int home_no_office(const struct home *home, const char *text, enum offices among) {
	char *list = home_list_offices(home, text, among);
	int ending;

	if (!list)
		return fail_memory();
	if (list[0])
		ending = refuse(_("several offices are called \"%s\": %s; write the id of the one meant"), text,
			list);
	else if (among == OFFICES_BELOW)
		ending = refuse(_("no office directly below this one has the code \"%s\"; see: lienthong office list"), text);
	else
		ending = refuse(_("no office known here has the code \"%s\"; see: lienthong office list"), text);
	free(list);
	return ending;
}

bool home_is_within(const struct home *home, const struct id *office, const struct id *above) {
	/* no chain is longer than the register, also if rows were to point in a circle */
	for (size_t i = 0; i <= home->n_offices; i++) {
		const struct office_row *row;

		if (id_eq(office, above))
			return true;
		row = home_office_by_id(home, office);
		if (!row || id_is_nil(&row->office.parent))
			return false;
		office = &row->office.parent;
	}
	return false;
}

const struct office_row *home_parent(const struct home *home) {
	return home_office_by_id(home, &home->own->office.parent);
}

bool home_is_child(const struct home *home, const struct office_row *row) {
	return id_eq(&row->office.parent, &home->own->office.id);
}

void office_code(const struct office *office, char ret_code[16]) {
	snprintf(ret_code, 16, "%0*u", office->code_digits, office->code);
}

void office_label(const struct office_row *row, char ret_label[OFFICE_LABEL_MAX]) {
	char code[16];

	office_code(&row->office, code);
	snprintf(ret_label, OFFICE_LABEL_MAX, "%s %.*s", code, (int)row->office.name.len,
		(const char *)row->office.name.data);
}

static void cell_office_row(struct listing *listing, const struct office_row *row) {
	char label[OFFICE_LABEL_MAX];

	if (row) {
		office_label(row, label);
		cell_str(listing, label);
	} else {
		cell(listing, json_null(), "%s", _("(unknown)"));
	}
}

void cell_office(struct listing *listing, const struct home *home, uint32_t number) {
	cell_office_row(listing, home_office(home, number));
}

void cell_office_id(struct listing *listing, const struct home *home, const struct id *id) {
	cell_office_row(listing, home_office_by_id(home, id));
}

int home_record(const struct home *home, uint64_t arrival, struct record *ret_record) {
	struct leaf leaf;
	int r;

	r = oplog_leaf_at(home->txn, arrival, &leaf);
	if (r)
		return r < 0 ? r : RECORD_UNREADABLE;
	if (leaf.withheld)
		return RECORD_WITHHELD;
	return record_decode(leaf.bytes, ret_record) ? RECORD_UNREADABLE : 0;
}

int home_place(const struct home *home, uint64_t arrival, struct place *ret_place) {
	int r = oplog_locate(home->txn, arrival, &ret_place->oplog, &ret_place->index);

	return r > 0 ? -EIO : r;
}

void cell_place(struct listing *listing, const struct home *home, const struct place *place) {
	const struct office_row *row = home_office_by_id(home, &place->oplog.office);
	const char *lane = words_name(&words_lane, place->oplog.lane);
	char office[OFFICE_ID_TEXT_LEN + 1], code[16];

	id_format(&place->oplog.office, office);
	if (row)
		office_code(&row->office, code);
	cell(listing,
		json_pack("{s:s, s:I, s:s, s:I}", "office", office, "epoch",
			(json_int_t)place->oplog.epoch, "lane", lane ? lane : "?", "number",
			(json_int_t)place->index),
		"%s/%u/%s/%llu", row && home_find_office(home, code, OFFICES_KNOWN) == row ? code : office,
		place->oplog.epoch, lane ? lane : "?", (unsigned long long)place->index); /* as it is typed */
}
