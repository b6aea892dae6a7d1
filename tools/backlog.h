/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * backlog - what each neighbour has not yet acknowledged, from the store alone
 *
 * The parent is owed this office's oplogs and those of all below it; an office directly below is
 * owed this office's and those of all above.
 */
#include "tools/home.h"

struct backlog_row {
	const struct office_row *neighbour;
	uint8_t lane;
	uint64_t records;
	uint64_t bytes;     /* as kept here, before what is withheld and compressed */
	uint64_t oldest_ms; /* when the oldest was written; 0: nothing waits, or it cannot be read */
};

struct backlog {
	struct backlog_row *rows; /* for each neighbour, the parent first, LANE_N rows */
	size_t n_rows;
};

/* 0 or -errno; free with backlog_done() in both cases. */
int backlog_init(struct backlog *backlog, const struct home *home);
void backlog_done(struct backlog *backlog);
