/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "proto/record.h"
#include "proto/reference.h"
#include "tools/find.h"

#define DAY_MS 1704387600000 /* 2024-01-05 in Asia/Ho_Chi_Minh */

enum {
	N_OFFICES = 11,
};

static struct office_row offices[N_OFFICES];
static const struct office_row *by_id[N_OFFICES];

static void set_office(unsigned i, uint32_t code, const char *name, uint8_t state, uint8_t parent) {
	struct office_row *row = &offices[i];

	row->number = i + 1;
	row->office = (struct office){ .code = code, .code_digits = 2, .state = state,
		.name = span_str(name) };
	memset(&row->office.id, (int)(0x11 * (i + 1)), sizeof(row->office.id));
	memset(&row->office.parent, parent, sizeof(row->office.parent));
	by_id[i] = row;
}

/*
 * An office 27 below one of two that have the code 30, and one more 27 that has closed; below it a child that has
 * enrolled others under codes of its neighbours, and two with one code.
 */
static struct home make_home(void) {
	set_office(0, 27, "Own", OFFICE_ACTIVE, 0x22);
	set_office(1, 30, "Above", OFFICE_ACTIVE, 0);
	set_office(2, 30, "Other", OFFICE_ACTIVE, 0);
	set_office(3, 27, "Before", OFFICE_CLOSED, 0);
	set_office(4, 41, "Child", OFFICE_ACTIVE, 0x11);
	set_office(5, 41, "Closed child", OFFICE_CLOSED, 0x11);
	set_office(6, 42, "Left", OFFICE_ACTIVE, 0x11);
	set_office(7, 42, "Right", OFFICE_ACTIVE, 0x11);
	set_office(8, 43, "Beside", OFFICE_ACTIVE, 0x22);
	set_office(9, 27, "Grandchild", OFFICE_ACTIVE, 0x55);
	set_office(10, 43, "Grandchild too", OFFICE_ACTIVE, 0x55);
	return (struct home){ .own = &offices[0], .offices = offices, .n_offices = N_OFFICES,
		.by_id = by_id };
}

static struct book make_book(const struct home *home, struct book_entry *entries, size_t n) {
	for (size_t i = 0; i < n; i++) {
		memset(&entries[i].id, (int)(0xa1 + i), sizeof(entries[i].id));
		entries[i].kind = KIND_PETITION;
		entries[i].date_ms = DAY_MS;
	}
	return (struct book){ .home = home, .entries = entries, .n = n };
}

Test(find, a_reference_of_two_petitions_is_none_of_them) {
	struct home home = make_home();
	uint64_t reference = reference_make(27, 2, 2024, 1);
	struct book_entry entries[] = {
		{ .origin = 5, .reference = reference, .number = span_str("1") },
		{ .origin = 7, .reference = reference, .number = span_str("2") },
		{ .origin = 7, .reference = reference + 1, .number = span_str("3") },
	};
	struct book book = make_book(&home, entries, N_ELEMENTS(entries));
	const struct book_entry *entry = NULL;
	char text[REFERENCE_TEXT_MAX];
	char *list;

	reference_format(reference, text);
	cr_expect_eq(book_find_petition(&book, span_str(text), &entry), IMPORT_MANY);
	list = book_list_petitions(&book, span_str(text));
	cr_assert(list);
	cr_expect_str_eq(list, "41 Child, received 2024-01-05 (id a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1); "
			       "42 Left, received 2024-01-05 (id a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2)");
	free(list);
	cr_expect_eq(book_find_petition(&book, span_str("a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2"), &entry),
		IMPORT_FOUND);
	cr_expect_eq(entry, &entries[1]);
	reference_format(reference + 1, text);
	cr_expect_eq(book_find_petition(&book, span_str(text), &entry), IMPORT_FOUND);
	cr_expect_eq(entry, &entries[2]);
}

Test(find, a_number_that_is_also_a_reference_may_be_either) {
	struct home home = make_home();
	uint64_t reference = reference_make(27, 2, 2024, 1);
	char text[REFERENCE_TEXT_MAX];
	struct book_entry entries[2] = {
		{ .origin = 1, .reference = reference + 1 },
		{ .origin = 1, .reference = reference, .number = span_str("9") },
	};
	struct book book = make_book(&home, entries, N_ELEMENTS(entries));
	const struct book_entry *entry = NULL;

	reference_format(reference, text);
	entries[0].number = span_str(text);
	cr_expect_eq(book_find_petition(&book, span_str(text), &entry), IMPORT_MANY);
	entries[1].number = entries[0].number; /* one petition by both is one */
	entries[0].number = span_str("0");
	cr_expect_eq(book_find_petition(&book, span_str(text), &entry), IMPORT_FOUND);
	cr_expect_eq(entry, &entries[1]);
}

static void expect_reference(uint32_t first, uint32_t second, enum import_lookup want, size_t want_entry) {
	struct home home = make_home();
	uint64_t reference = reference_make(41, 2, 2024, 1);
	struct book_entry entries[] = {
		{ .origin = first, .reference = reference, .number = span_str("1") },
		{ .origin = second, .reference = reference, .number = span_str("2") },
	};
	struct book book = make_book(&home, entries, N_ELEMENTS(entries));
	const struct book_entry *entry = NULL;
	char text[REFERENCE_TEXT_MAX];

	reference_format(reference, text);
	cr_expect_eq(book_find_petition(&book, span_str(text), &entry), want, "%u and %u", first, second);
	if (want == IMPORT_FOUND)
		cr_expect_eq(entry, &entries[want_entry], "%u and %u", first, second);
}

Test(find, a_reference_is_that_of_the_nearest_office) {
	expect_reference(5, 10, IMPORT_FOUND, 0);
	expect_reference(10, 5, IMPORT_FOUND, 1);
	expect_reference(10, 1, IMPORT_FOUND, 1);
	expect_reference(3, 10, IMPORT_FOUND, 1);
	expect_reference(5, 7, IMPORT_FOUND, 0); /* both are directly below: it has the code of the first */
	expect_reference(8, 5, IMPORT_FOUND, 1);
	expect_reference(7, 8, IMPORT_MANY, 0);
	expect_reference(10, 10, IMPORT_MANY, 0);
}

/* Whoever is below can put any text into the field for the number of its paper register. */
Test(find, a_reference_is_not_taken_by_who_writes_it_as_a_number) {
	struct home home = make_home();
	uint64_t reference = reference_make(41, 2, 2024, 1);
	char text[REFERENCE_TEXT_MAX];
	struct book_entry entries[2] = {
		{ .origin = 5, .reference = reference },
		{ .origin = 10, .reference = reference + 1 },
	};
	struct book book = make_book(&home, entries, N_ELEMENTS(entries));
	const struct book_entry *entry = NULL;

	reference_format(reference, text);
	entries[1].number = span_str(text);
	cr_expect_eq(book_find_petition(&book, span_str(text), &entry), IMPORT_FOUND);
	cr_expect_eq(entry, &entries[0]);
}

Test(find, a_number_of_two_offices_is_neither_however_near_they_are) {
	struct home home = make_home();
	struct book_entry entries[] = {
		{ .origin = 1, .number = span_str("12") },
		{ .origin = 10, .number = span_str("12") },
	};
	struct book book = make_book(&home, entries, N_ELEMENTS(entries));
	const struct book_entry *entry = NULL;

	cr_expect_eq(book_find_petition(&book, span_str("12"), &entry), IMPORT_MANY);
}

Test(find, a_name_is_that_of_the_nearest_office) {
	static const struct {
		const char *name;
		size_t want;
	} cases[] = {
		{ "27", 0 },     /* itself, though one below took its code */
		{ "30", 1 },     /* above */
		{ "41", 4 },     /* of two children the one that works */
		{ "43", 8 },     /* beside it, before it is one two levels down */
		{ "Before", 3 }, /* nobody is nearer */
		{ "33333333333333333333333333333333", 2 },
	};
	struct home home = make_home();

	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		cr_expect_eq(home_find_office(&home, cases[i].name, OFFICES_KNOWN), &offices[cases[i].want], "%s",
			cases[i].name);
	cr_expect_null(home_find_office(&home, "31", OFFICES_KNOWN));
}

Test(find, an_office_is_not_chosen_among_several_that_are_equally_near) {
	struct home home = make_home();
	char *list;

	cr_expect_null(home_find_office(&home, "42", OFFICES_KNOWN));
	list = home_list_offices(&home, "42", OFFICES_KNOWN);
	cr_assert(list);
	cr_expect_str_eq(list, "42 Left (id 77777777777777777777777777777777); "
			       "42 Right (id 88888888888888888888888888888888)");
	free(list);
	list = home_list_offices(&home, "31", OFFICES_KNOWN);
	cr_assert(list);
	cr_expect_str_eq(list, "");
	free(list);
}

Test(find, what_is_changed_is_directly_below_or_the_topmost_itself) {
	struct home home = make_home();

	cr_expect_eq(home_find_office(&home, "41", OFFICES_BELOW), &offices[4]);
	cr_expect_eq(home_find_office(&home, "Closed child", OFFICES_BELOW), &offices[5]);
	cr_expect_null(home_find_office(&home, "27", OFFICES_BELOW), "neither itself nor one further below");
	cr_expect_null(home_find_office(&home, "43", OFFICES_BELOW));
	cr_expect_null(home_find_office(&home, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", OFFICES_BELOW));
	set_office(0, 27, "Own", OFFICE_ACTIVE, 0);
	cr_expect_eq(home_find_office(&home, "27", OFFICES_BELOW), &offices[0]);
}

Test(find, a_case_goes_to_the_office_above_though_another_has_its_code) {
	struct home home = make_home();
	struct book book = make_book(&home, NULL, 0);
	struct import_context context;
	struct id id;

	book_context(&book, &context);
	cr_expect_eq(context.find_office(&book, span_str("30"), &id), IMPORT_FOUND);
	cr_expect(id_eq(&id, &offices[1].office.id));
	cr_expect_eq(context.find_office(&book, span_str("22222222222222222222222222222222"), &id),
		IMPORT_FOUND);
	cr_expect_eq(context.find_office(&book, span_str("33333333333333333333333333333333"), &id),
		IMPORT_NONE);
	cr_expect_eq(context.find_office(&book, span_str("27"), &id), IMPORT_NONE);
}
