/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * changes - the numbered stream that dashboards follow
 *
 * A row is a msgpack array: [1, time_ms, office, period, category, organisation, measure, n] for a
 * tally row that changed, [2, time_ms, office, case, reference, cause, rule, state, measured,
 * threshold, people, category] for an escalation. Numbers start at 1, rise by one, and are never
 * used again, though old rows are forgotten after a time. In a store that was put back there is one gap.
 */
#include "proto/kinds/escalation.h"
#include "proto/kinds/tally.h"
#include "store/store.h"

enum change_type {
	CHANGE_TALLY = 1,
	CHANGE_ESCALATION = 2,
};

enum {
	CHANGE_MAX = 512,      /* bytes of a row */
	CHANGES_JUMP = 1000000000, /* numbers left out when a store was put back: more than came since the copy */
	CHANGES_FORGOTTEN = 1, /* changes_each(): the first number asked for is no longer kept */
	CHANGE_MALFORMED = 2,
};

struct change {
	uint8_t type;
	uint64_t time_ms; /* when this office saw it */
	struct id office; /* whose count it is, or who escalated */
	struct tally_row tally;
	struct escalation escalation; /* without its clock_step */
};

void change_encode(const struct change *change, struct writer *w);
int change_decode(struct span row, struct change *ret_change); /* 0 or CHANGE_MALFORMED */

/* The number of the newest row; 0: none ever. */
int changes_last(struct txn *txn, uint64_t *ret_number);
int changes_append(struct txn *txn, struct span row, uint64_t *ret_number);
/* Leaves CHANGES_JUMP numbers out: whoever follows sees that rows are missing, as if they were forgotten. */
int changes_jump(struct txn *txn);
/* Rows with a number above @since, in order; stops at @fn's first non-zero, which is returned. */
typedef int (*change_fn)(void *userdata, uint64_t number, struct span row);
int changes_each(struct txn *txn, uint64_t since, change_fn fn, void *userdata);
/* Forgets rows older than @before_ms, at most @max of them; the newest row always stays. */
int changes_forget(struct txn *txn, uint64_t before_ms, unsigned max);
