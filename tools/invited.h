/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * invited - the new office's side of an invitation
 */
#include "tools/tool.h"

/* Whether there is an invitation in what join was given, and it is no answer. */
bool is_invitation(struct span bytes);
/* Makes the office of the invitation, asks to be enrolled, and waits. DONE, or an ending with its words. */
int join_invited(const struct tool *tool, struct span text, unsigned wait_s);
