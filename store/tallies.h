/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * tallies - absolute counts, each owned by exactly one office
 *
 * Derived (see fold.h). A row that came by record carries the epoch of its origin: all rows of another office are
 * of one life of it, the newest that has counted anything here, since each life begins with all its counts. A count
 * of 0 is kept: it replaces what was there before.
 */
#include "proto/kinds/tally.h"
#include "store/store.h"

struct tally_entry {
	uint32_t office; /* number in the register */
	uint32_t epoch;
	struct tally_row row;
	uint64_t carried; /* so much of an own one, and @epoch is of the life that says so: see carry.c; 0: none has */
};

enum {
	TALLIES_KEY_LEN = 11,
};

/* Fills the rest of an entry of an office and the first four of a row. 0, or STORE_NOT_FOUND with nothing filled. */
int tallies_get(struct txn *txn, struct tally_entry *entry);
/* Adds or replaces; an entry of an older epoch than what is there changes nothing. */
int tallies_put(struct txn *txn, const struct tally_entry *entry);
/* In key order: office, period, category, organisation, measure. */
typedef int (*tally_fn)(void *userdata, const struct tally_entry *entry);
int tallies_each(struct txn *txn, tally_fn fn, void *userdata);
/* Those of one office. */
int tallies_of(struct txn *txn, uint32_t office, tally_fn fn, void *userdata);
/* From the first key after @after (empty: all); for answers in pieces. */
int tallies_after(struct txn *txn, struct span after, tally_fn fn, void *userdata);
void tallies_key(uint32_t office, const struct tally_row *row, uint8_t ret_key[TALLIES_KEY_LEN]);
