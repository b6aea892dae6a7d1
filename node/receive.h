/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * receive - batches from neighbours: checked in memory first, then kept
 *
 * While a turn lasts, the leaves of each batch are hashed and must give the root of its head. At
 * the end of the turn the heads are verified, oplog by oplog, up to the first that is bad, and what
 * they cover is written: so nothing has to be undone. The newest head alone would prove the records;
 * but the heads between are what this office can pass on, and what it acknowledged it must be able
 * to.
 */
#include "node/link.h"
#include "proto/kinds/fork.h"

struct receive;

/* What the core does with what was received. */
struct receive_sink {
	void *userdata;
	/* A leaf was just kept. 0 or -errno. */
	int (*kept)(void *userdata, const struct oplog_id *oplog, uint64_t index, uint64_t arrival,
		const struct leaf *leaf);
	/* A batch up to @size fits what is held, or will. */
	void (*seen)(void *userdata, const struct oplog_id *oplog, uint64_t size);
	/* An office has signed two histories, which part at number @at. 0 or -errno. */
	int (*forked)(void *userdata, const struct fork *fork, uint64_t at);
	/* An oplog has grown, or is new. 0 or -errno. */
	int (*grown)(void *userdata, const struct oplog *oplog);
};

int receive_new(const struct office_register *reg, const struct receive_sink *sink,
	struct receive **ret_receive);
/* Whether this office's own oplogs are taken from its parent. */
void receive_own(struct receive *receive, bool wanted);
struct receive *receive_free(struct receive *receive);
/* Forgets what waits. */
void receive_clear(struct receive *receive);

/*
 * Takes a batch whose payload was unpacked to @plain (copied). What cannot be accepted is noted on
 * the link as a refusal and counted in @refusals. 0 or -errno.
 */
int receive_batch(struct receive *receive, struct txn *txn, struct link *link,
	const struct batch *batch, struct span plain, uint64_t refusals[REFUSAL_N]);
/* Whether this neighbour may send an oplog of that office: 0 or a refusal. */
enum refusal receive_permitted(const struct receive *receive, const struct link *link,
	const struct id *origin);
/* Whether a head is signed as it must be. 0, a refusal or -errno. */
int receive_verify(const struct receive *receive, const struct oplog_id *oplog, const struct head *head);
/* The work that waits: leaves, whose number or length makes them worth so many records. */
size_t receive_waiting(const struct receive *receive);
/* Verifies and keeps all that waits, and notes the acknowledgements. 0 or -errno. */
int receive_finish(struct receive *receive, struct txn *txn, uint64_t refusals[REFUSAL_N]);
