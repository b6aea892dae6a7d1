/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tools/enrolment.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/home.h"

#define SEPARATORS " -:"

enum {
	GROUPS = 5,
};

/* Of an office's id and keys; with @parent, of whom it is below too. */
static void office_hash(const struct office *office, const struct office *parent, struct hash *ret_hash) {
	uint8_t bytes[2 * sizeof(struct id) + SIGN_PUBLIC_LEN + 2 * OFFICE_CURVE_LEN];
	struct writer w;

	writer_init(&w, bytes, sizeof(bytes));
	write_raw(&w, (struct span){ office->id.b, sizeof(office->id.b) });
	write_raw(&w, (struct span){ office->sign_key, SIGN_PUBLIC_LEN });
	write_raw(&w, (struct span){ office->curve_key, OFFICE_CURVE_LEN });
	if (parent) {
		write_raw(&w, (struct span){ parent->id.b, sizeof(parent->id.b) });
		write_raw(&w, (struct span){ parent->curve_key, OFFICE_CURVE_LEN });
	}
	sha256(writer_span(&w), ret_hash);
}

void enrolment_fingerprint(const struct office *office, char ret_text[FINGERPRINT_MAX]) {
	struct hash hash;
	size_t len = 0;

	office_hash(office, NULL, &hash);
	for (unsigned i = 0; i < GROUPS; i++)
		len += (size_t)snprintf(ret_text + len, FINGERPRINT_MAX - len, "%s%04x", i ? " " : "",
			get_be16(hash.b + 2 * i));
}

void enrolment_first_fingerprint(const struct office *office, const struct office_former *former,
	char ret_text[FINGERPRINT_MAX]) {
	struct office first = *office;

	memcpy(first.sign_key, office_term_key(office, former, 0), sizeof(first.sign_key));
	enrolment_fingerprint(&first, ret_text);
}

bool enrolment_is_fingerprint(const char *text) {
	unsigned digits = 0;

	for (;; text++) {
		text += strspn(text, SEPARATORS);
		if (!isxdigit((unsigned char)*text))
			return *text == '\0' && digits == 4 * GROUPS;
		digits++;
	}
}

int enrolment_no_fingerprint(const char *text) {
	return misuse(_("\"%s\" is not a fingerprint; write all of it, five groups of four digits or letters from a to f"),
		text);
}

bool enrolment_same_fingerprint(const char *given, const char *made) {
	for (;; given++, made++) {
		given += strspn(given, SEPARATORS);
		made += strspn(made, SEPARATORS);
		if ((*given | 0x20) != (*made | 0x20))
			return *given == '\0' && *made == '\0';
		if (*given == '\0')
			return true;
	}
}

/* What was typed means yes, in either language. */
static bool is_answered_yes(void) {
	char line[64];

	return fgets(line, sizeof(line), stdin) && line[0] && strchr("yYcC", line[0]);
}

int enrolment_confirm(const struct office *office, const struct comparison *comparison) {
	char fingerprint[FINGERPRINT_MAX], label[OFFICE_LABEL_MAX];

	enrolment_fingerprint(office, fingerprint);
	office_label(&(struct office_row){ .office = *office }, label);
	if (comparison->fingerprint && !enrolment_is_fingerprint(comparison->fingerprint))
		return enrolment_no_fingerprint(comparison->fingerprint);
	if (comparison->fingerprint)
		return enrolment_same_fingerprint(comparison->fingerprint, fingerprint) ? DONE :
			refuse(_("%s: the fingerprint in the file is another one: %s; nothing was done; ask that office for its file again, in a safer way"),
				label, fingerprint);
	if (comparison->yes)
		return DONE;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return misuse(_("%s: let that office read its fingerprint to you over the telephone, and add what you hear: --fingerprint \"...\" (or --yes, if it is surely %s)"),
			label, fingerprint);
	(void)fail(_("%s, fingerprint %s: does that office read the same over the telephone? (yes/no)"), label,
		fingerprint);
	return is_answered_yes() ? DONE : refuse(_("not confirmed; nothing was done"));
}

/* 8 bits: sixteen beginnings and sixteen endings that sound and are spelt alike in all of the country. */
static size_t put_syllable(uint8_t bits, char *ret_text) {
	static const char *const onsets[16] = { "b", "ch", "d", "đ", "h", "kh", "l", "m", "n", "ph", "r",
		"s", "t", "th", "v", "nh" };
	static const char *const rimes[16] = { "a", "am", "an", "ang", "ao", "ay", "ê", "ên", "i", "in",
		"o", "om", "ôi", "ông", "u", "ung" };

	return (size_t)sprintf(ret_text, "%s%s", onsets[bits >> 4], rimes[bits & 15]);
}

/* 16 bits: consonant, vowel, consonant, vowel, consonant. */
static size_t put_word(uint16_t bits, char *ret_text) {
	static const char consonants[] = "bdfghjklmnprstvz", vowels[] = "aeio";

	return (size_t)sprintf(ret_text, "%c%c%c%c%c", consonants[bits >> 12], vowels[bits >> 10 & 3],
		consonants[bits >> 6 & 15], vowels[bits >> 4 & 3], consonants[bits & 15]);
}

void enrolment_words(const struct office *office, const struct office *parent, bool vietnamese,
	char ret_words[WORDS_MAX]) {
	struct hash hash;
	size_t len = 0;

	office_hash(office, parent, &hash);
	for (unsigned i = 0; i < GROUPS; i++) {
		if (i > 0)
			len += (size_t)sprintf(ret_words + len, "%s", vietnamese ? ", " : " ");
		if (vietnamese) {
			len += put_syllable(hash.b[2 * i], ret_words + len);
			ret_words[len++] = ' ';
			len += put_syllable(hash.b[2 * i + 1], ret_words + len);
		} else {
			len += put_word(get_be16(hash.b + 2 * i), ret_words + len);
		}
	}
}
