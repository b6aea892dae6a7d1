/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * words - the one word that each number of the protocol has on the command line, in CSV and JSON
 *
 * People are shown gettext() of it. A number without a word comes from a newer version.
 */
#include "proto/base.h"

struct words {
	const char *const *words; /* by number, N_(); NULL: no such number */
	size_t n;
};

extern const struct words words_action;
extern const struct words words_accuracy;
extern const struct words words_category;
extern const struct words words_cause;
extern const struct words words_channel;
extern const struct words words_kind;
extern const struct words words_lane;
extern const struct words words_legal_kind;
extern const struct words words_link_state;
extern const struct words words_measure;
extern const struct words words_meeting_type;
extern const struct words words_office_state;
extern const struct words words_organisation;
extern const struct words words_state;

/* In a list, in place of the state of an office from which nothing is accepted, since it runs twice. */
enum {
	OFFICE_SHOWN_FORKED = 100,
};

/* NULL: no word for it. */
const char *words_name(const struct words *words, uint64_t value);
/* ASCII letters of either case. */
bool words_find(const struct words *words, struct span text, uint8_t *ret_value);
/* All of them, for a message: "land, letters, ..."; on the heap, NULL without memory. */
char *words_list(const struct words *words);
