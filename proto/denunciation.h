/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * denunciation - who denounces is sealed to a key of which the office's computer has only one half
 *
 * The Law on Denunciations (25/2018/QH14) protects who brings one, also within the office. So the private
 * part of a denunciation (proto/kinds/private.h, form 1) is sealed where it is typed, before the node
 * gets it, to the public half in the home; the secret half is a file that whoever may know keeps off the
 * machine. With the store, its keys and the keyring in hand an operator has then only a box.
 *
 * Two boxes of the same person cannot be told to be so, on purpose: whatever this computer could compare
 * without the secret half, a hash or a box that comes out the same each time, an operator could compare
 * too, with every name of the village in turn. A secret that lies beside it would not hinder one who has
 * the store. So an import that is repeated is known by its row alone, and nothing says whether the
 * petitioner in it is the same as before.
 *
 * A key is called by the first 10 bytes of a hash of its public half, which are its fingerprint too.
 */
#include "proto/kinds/private.h"

enum {
	DENUNCIATION_MALFORMED = 1,
	DENUNCIATION_OTHER_KEY, /* sealed to another key than this: part->key says which */
	DENUNCIATION_ALTERED,   /* sealed to this key, and not as it was then */
	DENUNCIATION_BAD_KEY,   /* a public half to which nothing can be sealed */
};

enum denunciation_half {
	DENUNCIATION_PUBLIC,
	DENUNCIATION_SECRET,
	DENUNCIATION_HALVES,
};

enum {
	DENUNCIATION_FILE_MAX = 128,
	DENUNCIATION_FINGERPRINT_LEN = PRIVATE_KEY_LEN * 2 + PRIVATE_KEY_LEN / 2, /* with the zero */
};

/* What the key is called by. */
void denunciation_name(const uint8_t public[BOX_KEY_LEN], uint8_t ret_name[PRIVATE_KEY_LEN]);
/* "3f2a 91c0 ...", as those of offices. */
void denunciation_fingerprint(const uint8_t name[PRIVATE_KEY_LEN], char ret_text[DENUNCIATION_FINGERPRINT_LEN]);

/* Writes @open, of form 0, in form 1. 0 (see writer_ok()), BAD_KEY or -errno. */
int denunciation_seal(const uint8_t public[BOX_KEY_LEN], const struct private_part *open, struct writer *w);
/* @plain holds what @ret_open points into; the caller wipes it. 0, OTHER_KEY, ALTERED or -errno. */
int denunciation_open(const uint8_t secret[BOX_KEY_LEN], const struct private_part *sealed,
	uint8_t plain[PRIVATE_BOX_PLAIN], struct private_part *ret_open);

/* A half as the text of its file: a title, and the key in hexadecimal. Returns the length. */
size_t denunciation_file_encode(enum denunciation_half half, const uint8_t key[BOX_KEY_LEN],
	char ret_text[DENUNCIATION_FILE_MAX]);
/* 0 or MALFORMED. */
int denunciation_file_decode(enum denunciation_half half, struct span text, uint8_t ret_key[BOX_KEY_LEN]);
