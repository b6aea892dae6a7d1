/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * invited - the new office's side of an invitation
 */
#include "tools/tool.h"

/* Whether an argument of join is an invitation, and not the name of a file. */
bool is_invitation(const char *text);
/* Makes the office of the invitation, asks to be enrolled, and waits. DONE, or an ending with its words. */
int join_invited(const struct tool *tool, const char *text, unsigned wait_s);
