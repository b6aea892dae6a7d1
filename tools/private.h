/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * private - asks the node for the private part of a record, or to erase it: it writes down who did
 */
#include "proto/kinds/private.h"
#include "tools/tool.h"

enum {
	PRIVATE_BYTES_MAX = 2048,
};

/* @bytes hold what @ret_part points into; the caller wipes them. DONE, or an ending with its words. */
int private_read(const struct tool *tool, const struct id *record, const char *what, const char *reason,
	uint8_t bytes[PRIVATE_BYTES_MAX], struct private_part *ret_part);
