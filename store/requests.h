/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * requests - who asked for which case, what was answered, and which cases were granted
 *
 * Derived, as cases.h: fold.c makes every row from the oplogs. Anybody can write a record that asks or
 * answers; what counts of it is for the reader to say (requests_look()).
 */
#include "proto/kinds/inquiry.h"
#include "proto/kinds/reply.h"
#include "store/cases.h"

/* A record that asks (its id is the request's) or answers, by the office that wrote it. */
struct request_row {
	struct id request;
	uint32_t office; /* its number in the register */
	struct id record;
	uint64_t arrival;
};

int requests_put(struct txn *txn, const struct request_row *row);
/* In order of request, then office, then record. @request NULL: all. Stops at @fn's first non-zero, which is returned. */
typedef int (*request_fn)(void *userdata, const struct request_row *row);
int requests_each(struct txn *txn, const struct id *request, request_fn fn, void *userdata);

/* Cases that an office granted. */
int grants_put(struct txn *txn, const struct id *petition, uint32_t office, const struct id *record, uint64_t arrival);
/* Whether @office granted the case to @asker, which had asked for it. 0 (no), 1 or -errno. */
int grants_to(struct txn *txn, const struct id *petition, uint32_t office, uint32_t asker);
typedef int (*grant_fn)(void *userdata, const struct id *petition, uint32_t office);
int grants_each(struct txn *txn, grant_fn fn, void *userdata);

/* A request as it stands; spans are borrowed from the store. */
struct request_state {
	struct id id;
	uint32_t asker;
	uint64_t time_ms;
	struct inquiry inquiry;
	uint8_t outcome; /* enum reply_outcome; 0: not answered yet */
	uint64_t answered_ms;
	struct reply reply;
};
/*
 * Reads the request that @office wrote as @request, and the answer of the office that it asked; of several
 * answers the one with the smallest id counts. 0, STORE_NOT_FOUND (there is none, or it cannot be read) or -errno.
 */
int requests_look(struct txn *txn, const struct id *request, uint32_t office, struct request_state *ret_state);

enum {
	REQUESTS_SEVERAL = 2, /* of petitions here with that reference */
};
/*
 * The case that is asked for. All that was given of it must be so: who asks could otherwise name one case and get
 * another. A reference counts only as long as the petition's origin has the code in it, and a step only if who wrote
 * it can have held the case: anybody can write any. 0, STORE_NOT_FOUND (it is not here in full), the outcome
 * above, or -errno.
 */
int requests_find_case(struct txn *txn, const struct inquiry *inquiry, struct id *ret_id, struct case_row *ret_row);
