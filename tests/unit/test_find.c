/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "proto/record.h"
#include "proto/reference.h"
#include "tools/find.h"

#define DAY_MS 1704387600000 /* 2024-01-05 in Asia/Ho_Chi_Minh */

enum {
	N_OFFICES = 4,
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

/* An office 27 below one of two that have the code 30; and one more 27 that has closed. */
static struct home make_home(void) {
	set_office(0, 27, "Own", OFFICE_ACTIVE, 0x22);
	set_office(1, 30, "Above", OFFICE_ACTIVE, 0);
	set_office(2, 30, "Other", OFFICE_ACTIVE, 0);
	set_office(3, 27, "Before", OFFICE_CLOSED, 0);
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
		{ .origin = 1, .reference = reference, .number = span_str("1") },
		{ .origin = 3, .reference = reference, .number = span_str("2") },
		{ .origin = 3, .reference = reference + 1, .number = span_str("3") },
	};
	struct book book = make_book(&home, entries, N_ELEMENTS(entries));
	const struct book_entry *entry = NULL;
	char text[REFERENCE_TEXT_MAX];
	char *list;

	reference_format(reference, text);
	cr_expect_eq(book_find_petition(&book, span_str(text), &entry), IMPORT_MANY);
	list = book_list_petitions(&book, span_str(text));
	cr_assert(list);
	cr_expect_str_eq(list, "27 Own, received 2024-01-05 (id a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1); "
			       "30 Other, received 2024-01-05 (id a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2)");
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

Test(find, an_office_is_not_chosen_among_several) {
	struct home home = make_home();
	char *list;

	cr_expect_null(home_find_office(&home, "30"));
	list = home_list_offices(&home, "30");
	cr_assert(list);
	cr_expect_str_eq(list, "30 Above (id 22222222222222222222222222222222); "
			       "30 Other (id 33333333333333333333333333333333)");
	free(list);
	cr_expect_eq(home_find_office(&home, "33333333333333333333333333333333"), &offices[2]);
	cr_expect_eq(home_find_office(&home, "27"), &offices[0]);
	cr_expect_eq(home_find_office(&home, "Before"), &offices[3]);
	cr_expect_null(home_find_office(&home, "31"));
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
