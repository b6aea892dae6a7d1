/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * denunciations - the key to which who denounces is sealed (proto/denunciation.h)
 *
 * Its public half is HOME/denunciation.key; its secret half a file elsewhere, which this computer sees
 * when it is made, and when somebody opens a part with it.
 */
#include "proto/denunciation.h"
#include "tools/import.h"
#include "tools/tool.h"

/* The public half into @context, where there is one; @key holds it. */
void denunciations_context(const struct tool *tool, uint8_t key[BOX_KEY_LEN], struct import_context *context);

/* Whether there is one, and its fingerprint. */
bool denunciations_present(const struct tool *tool, char ret_fingerprint[DENUNCIATION_FINGERPRINT_LEN]);

struct denunciations_file {
	const char *path; /* NULL: none was given */
	uint8_t secret[BOX_KEY_LEN]; /* the caller wipes it */
};
/* Reads the secret half at @file->path, if one is given. DONE, or an ending with its words. */
int denunciations_read(struct denunciations_file *file);
/*
 * Opens @sealed, the part of the petition called @what; @plain holds what @ret_open points into, and the
 * caller wipes it. DONE, or an ending with its words.
 */
int denunciations_open(const struct denunciations_file *file, const char *what,
	const struct private_part *sealed, uint8_t plain[PRIVATE_BOX_PLAIN], struct private_part *ret_open);
