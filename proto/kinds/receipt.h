/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * receipt - that an office holds oplogs of another, how far, and with which heads
 *
 * Body: [[office, epoch, lane, size, root, signature], ...], 1 to RECEIPT_MAX: heads that the origin signed. What
 * is in it was on the disk of who wrote it, under its signature. An office writes them now and then of those below
 * it, which so hear since when their records are safe; and of those above it, so that who holds another history
 * of one of them than it was shown sees that.
 */
#include "proto/codec.h"
#include "proto/head.h"
#include "proto/merkle.h"

enum {
	RECEIPT_MAX = 64,
	RECEIPT_ENTRY_FIELDS = 6,
};

enum {
	RECEIPT_MALFORMED = 1,
};

struct receipt_entry {
	struct oplog_id oplog;
	struct head head; /* size not 0 */
};

void receipt_encode(const struct receipt_entry *entries, size_t n, struct writer *w);
/* 0 or RECEIPT_MALFORMED. */
int receipt_decode(struct span body, struct receipt_entry ret_entries[RECEIPT_MAX], size_t *ret_n);
