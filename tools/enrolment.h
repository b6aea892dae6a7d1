/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * enrolment - what two people compare so that no other office is enrolled under a name
 */
#include "proto/kinds/office.h"

enum {
	FINGERPRINT_MAX = 32,
	WORDS_MAX = 128, /* bytes, with the terminating zero */
};

/* How a file's office is confirmed, from the options of a command. */
struct comparison {
	const char *fingerprint; /* what somebody read out; NULL: nobody has, ask */
	bool yes;                /* it was compared, or need not be */
};

/* Of the office's id and keys: five groups of four hexadecimal digits. */
void enrolment_fingerprint(const struct office *office, char ret_text[FINGERPRINT_MAX]);
/*
 * Of the office's id and its first keys: what proofs go back to, and `verify --root` compares, of the topmost. It
 * stays as it is when the key changes.
 */
void enrolment_first_fingerprint(const struct office *office, const struct office_former *former,
	char ret_text[FINGERPRINT_MAX]);
/* Whether it can be one at all, as people may have written it down. */
bool enrolment_is_fingerprint(const char *text);
/* Says that it cannot; returns the ending. */
int enrolment_no_fingerprint(const char *text);
/* Whether @given is @made, also in capitals and with other spaces, as people may have written it down. */
bool enrolment_same_fingerprint(const char *given, const char *made);
/*
 * That @office is who it says it is: by the fingerprint given, or by asking whoever is at the terminal.
 * DONE, or an ending with its words.
 */
int enrolment_confirm(const struct office *office, const struct comparison *comparison);
/*
 * Of these and of its parent's id and CURVE key, so that both sides see it if an invitation was altered on
 * its way: five words that can be said over the telephone, Vietnamese, each of two syllables, or such as
 * an English reader can say, each of consonant, vowel, consonant, vowel, consonant.
 */
void enrolment_words(const struct office *office, const struct office *parent, bool vietnamese,
	char ret_words[WORDS_MAX]);
