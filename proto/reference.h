/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * reference - the number of a petition that a clerk can read over the telephone
 *
 * "09163-24-00042-13": the office's official code, the year, a running number of that office and
 * year, two check digits (ISO/IEC 7064, MOD 97-10), which find any one wrong digit and any two
 * that were swapped. As a number: office * 10^10 + year * 10^8 + serial, without the check digits;
 * office is the code, plus 100000 for a code of three digits and 200000 for one of two: district
 * 258 is another office than commune 00258.
 */
#include "proto/base.h"

enum {
	REFERENCE_TEXT_MAX = 24, /* with the terminating zero */
	REFERENCE_SERIAL_MAX = 99999999,
	REFERENCE_CODE_MAX = 99999,
};

enum {
	REFERENCE_MALFORMED = 1, /* not of that form */
	REFERENCE_WRONG_CHECK,   /* a digit was misread: the check digits do not fit */
};

/* Whether an office may have this code: 2 digits for a province, 3 a district, 5 a commune. */
bool reference_code_ok(uint32_t code, unsigned code_digits);
/* A code that is ok. @year: its last two digits count. @serial: from 1 to REFERENCE_SERIAL_MAX. */
uint64_t reference_make(uint32_t code, unsigned code_digits, unsigned year, uint32_t serial);
/* Whether it is of those that an office with this code gives. */
bool reference_is_of(uint64_t reference, uint32_t code, unsigned code_digits);
/* The serial is written with at least five digits. "-" for a number that is no reference, as 0. */
void reference_format(uint64_t reference, char ret_text[REFERENCE_TEXT_MAX]);
/*
 * The inverse. For each "-" there may be spaces, dots or dashes, any number of them. Those after the
 * first, which ends the code, may be left out; all of them only where the digits can be read in one
 * way: "09163240004213" might also be number 2400042 of office 091 in 63, and is malformed. Nothing
 * else may stand between digits. 0 or an outcome above.
 */
int reference_parse(struct span text, uint64_t *ret_reference);
