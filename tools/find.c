/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/kinds/meeting.h"
#include "proto/kinds/petition.h"
#include "proto/reference.h"
#include "tools/dates.h"

enum {
	MATCHES_SHOWN = 5, /* of the petitions with one name */
};

static int compare_spans(struct span a, struct span b) {
	size_t len = a.len < b.len ? a.len : b.len;
	int r = len ? memcmp(a.data, b.data, len) : 0;

	return r ? r : (a.len > b.len) - (a.len < b.len);
}

static int compare_entries(const void *a, const void *b) {
	return compare_spans(((const struct book_entry *)a)->number,
		((const struct book_entry *)b)->number);
}

static struct span number_of(const struct record *record) {
	struct petition petition;
	struct meeting meeting;

	if (record->kind == KIND_PETITION && petition_decode(record->body, &petition) == 0)
		return petition.number;
	if (record->kind == KIND_MEETING && meeting_decode(record->body, &meeting) == 0)
		return meeting.number;
	return (struct span){ 0 };
}

static int add_case(void *userdata, const struct id *id, const struct case_row *row) {
	struct book *book = userdata;
	struct record record;
	int r;

	r = home_record(book->home, row->arrival, &record);
	if (r)
		return r < 0 ? r : 0;
	if (book->n == book->cap) {
		size_t cap = book->cap ? 2 * book->cap : 256;
		struct book_entry *entries = reallocarray(book->entries, cap, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		book->entries = entries;
		book->cap = cap;
	}
	book->entries[book->n++] = (struct book_entry){
		.id = *id,
		.kind = row->kind,
		.organisation = row->organisation,
		.origin = row->origin,
		.reference = row->reference,
		.date_ms = row->received_ms,
		.number = number_of(&record),
		.body = record.body,
	};
	return 0;
}

int book_init(struct book *book, const struct home *home) {
	int r;

	*book = (struct book){ .home = home };
	r = cases_each(home->txn, add_case, book);
	if (r == 0 && book->n > 0)
		qsort(book->entries, book->n, sizeof(*book->entries), compare_entries);
	return r;
}

void book_done(struct book *book) {
	free(book->entries);
	*book = (struct book){ 0 };
}

/* The first entry with this number, or where it would be. */
static size_t first_with(const struct book *book, struct span number) {
	size_t low = 0;
	size_t high = book->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_spans(book->entries[middle].number, number) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The petitions that a name may mean; more than one where offices have given it twice. */
struct matches {
	const struct book_entry *entries[MATCHES_SHOWN];
	size_t n; /* also beyond those above */
	bool nearest; /* only those of the least rank count */
	size_t rank;  /* of them */
};

/* Anybody can write another's reference: the nearest is meant, of those equally near who has the code in it. */
static size_t rank_of(const struct home *home, const struct book_entry *entry) {
	const struct office_row *origin = home_office(home, entry->origin);

	return 2 * home_distance(home, origin) +
		!(origin && reference_is_of(entry->reference, origin->office.code, origin->office.code_digits));
}

static void add_match(struct matches *matches, const struct book *book, const struct book_entry *entry) {
	size_t rank = matches->nearest ? rank_of(book->home, entry) : 0;

	if (matches->n > 0 && rank > matches->rank)
		return;
	if (rank < matches->rank)
		matches->n = 0;
	for (size_t i = 0; i < matches->n && i < MATCHES_SHOWN; i++) {
		if (matches->entries[i] == entry)
			return;
	}
	matches->rank = rank;
	if (matches->n < MATCHES_SHOWN)
		matches->entries[matches->n] = entry;
	matches->n++;
}

static void match_numbers(const struct book *book, struct span number, struct matches *matches) {
	for (size_t i = first_with(book, number);
		number.len > 0 && i < book->n && span_eq(book->entries[i].number, number); i++) {
		if (book->entries[i].kind == KIND_PETITION)
			add_match(matches, book, &book->entries[i]);
	}
}

/* @id NULL: by reference. */
static void match_entries(const struct book *book, uint64_t reference, const struct id *id,
	struct matches *matches) {
	for (size_t i = 0; i < book->n; i++) {
		const struct book_entry *entry = &book->entries[i];

		if (entry->kind == KIND_PETITION &&
			(id ? id_eq(&entry->id, id) : entry->reference == reference))
			add_match(matches, book, entry);
	}
}

static enum import_lookup match(const struct book *book, struct span name,
	struct matches *ret_matches) {
	uint64_t reference;
	struct id id;
	int r = 0;

	*ret_matches = (struct matches){ 0 };
	if (id_parse(name, &id))
		match_entries(book, 0, &id, ret_matches);
	if (ret_matches->n == 0) {
		r = reference_parse(name, &reference);
		ret_matches->nearest = r == 0;
		match_numbers(book, name, ret_matches);
		if (r == 0)
			match_entries(book, reference, NULL, ret_matches);
	}
	if (ret_matches->n == 0)
		return r == REFERENCE_WRONG_CHECK ? IMPORT_WRONG_CHECK : IMPORT_NONE;
	return ret_matches->n == 1 ? IMPORT_FOUND : IMPORT_MANY;
}

enum import_lookup book_find_petition(const struct book *book, struct span name,
	const struct book_entry **ret_entry) {
	struct matches matches;
	enum import_lookup found = match(book, name, &matches);

	if (found == IMPORT_FOUND)
		*ret_entry = matches.entries[0];
	return found;
}

static void describe(FILE *f, const struct home *home, const struct book_entry *entry) {
	const struct office_row *office = home_office(home, entry->origin);
	char id[OFFICE_ID_TEXT_LEN + 1];
	char label[OFFICE_LABEL_MAX] = "?";
	char date[DATE_TEXT_MAX];

	if (office)
		office_label(office, label);
	id_format(&entry->id, id);
	date_format(entry->date_ms, date);
	fprintf(f, _("%s, received %s (id %s)"), label, date, id);
}

char *book_list_petitions(const struct book *book, struct span name) {
	struct matches matches;
	char *list = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&list, &len);

	if (!f)
		return NULL;
	(void)match(book, name, &matches);
	for (size_t i = 0; i < matches.n && i < MATCHES_SHOWN; i++) {
		fputs(i ? "; " : "", f);
		describe(f, book->home, matches.entries[i]);
	}
	if (matches.n > MATCHES_SHOWN)
		fputs("; …", f);
	if (fclose(f) == 0)
		return list;
	free(list);
	return NULL;
}

const struct book_entry *book_find_number(const struct book *book, uint8_t kind, struct span number,
	unsigned year, size_t nth) {
	for (size_t i = first_with(book, number);
		i < book->n && span_eq(book->entries[i].number, number); i++) {
		const struct book_entry *entry = &book->entries[i];

		if (entry->kind == kind && entry->origin == book->home->own->number &&
			date_year(entry->date_ms) == year && nth-- == 0)
			return entry;
	}
	return NULL;
}

static enum import_lookup on_find_case(void *userdata, struct span name,
	struct import_case *ret_case) {
	const struct book_entry *entry = NULL;
	enum import_lookup found = book_find_petition(userdata, name, &entry);

	if (found == IMPORT_FOUND)
		*ret_case = (struct import_case){ entry->id, entry->organisation, entry->date_ms };
	return found;
}

static char *on_list_cases(void *userdata, struct span name) {
	return book_list_petitions(userdata, name);
}

static enum import_lookup on_find_office(void *userdata, struct span code, struct id *ret_id) {
	const struct book *book = userdata;
	const struct office_row *row = home_parent(book->home);

	if (!row || !office_is_called(row, code)) /* the only one that the node hands a case to */
		return IMPORT_NONE;
	*ret_id = row->office.id;
	return IMPORT_FOUND;
}

static enum import_lookup on_find_number(void *userdata, uint8_t kind, struct span number,
	unsigned year, size_t nth, struct import_held *ret_held) {
	const struct book_entry *entry = book_find_number(userdata, kind, number, year, nth);

	if (!entry)
		return IMPORT_NONE;
	*ret_held = (struct import_held){ entry->id, entry->organisation, entry->reference,
		entry->body };
	return IMPORT_FOUND;
}

void book_context(struct book *book, struct import_context *ret_context) {
	*ret_context = (struct import_context){
		.userdata = book,
		.own = book->home->own->office.id,
		.secret = book->home->import_secret,
		.now_ms = date_now_ms(),
		.find_case = on_find_case,
		.list_cases = on_list_cases,
		.find_office = on_find_office,
		.find_number = on_find_number,
	};
}

static int refuse_many(const struct book *book, struct span name) {
	char *list = book_list_petitions(book, name);
	int ending;

	if (!list)
		return fail_memory();
	ending = refuse(_("\"%s\" may be several petitions: %s; write the id of the one meant"),
		(const char *)name.data, list);
	free(list);
	return ending;
}

/* @name ends with a zero. */
static int find_entry(const struct book *book, struct span name, const struct book_entry **ret_entry) {
	switch (book_find_petition(book, name, ret_entry)) {
	case IMPORT_NONE:
		return refuse(_("no petition here has the reference or number \"%s\""),
			(const char *)name.data);
	case IMPORT_MANY:
		return refuse_many(book, name);
	case IMPORT_WRONG_CHECK:
		return refuse(_("in the reference \"%s\" a digit is wrong: its last two digits do not fit the others"),
			(const char *)name.data);
	case IMPORT_FOUND:
		break;
	}
	return DONE;
}

int find_petition(const struct home *home, const char *name, struct id *ret_id,
	struct case_row *ret_row) {
	_cleanup_(book_done) struct book book = { 0 };
	const struct book_entry *entry = NULL;
	struct span wanted;
	int ending;
	int r;

	r = csvfile_normalise(span_str(name), &wanted);
	if (r)
		return r < 0 ? fail_memory() : refuse(_("the name of a petition is not UTF-8 text"));
	r = book_init(&book, home);
	ending = r ? home_failed(r) : find_entry(&book, wanted, &entry);
	free((void *)wanted.data);
	if (ending)
		return ending;
	r = cases_get(home->txn, &entry->id, ret_row);
	if (r)
		return home_failed(r);
	*ret_id = entry->id;
	return DONE;
}

static int refuse_number(const struct book_entry *entry, const char *number) {
	char name[OFFICE_ID_TEXT_LEN + 1];

	if (entry->reference)
		reference_format(entry->reference, name);
	else
		id_format(&entry->id, name);
	return refuse(_("--number: %s of %u is kept already (%s); give what you have its own number, or none"),
		number, date_year(entry->date_ms), name);
}

static int check_free(const struct home *home, uint8_t kind, struct span number, unsigned year) {
	_cleanup_(book_done) struct book book = { 0 };
	const struct book_entry *entry;
	int r;

	r = book_init(&book, home);
	if (r)
		return home_failed(r);
	entry = book_find_number(&book, kind, number, year, 0);
	return entry ? refuse_number(entry, (const char *)number.data) : DONE;
}

int find_number_free(const struct tool *tool, uint8_t kind, const char *number, const char *date) {
	_cleanup_(home_close) struct home home = { 0 };
	struct span wanted;
	uint64_t date_ms;
	int ending;
	int r;

	if (!number || !date_parse(span_str(date), &date_ms))
		return DONE;
	r = csvfile_normalise(span_str(number), &wanted);
	if (r)
		return r < 0 ? fail_memory() : DONE;
	ending = home_open(tool, &home);
	if (ending == DONE && wanted.len > 0)
		ending = check_free(&home, kind, wanted, date_year(date_ms));
	free((void *)wanted.data);
	return ending;
}
