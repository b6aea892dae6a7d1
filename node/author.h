/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * author - writes this office's own records: encodes, numbers, and at the end of a turn signs
 *
 * The one place where a record of ours is encoded. Heads are signed at the end of a turn, and
 * before that only so that no more than one batch of leaves lies between two of them.
 */
#include "node/register.h"
#include "proto/record.h"
#include "proto/sign.h"
#include "store/oplog.h"

struct author {
	struct id office;
	uint32_t epoch;
	struct signer *signer; /* borrowed */
	const struct office_register *reg;
	int (*random)(void *userdata, void *ret, size_t len);
	void *random_userdata;
	bool loaded[LANE_N];
	struct oplog oplogs[LANE_N]; /* as this turn has made them */
	struct id last_id;           /* ids rise, also when the clock goes back */
	uint8_t pool[4096];          /* random bytes not used yet */
	size_t pool_left;
	uint8_t record[RECORD_MAX];  /* the last one written */
};

void author_begin(struct author *author); /* a new transaction: nothing is loaded */
int author_make_id(struct author *author, uint64_t wall_ms, struct id *ret_id);
enum {
	AUTHOR_TOO_LONG = 1, /* the record would be longer than RECORD_MAX */
};
/* @ret_bytes is borrowed until the next call. 0, AUTHOR_TOO_LONG or -errno. */
int author_write(struct author *author, struct txn *txn, enum lane lane, const struct record *rec,
	const struct id *audience, size_t n_audience, uint64_t *ret_arrival, struct span *ret_bytes);
/* Appends the bytes of a record that was written before, in another life. 0 or -errno. */
int author_append(struct author *author, struct txn *txn, enum lane lane, struct span bytes, uint64_t *ret_arrival);
/* Signs all that was written so far, so that another key may follow. @ret_sizes: of the oplogs, by lane. */
int author_seal(struct author *author, struct txn *txn, uint64_t ret_sizes[LANE_N]);
/* Signs what was written since the last head and writes the rows back. @grown is told of each. */
int author_finish(struct author *author, struct txn *txn,
	int (*grown)(void *userdata, const struct oplog *oplog), void *userdata);
