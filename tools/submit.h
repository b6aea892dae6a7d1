/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * submit - drafts to the node, all or none; and what is wrong with them, in words
 */
#include "tools/import.h"
#include "tools/tool.h"

struct submitted {
	uint64_t outcome; /* enum outcome */
	struct id id;
	uint64_t reference;
};

/* Says every fault. @file NULL: of options, not of a file. */
void submit_say_faults(const struct import *import, const char *file);
/*
 * Sends all rows as one request; with @check_only nothing is kept. @ret_done has room for each.
 * @name: the file, or what is kept.
 * DONE, or an ending, having said which rows are refused and why.
 */
int submit(const struct tool *tool, const struct import *import, const char *name, bool check_only,
	struct submitted *ret_done);
/* One record from the options of a command: checks @cells, sends, and gives back what was kept. */
int submit_one(const struct tool *tool, enum import_type type, const char *const *cells,
	struct submitted *ret_done);
