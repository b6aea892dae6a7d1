/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * offices - the register: every office that this one knows, and who its own parent is
 *
 * Rows come from office records (fold.h) and, for the chain above, from the parent's answer at
 * joining. A row's number is this store's short name for the office; it is never reused. The signing key
 * in struct office is the present one; the keys before it stand beside it.
 */
#include "proto/kinds/office.h"
#include "store/store.h"

enum {
	OFFICES_NAME_MAX = OFFICE_NAME_MAX,
};

/* What an office says of another in one tenure: who it is (the newest), and to whom it hands it over (the first). */
struct office_word {
	struct id office;
	struct id speaker;
	uint8_t tenure;
	bool moves;
};

/* A row with its texts copied, so that it outlives the transaction. */
struct office_row {
	uint32_t number;
	struct office office; /* level and name point into the arrays below */
	struct office_former former;
	struct office_forks forks;
	struct office_parents parents;
	uint32_t below; /* so many were enrolled below it, at whatever depth; only in the store always the newest */
	uint8_t level[OFFICE_LEVEL_MAX];
	uint8_t name[OFFICE_NAME_MAX];
};

/* Points @row's spans at its own arrays; call it after copying a row by assignment. */
void office_row_fix(struct office_row *row);

/* Adds, or replaces what is known of, an office, but for its forks and former parents. The first has number 1. */
int offices_put(struct txn *txn, const struct office *office, const struct office_former *former,
	uint32_t *ret_number);
/* Replaces all that is known of an office. */
int offices_replace(struct txn *txn, const struct office_row *row);
int offices_get(struct txn *txn, const struct id *id, struct office_row *ret_row); /* STORE_NOT_FOUND */
/* Keeps a word, @body being that of its record; and looks for one, whose texts are borrowed: STORE_NOT_FOUND. */
int offices_put_word(struct txn *txn, const struct office_word *word, struct span body);
int offices_get_word(struct txn *txn, const struct office_word *word, struct office *ret_said);
int offices_by_number(struct txn *txn, uint32_t number, struct office_row *ret_row);
/* Calls @fn for every office in order of number; stops at its first non-zero, which is returned. */
typedef int (*office_fn)(void *userdata, const struct office_row *row);
int offices_each(struct txn *txn, office_fn fn, void *userdata);

/* Whose store this is, and its life (the epoch of its own oplogs); STORE_NOT_FOUND: nobody's yet. */
int offices_own(struct txn *txn, struct office_row *ret_row, uint32_t *ret_epoch);
int offices_set_own(struct txn *txn, const struct id *id, uint32_t epoch);
/* Where the parent listens; STORE_NOT_FOUND: not joined. @ret_address is borrowed. */
int offices_parent_address(struct txn *txn, struct span *ret_address);
int offices_set_parent_address(struct txn *txn, struct span address);
