/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * visibility - which office of the chain has the bytes of a record, which its hash, which nothing, and why
 *
 * From what this office knows: its own store, what its parent has acknowledged, what was escalated. Where
 * it cannot know, because nobody tells it, it is what the rule gives (known is then false).
 */
#include "tools/home.h"

enum {
	VISIBILITY_LEVELS_MAX = 64,
};

enum holding {
	HOLDS_NOTHING,
	HOLDS_HASH,
	HOLDS_RECORD,
};

/* Why it has what it has. */
enum sight {
	SIGHT_ORIGIN,        /* it wrote the record */
	SIGHT_ONE_LEVEL_UP,  /* detail goes so far */
	SIGHT_ALL_LEVELS,    /* a record of this kind goes all the way */
	SIGHT_AUDIENCE,      /* it was sent down to it */
	SIGHT_ESCALATED,     /* disclosed by an escalation of `by` */
	SIGHT_GRANTED,       /* granted by `by`, which was asked for it */
	SIGHT_HANDED_OVER,   /* disclosed by `by`, which handed the case over */
	SIGHT_DISCLOSED,     /* disclosed by `by`, for a cause that is not known here */
	SIGHT_RULE,          /* withheld: it is too far up */
	SIGHT_CONFIGURATION, /* withheld by `by`, which is set so */
	SIGHT_WITHHELD,      /* it came from above, and is not for it */
	SIGHT_STAYS,         /* a record of this kind stays in its office */
	SIGHT_DISCLOSING,    /* it is to get the bytes, and has not said that it has them */
	SIGHT_NOT_YET,       /* it has not acknowledged it */
	SIGHT_N,
};

struct level {
	const struct office_row *office;
	enum holding holds;
	enum sight why;
	const struct office_row *by; /* NULL: nobody in particular */
	bool known;
};

extern const struct words words_holding;
extern const struct words words_sight;

/*
 * The offices from the record's origin up to the topmost; an office below the origin, whose own store this
 * is, stands before them. 0 or -errno.
 */
int visibility_of(const struct home *home, const struct place *place, struct level *ret_levels, size_t *ret_n);
