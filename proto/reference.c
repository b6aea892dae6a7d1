/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/reference.h"

#include <assert.h>
#include <stdio.h>

enum {
	SERIAL_DIGITS_MIN = 5,
	SERIAL_DIGITS_MAX = 8,
	SERIAL_BASE_MIN = 100000,
	SERIAL_BASE = REFERENCE_SERIAL_MAX + 1,
	YEAR_DIGITS = 2,
	CHECK_DIGITS = 2,
	DIGITS_MAX = 5 + YEAR_DIGITS + SERIAL_DIGITS_MAX + CHECK_DIGITS,
};

/* What an official code may look like; the base keeps apart codes that differ only in length. */
static const struct code_form {
	uint8_t digits;
	uint32_t base;
	uint32_t max;
} code_forms[] = {
	{ 2, 200000, 99 },
	{ 3, 100000, 999 },
	{ 5, 0, REFERENCE_CODE_MAX },
};

bool reference_code_ok(uint32_t code, unsigned code_digits) {
	for (size_t i = 0; i < N_ELEMENTS(code_forms); i++) {
		if (code_forms[i].digits == code_digits)
			return code <= code_forms[i].max;
	}
	return false;
}

static uint64_t join(const struct code_form *form, uint32_t code, unsigned year, uint32_t serial) {
	return ((uint64_t)(form->base + code) * 100 + year % 100) * SERIAL_BASE + serial;
}

uint64_t reference_make(uint32_t code, unsigned code_digits, unsigned year, uint32_t serial) {
	const struct code_form *form = code_forms;

	assert(reference_code_ok(code, code_digits));
	assert(serial >= 1 && serial <= REFERENCE_SERIAL_MAX);
	while (form->digits != code_digits)
		form++;
	return join(form, code, year, serial);
}

bool reference_is_of(uint64_t reference, uint32_t code, unsigned code_digits) {
	const uint64_t office = (uint64_t)SERIAL_BASE * 100;

	return reference / office == reference_make(code, code_digits, 0, 1) / office;
}

/* ISO/IEC 7064, MOD 97-10: the digits, with these two behind them, leave 1 when divided by 97. */
static unsigned check_of(uint64_t digits) {
	return 98 - digits * 100 % 97;
}

void reference_format(uint64_t reference, char ret_text[REFERENCE_TEXT_MAX]) {
	uint32_t serial = reference % SERIAL_BASE;
	unsigned year = reference / SERIAL_BASE % 100;
	uint64_t office = reference / SERIAL_BASE / 100;
	const struct code_form *form = NULL;
	uint64_t serial_base = SERIAL_BASE_MIN;
	uint32_t code;
	unsigned check;

	for (size_t i = 0; i < N_ELEMENTS(code_forms) && !form; i++) {
		if (office >= code_forms[i].base && office - code_forms[i].base <= code_forms[i].max)
			form = &code_forms[i];
	}
	if (!form || serial == 0) {
		snprintf(ret_text, REFERENCE_TEXT_MAX, "-");
		return;
	}
	while (serial >= serial_base)
		serial_base *= 10;
	code = office - form->base;
	check = check_of((code * 100ULL + year) * serial_base + serial);
	snprintf(ret_text, REFERENCE_TEXT_MAX, "%0*u-%02u-%05u-%02u", form->digits, code, year, serial,
		check);
}

/* The digits of @text, and as bits before which of them it was divided. 0 if they are too many. */
static unsigned collect(struct span text, uint8_t ret_digits[DIGITS_MAX], uint32_t *ret_divided) {
	bool divided = false;
	unsigned n = 0;

	*ret_divided = 0;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c == ' ' || c == '.' || c == '-') {
			divided = n > 0;
			continue;
		}
		if (c < '0' || c > '9' || n == DIGITS_MAX)
			return 0;
		*ret_divided |= (uint32_t)divided << n;
		divided = false;
		ret_digits[n++] = c - '0';
	}
	return n;
}

/* Whether the @n digits can be a code of @form, a year, a serial and the check digits. */
static bool form_fits(const struct code_form *form, const uint8_t *digits, unsigned n,
	uint32_t divided) {
	unsigned serial_at = form->digits + YEAR_DIGITS;
	unsigned check_at = n - CHECK_DIGITS;

	if (n < serial_at + SERIAL_DIGITS_MIN + CHECK_DIGITS ||
		n > serial_at + SERIAL_DIGITS_MAX + CHECK_DIGITS)
		return false;
	if (check_at - serial_at > SERIAL_DIGITS_MIN && digits[serial_at] == 0)
		return false; /* filled up beyond five digits: never written so */
	if (divided && (divided & ((2U << form->digits) - 1)) != 1U << form->digits)
		return false; /* the first separator is not behind the code */
	return (divided & ~(1U << form->digits | 1U << serial_at | 1U << check_at)) == 0;
}

static uint64_t number(const uint8_t *digits, unsigned from, unsigned to) {
	uint64_t value = 0;

	for (unsigned i = from; i < to; i++)
		value = value * 10 + digits[i];
	return value;
}

int reference_parse(struct span text, uint64_t *ret_reference) {
	const struct code_form *form = NULL;
	uint8_t digits[DIGITS_MAX];
	uint32_t divided;
	unsigned n = collect(text, digits, &divided);
	uint32_t serial;
	unsigned year;

	for (size_t i = 0; i < N_ELEMENTS(code_forms); i++) {
		if (!form_fits(&code_forms[i], digits, n, divided))
			continue;
		if (form)
			return REFERENCE_MALFORMED; /* two ways to read it: better ask than guess */
		form = &code_forms[i];
	}
	if (!form)
		return REFERENCE_MALFORMED;
	year = number(digits, form->digits, form->digits + YEAR_DIGITS);
	serial = number(digits, form->digits + YEAR_DIGITS, n - CHECK_DIGITS);
	if (serial == 0)
		return REFERENCE_MALFORMED;
	if (check_of(number(digits, 0, n - CHECK_DIGITS)) != number(digits, n - CHECK_DIGITS, n))
		return REFERENCE_WRONG_CHECK;
	*ret_reference = join(form, number(digits, 0, form->digits), year, serial);
	return 0;
}
