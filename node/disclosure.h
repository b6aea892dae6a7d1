/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * disclosure - which records the office above is to have in full, and what comes so from below
 *
 * Detail goes one level up; the records of a case that this office found to need those above go one level
 * further. What the turn makes due is noted as it happens and becomes rows (store/disclosures.h) at its
 * end, in the same transaction, when every oplog's row is written. What comes is looked at after all
 * batches of the turn: its leaf may be in one of them.
 */
#include "proto/message.h"
#include "store/cases.h"

struct core;
struct link;

enum {
	DISCLOSURE_RULE_LEN = 16 + 4 + 1, /* parent, epoch, whether the office's own detail is withheld too */
	DISCLOSURE_STATE_LEN = DISCLOSURE_RULE_LEN + 4 + 8 * LANE_N, /* and since when: epoch, sizes of its own oplogs */
};

/* A record of a case that became due in this turn, or all records of it. */
struct disclosure_note {
	struct id petition;
	uint32_t office; /* that wrote the record; 0: all that are here */
	uint64_t arrival;
};

/* A record that came for a leaf; its bytes are borrowed until the turn ends. */
struct disclosure_come {
	struct link *link;
	struct disclose disclose;
};

struct core_disclosures {
	struct disclosure_note *notes;
	size_t n_notes, cap_notes;
	struct disclosure_come *come;
	size_t n_come, cap_come;
	/*
	 * For whom, and by which rule, the rows in the store were made: anything else, and they are made again. What
	 * the office wrote before that rule may have gone by another one; since zeros, nothing did.
	 */
	uint8_t state[DISCLOSURE_STATE_LEN];
};

/* What the store says of it. 0 or -errno. */
int core_disclosures_load(struct core *core);
/* Forgets the turn, as when it is given up or over. */
void core_disclosures_clear(struct core *core);
void core_disclosures_done(struct core *core);

/* Notes that a case is to be read above from now on: all of it that is here. 0 or -errno. */
int core_disclose_case(struct core *core, const struct id *petition);
/* Whether the office above reads the case by what was found or granted here. 0 (no), 1 or -errno. */
int core_is_read_above(struct core *core, const struct id *petition);
/* After a record was folded: notes it if its case is read above already. 0 or -errno. */
int core_disclose_record(struct core *core, uint32_t origin, uint64_t arrival, const struct record *rec);
/* A neighbour discloses a record. 0, a refusal that ends the session, or -errno. */
int core_take_disclosure(struct core *core, struct link *link, const struct disclose *disclose);
/* When all batches of the turn are kept: keeps, folds and judges what came. 0 or -errno. */
int core_keep_disclosures(struct core *core);
/* When every oplog is written: makes the rows of what became due. 0 or -errno. */
int core_put_disclosures(struct core *core);
