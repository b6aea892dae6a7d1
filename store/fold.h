/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * fold - records -> cases, tallies, register; a pure function of what the oplogs hold
 *
 * A case is its petition and its steps, each of which says which one it follows, whatever the order in which
 * they arrived. A step counts only if it follows the last one that does, the office that wrote it held the
 * case at that point, and the state allows it (of two, the one with the lesser record id); any other is
 * kept, shown and not applied. What was handed over, and on which nobody acted since, may be taken back. An escalation counts if its finder is the office that took the
 * petition in, or one above it. The office in whose oplog a
 * petition or meeting stands owns its counts, and carries on what it counted and has only hashes of; other offices'
 * counts come as tally records. So every
 * row here can be made again from the oplogs alone, with the same bytes (fold_rebuild()).
 */
#include "proto/kinds/escalation.h"
#include "store/cases.h"
#include "store/offices.h"
#include "store/oplog.h"
#include "store/tallies.h"

enum {
	FOLD_SET_ASIDE = 1, /* the body cannot be read as its kind: kept, forwarded, not folded */
	FOLD_HELD = 2,      /* the record's id is known already under another number: not applied */
};

/* What a record changed, for rules and the change stream. */
struct fold_sink {
	void *userdata;
	int (*case_changed)(void *userdata, const struct id *id, const struct case_row *row);
	int (*tally_changed)(void *userdata, const struct tally_entry *entry);
	int (*office_changed)(void *userdata, const struct office *office, uint32_t number);
	int (*escalated)(void *userdata, const struct id *finder, const struct escalation *escalation);
};

struct fold {
	uint32_t own;      /* this office's number in the register */
	uint32_t epoch;    /* of its oplogs */
	struct id own_id;
	const struct fold_sink *sink; /* NULL: nobody is told */
	struct txn *records;          /* where leaves are read; NULL: where rows are written */
	bool moved;        /* an office did: fold_finish() looks again at which escalations count */
	/* Counts of this office that changed in this transaction, sorted, written by fold_finish(). */
	struct tally_entry *counts;
	size_t n_counts;
	size_t cap_counts;
};

int fold_init(struct fold *fold, struct txn *txn, const struct fold_sink *sink);
void fold_done(struct fold *fold);

/*
 * Applies one readable record that was just appended to the oplog @origin as its leaf @index, at @arrival.
 * @origin_number is the number in the register of the oplog's office. 0, an outcome, or -errno.
 */
int fold_apply(struct fold *fold, struct txn *txn, const struct oplog_id *origin, uint64_t index,
	uint32_t origin_number, uint64_t arrival, const struct record *rec);
/*
 * Ends a turn: writes this office's changed counts and lists them in @ret_rows, sorted, for a tally
 * record; borrowed until the next call on @fold.
 */
int fold_finish(struct fold *fold, struct txn *txn, const struct tally_entry **ret_rows,
	size_t *ret_n);

/*
 * Takes one step: moves @row and returns 0, or leaves it as it is and says why. @writer and @writer_id are
 * the office that wrote the step. A case can be handed over once, by the office that took it in; to which one
 * is that office's word, whatever the register knows of it: so what a case is depends on its records alone.
 * fold_apply() asks the same; this is for those who want to know before, or step by step.
 */
enum {
	FOLD_NOT_HOLDER = 3,
	FOLD_WRONG_STATE = 4,
	FOLD_NOT_NEXT = 5,  /* another step has its place, or one before it is missing */
	FOLD_NOT_ABOVE = 6, /* handed over by an office that has it from another, or to none */
};
struct step;
int fold_step(struct case_row *row, const struct step *step, uint32_t writer, const struct id *writer_id);

/*
 * Whether the office that took a case in may act on it though it handed it over: as long as nobody has acted on
 * it since. It then holds it again. @records: where leaves are read. 0 (no), 1 or -errno.
 */
int fold_takes_back(struct txn *records, const struct case_row *row, uint32_t writer);

/*
 * The leaf hash of what the next step of a case follows: the last step that was applied, or its petition.
 * @records: where leaves are read. 0 or -errno.
 */
int fold_last(struct txn *records, const struct case_row *row, struct hash *ret_hash);

/*
 * Folds every record of @from again, in order of arrival, into the empty store @into (made with
 * store_create()), whose register is copied first. Compare the tables then.
 */
int fold_rebuild(struct txn *from, struct store *into);

/* Days since 1970 of a time in Asia/Ho_Chi_Minh. */
uint64_t fold_day(uint64_t time_ms);
/* The month of a time in Asia/Ho_Chi_Minh (UTC+7, no summer time): year * 100 + month. */
uint32_t fold_period(uint64_t time_ms);
