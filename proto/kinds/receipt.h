/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * receipt - that an office above holds oplogs of an office below, how far, and with which root
 *
 * Body: [[office, epoch, lane, size, root], ...], 1 to RECEIPT_MAX. Written by who holds them, now and then, for
 * the origin (its audience): what is in it was on that office's disk when it wrote this, under its signature.
 */
#include "proto/codec.h"
#include "proto/head.h"
#include "proto/merkle.h"

enum {
	RECEIPT_MAX = 128,
	RECEIPT_ENTRY_FIELDS = 5,
};

enum {
	RECEIPT_MALFORMED = 1,
};

struct receipt_entry {
	struct oplog_id oplog;
	uint64_t size; /* not 0 */
	struct hash root;
};

void receipt_encode(const struct receipt_entry *entries, size_t n, struct writer *w);
/* 0 or RECEIPT_MALFORMED. */
int receipt_decode(struct span body, struct receipt_entry ret_entries[RECEIPT_MAX], size_t *ret_n);
