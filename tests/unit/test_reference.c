/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/reference.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct {
	uint32_t code;
	unsigned code_digits;
	unsigned year;
	uint32_t serial;
	const char *text;
} samples[] = {
	{ 9163, 5, 2024, 42, "09163-24-00042-13" },
	{ 258, 5, 2024, 1, "00258-24-00001-72" },
	{ 258, 3, 2024, 1, "258-24-00001-72" },
	{ 31, 2, 2025, 99999, "31-25-99999-78" },
	{ 0, 5, 2000, 1, "00000-00-00001-95" },
	{ 99999, 5, 99, 99999999, "99999-99-99999999-63" },
	{ 1, 2, 26, 1234567, "01-26-1234567-35" },
};

static int parse(const char *text, uint64_t *ret_reference) {
	return reference_parse(span_str(text), ret_reference);
}

Test(reference, is_written_and_read_back) {
	for (size_t i = 0; i < N_ELEMENTS(samples); i++) {
		uint64_t reference = reference_make(samples[i].code, samples[i].code_digits,
			samples[i].year, samples[i].serial);
		char text[REFERENCE_TEXT_MAX];
		uint64_t got = 0;

		reference_format(reference, text);
		cr_expect_str_eq(text, samples[i].text);
		cr_expect_eq(parse(text, &got), 0, "%s", text);
		cr_expect_eq(got, reference, "%s", text);
	}
}

Test(reference, has_the_number_that_its_header_says) {
	cr_expect_eq(reference_make(9163, 5, 2024, 42), 91632400000042);
	cr_expect_eq(reference_make(258, 3, 2024, 42), 1002582400000042);
	cr_expect_eq(reference_make(31, 2, 2024, 42), 2000312400000042);
}

Test(reference, is_of_the_office_that_has_its_code) {
	for (size_t i = 0; i < N_ELEMENTS(samples); i++) {
		for (size_t j = 0; j < N_ELEMENTS(samples); j++) {
			uint64_t reference = reference_make(samples[i].code, samples[i].code_digits, samples[i].year,
				samples[i].serial);
			bool same = samples[i].code == samples[j].code &&
				samples[i].code_digits == samples[j].code_digits;

			cr_expect_eq(reference_is_of(reference, samples[j].code, samples[j].code_digits), same,
				"%s, %u", samples[i].text, samples[j].code);
		}
	}
	cr_expect_not(reference_is_of(UINT64_MAX, 9163, 5));
	cr_expect_not(reference_is_of(0, 9163, 5));
}

Test(reference, keeps_apart_every_code_length_and_serial_length) {
	static const struct {
		unsigned digits;
		uint32_t max;
	} forms[] = { { 2, 99 }, { 3, 999 }, { 5, 99999 } };
	static const uint32_t serials[] = { 1, 99999, 100000, 999999, 1000000, 9999999, 10000000,
		99999999 };

	for (size_t i = 0; i < N_ELEMENTS(forms); i++) {
		for (uint32_t code = 0; code <= forms[i].max; code += code < 120 ? 1 : 97) {
			for (size_t j = 0; j < N_ELEMENTS(serials); j++) {
				uint64_t reference = reference_make(code, forms[i].digits, code, serials[j]);
				char text[REFERENCE_TEXT_MAX];
				uint64_t got = 0;

				reference_format(reference, text);
				cr_assert_eq(parse(text, &got), 0, "%s", text);
				cr_assert_eq(got, reference, "%s", text);
			}
		}
	}
}

Test(reference, finds_every_wrong_digit_and_every_swap) {
	for (size_t i = 0; i < N_ELEMENTS(samples); i++) {
		char text[REFERENCE_TEXT_MAX];
		size_t len = strlen(samples[i].text);
		uint64_t got;

		for (size_t at = 0; at < len; at++) {
			size_t after = at + 1 + (at + 1 < len && samples[i].text[at + 1] == '-');

			if (samples[i].text[at] == '-')
				continue;
			strcpy(text, samples[i].text);
			for (char digit = '0'; digit <= '9'; digit++) {
				text[at] = digit;
				if (digit != samples[i].text[at])
					cr_expect_neq(parse(text, &got), 0, "%s for %s", text, samples[i].text);
			}
			strcpy(text, samples[i].text);
			if (after >= len || text[at] == text[after])
				continue;
			text[at] = samples[i].text[after];
			text[after] = samples[i].text[at];
			cr_expect_neq(parse(text, &got), 0, "%s for %s", text, samples[i].text);
		}
	}
}

Test(reference, says_whether_it_is_no_reference_or_a_misread_one) {
	static const struct {
		const char *text;
		int want;
	} cases[] = {
		{ "09163-24-00042-13", 0 },
		{ "  09163 24 00042 13 ", 0 },
		{ "09163.24.00042.13", 0 },
		{ "09163 - 24 - 00042 - 13", 0 },
		{ "09163 240004213", 0 },
		{ "09163 24 0004213", 0 },
		{ "0916324-0004213", REFERENCE_MALFORMED },   /* the code is not set apart */
		{ "091632400042-13", REFERENCE_MALFORMED },
		{ "09163240004213", REFERENCE_MALFORMED },    /* or 091-63-2400042-13 */
		{ "31259999978", 0 },                         /* eleven digits: only a province's */
		{ "99999999999999963", 0 },                   /* seventeen: only a commune's */
		{ "09163-24-00042-14", REFERENCE_WRONG_CHECK },
		{ "09163-24-00024-13", REFERENCE_WRONG_CHECK },
		{ "9163-24-00042-13", REFERENCE_MALFORMED },
		{ "09163-24-42-13", REFERENCE_MALFORMED },
		{ "09163-24-000042-13", REFERENCE_MALFORMED }, /* a second form of the same */
		{ "09163-24-000 42-13", REFERENCE_MALFORMED },
		{ "091 63-24-00042-13", REFERENCE_MALFORMED }, /* and not office 091 in 63 */
		{ "00258-24-00000-75", REFERENCE_MALFORMED },  /* numbers begin at 1 */
		{ "09163-24-00042-13-1", REFERENCE_MALFORMED },
		{ "09163/24/00042/13", REFERENCE_MALFORMED },
		{ "0916a-24-00042-13", REFERENCE_MALFORMED },
		{ "999999999999999999999999999999", REFERENCE_MALFORMED },
		{ "-", REFERENCE_MALFORMED },
		{ "", REFERENCE_MALFORMED },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		uint64_t got = 7;

		cr_expect_eq(parse(cases[i].text, &got), cases[i].want, "%s", cases[i].text);
		cr_expect(cases[i].want == 0 || got == 7, "untouched on failure");
	}
}

Test(reference, takes_only_the_check_digits_that_are_written) {
	/* 97 more or less leaves the same rest; 00, 01 and 99 are never written. */
	for (unsigned serial = 1; serial < 2000; serial++) {
		char text[REFERENCE_TEXT_MAX];
		unsigned check, n_good = 0;
		uint64_t got;

		for (check = 0; check < 100; check++) {
			snprintf(text, sizeof(text), "09163-24-%05u-%02u", serial, check);
			n_good += parse(text, &got) == 0;
		}
		cr_expect_eq(n_good, 1, "serial %u", serial);
	}
}

Test(reference, shows_a_dash_for_what_is_none) {
	static const uint64_t none[] = {
		0,
		91632400000000,      /* serial 0 */
		1010002400000042,    /* a district's code of four digits */
		2001002400000042,    /* a province's of three */
		UINT64_MAX,
	};

	for (size_t i = 0; i < N_ELEMENTS(none); i++) {
		char text[REFERENCE_TEXT_MAX];

		reference_format(none[i], text);
		cr_expect_str_eq(text, "-", "case %zu", i);
	}
}

Test(reference, knows_which_codes_an_office_may_have) {
	cr_expect(reference_code_ok(99, 2));
	cr_expect(reference_code_ok(999, 3));
	cr_expect(reference_code_ok(99999, 5));
	cr_expect_not(reference_code_ok(100, 2));
	cr_expect_not(reference_code_ok(1000, 3));
	cr_expect_not(reference_code_ok(100000, 5));
	cr_expect_not(reference_code_ok(1, 0));
	cr_expect_not(reference_code_ok(1, 4));
	cr_expect_not(reference_code_ok(1, 6));
}
