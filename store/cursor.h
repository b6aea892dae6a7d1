/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * cursor - how far each neighbour has durably acknowledged each oplog
 *
 * What a neighbour still lacks is no list of its own: it is what lies past its cursor.
 */
#include "proto/head.h"
#include "store/store.h"

/* 0 with size 0 if it never acknowledged anything. */
int cursor_get(struct txn *txn, const struct id *neighbour, const struct oplog_id *oplog,
	uint64_t *ret_size);
/* A cursor may go back: a neighbour restored from a backup says so by its HEADS. */
int cursor_put(struct txn *txn, const struct id *neighbour, const struct oplog_id *oplog,
	uint64_t size);
