/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/find.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/kinds/meeting.h"
#include "proto/kinds/petition.h"
#include "proto/reference.h"
#include "tools/dates.h"

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

static enum import_lookup find_by_number(const struct book *book, struct span number,
	const struct book_entry **ret_entry) {
	const struct book_entry *found = NULL;

	for (size_t i = first_with(book, number);
		number.len > 0 && i < book->n && span_eq(book->entries[i].number, number); i++) {
		if (book->entries[i].kind != KIND_PETITION)
			continue;
		if (found)
			return IMPORT_MANY;
		found = &book->entries[i];
	}
	if (!found)
		return IMPORT_NONE;
	*ret_entry = found;
	return IMPORT_FOUND;
}

static const struct book_entry *find_entry(const struct book *book, uint64_t reference,
	const struct id *id) {
	for (size_t i = 0; i < book->n; i++) {
		const struct book_entry *entry = &book->entries[i];

		if (entry->kind == KIND_PETITION &&
			(id ? id_eq(&entry->id, id) : entry->reference == reference))
			return entry;
	}
	return NULL;
}

enum import_lookup book_find_petition(const struct book *book, struct span name,
	const struct book_entry **ret_entry) {
	enum import_lookup found = find_by_number(book, name, ret_entry);
	const struct book_entry *entry = NULL;
	uint64_t reference;
	struct id id;
	int r;

	if (found != IMPORT_NONE)
		return found;
	if (id_parse(name, &id)) {
		entry = find_entry(book, 0, &id);
	} else {
		r = reference_parse(name, &reference);
		if (r == REFERENCE_WRONG_CHECK)
			return IMPORT_WRONG_CHECK;
		if (r == 0)
			entry = find_entry(book, reference, NULL);
	}
	if (!entry)
		return IMPORT_NONE;
	*ret_entry = entry;
	return IMPORT_FOUND;
}

const struct book_entry *book_find_number(const struct book *book, uint8_t kind, struct span number,
	unsigned year) {
	for (size_t i = first_with(book, number);
		i < book->n && span_eq(book->entries[i].number, number); i++) {
		const struct book_entry *entry = &book->entries[i];

		if (entry->kind == kind && entry->origin == book->home->own->number &&
			date_year(entry->date_ms) == year)
			return entry;
	}
	return NULL;
}

static enum import_lookup on_find_case(void *userdata, struct span name, struct id *ret_id,
	uint8_t *ret_organisation) {
	const struct book_entry *entry = NULL;
	enum import_lookup found = book_find_petition(userdata, name, &entry);

	if (found == IMPORT_FOUND) {
		*ret_id = entry->id;
		*ret_organisation = entry->organisation;
	}
	return found;
}

static enum import_lookup on_find_office(void *userdata, struct span code, struct id *ret_id) {
	const struct book *book = userdata;
	char text[OFFICE_NAME_MAX + 1] = "";
	const struct office_row *row;

	if (code.len < sizeof(text))
		memcpy(text, code.data, code.len);
	row = home_find_office(book->home, text);
	if (!row || row != home_parent(book->home)) /* the only one that the node hands a case to */
		return IMPORT_NONE;
	*ret_id = row->office.id;
	return IMPORT_FOUND;
}

static enum import_lookup on_find_number(void *userdata, uint8_t kind, struct span number,
	unsigned year, struct id *ret_id) {
	const struct book_entry *entry = book_find_number(userdata, kind, number, year);

	if (!entry)
		return IMPORT_NONE;
	*ret_id = entry->id;
	return IMPORT_FOUND;
}

void book_context(struct book *book, struct import_context *ret_context) {
	*ret_context = (struct import_context){
		.userdata = book,
		.own = book->home->own->office.id,
		.find_case = on_find_case,
		.find_office = on_find_office,
		.find_number = on_find_number,
	};
}

int find_petition(const struct home *home, const char *name, struct id *ret_id,
	struct case_row *ret_row) {
	_cleanup_(book_done) struct book book = { 0 };
	const struct book_entry *entry = NULL;
	int r;

	r = book_init(&book, home);
	if (r)
		return home_failed(r);
	switch (book_find_petition(&book, span_str(name), &entry)) {
	case IMPORT_NONE:
		return refuse(_("no petition here has the reference or number \"%s\""), name);
	case IMPORT_MANY:
		return refuse(_("several petitions have the number \"%s\"; write the reference of the one meant"),
			name);
	case IMPORT_WRONG_CHECK:
		return refuse(_("in the reference \"%s\" a digit is wrong: its last two digits do not fit the others"),
			name);
	case IMPORT_FOUND:
		break;
	}
	r = cases_get(home->txn, &entry->id, ret_row);
	if (r)
		return home_failed(r);
	*ret_id = entry->id;
	return DONE;
}
