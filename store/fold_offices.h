/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * fold_offices - office and fork records -> register: who an office is, whose it is, with which key it signs
 *
 * The part of fold.h that knows who may say what of an office.
 */
#include "proto/enrol.h"
#include "store/fold.h"

/* Applies a record of kind office, or fork, of @origin. 0, FOLD_SET_ASIDE or -errno. */
int fold_office(struct fold *fold, struct txn *txn, const struct oplog_id *origin, uint64_t index,
	const struct record *rec);
int fold_fork(struct fold *fold, struct txn *txn, const struct id *origin, const struct record *rec);

/*
 * What an answer at joining says of an office of the chain: records say more, where there are any, but for who its
 * parent is by now. After it fold->moved is to be set. 0 or -errno.
 */
int fold_told(struct txn *txn, const struct enrol_office *told);
/* Whether one more office can be enrolled below @parent. 0 (no), 1 or -errno. */
int fold_has_room(struct txn *txn, const struct id *parent);
/* Whether an office is known to have left the parent that an answer names since. */
bool fold_is_older(struct txn *txn, const struct office_row *row, const struct office *said);

struct fork;
/* Whether it proves what it says, by the key that the office has now. 0, FORK_NOT_PROVED or -errno. */
int fold_check_fork(const struct office_row *row, const struct fork *fork);
