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

/* Of the office's id and keys: five groups of four hexadecimal digits. */
void enrolment_fingerprint(const struct office *office, char ret_text[FINGERPRINT_MAX]);
/*
 * Of these and of its parent's id and CURVE key, so that both sides see it if an invitation was altered on
 * its way: five words that can be said over the telephone, Vietnamese, each of two syllables, or such as
 * an English reader can say, each of consonant, vowel, consonant, vowel, consonant.
 */
void enrolment_words(const struct office *office, const struct office *parent, bool vietnamese,
	char ret_words[WORDS_MAX]);
