/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * proved - checks a file that proves a record: without any store, and with the register of one that is at hand
 */
#include "tools/tool.h"

/* @root: the fingerprint of the topmost office, or NULL. DONE, or an ending with its words. */
int proof_verify(const struct tool *tool, const char *path, const char *root);
