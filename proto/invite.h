/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * invite - the short text by which an office joins the one that made it
 *
 * "lienthong-" and base64url (RFC 4648, 5, without padding) of
 *
 *   [1, office id, code, code digits, level, name, parent id, parent's CURVE key, address,
 *    expires_ms, token]
 *
 * and the first four bytes of its SHA-256, so that a text cut short is known as such. The token is a
 * CURVE secret key, good for nothing but asking to be enrolled as this office: the parent's transport
 * admits its public half, and no stranger ever. So whoever has the text can ask, once.
 */
#include "proto/enrol.h"

enum {
	INVITE_TEXT_MAX = 1024, /* with the terminating zero */
	INVITE_TOKEN_LEN = 32,
};

enum {
	INVITE_MALFORMED = 1, /* not an invitation, or cut short, or with a letter that was misread */
};

struct invite {
	struct id office;
	uint32_t code;
	uint8_t code_digits;
	struct span level;
	struct span name;
	struct id parent;
	uint8_t parent_curve_key[OFFICE_CURVE_LEN];
	struct span address;
	uint64_t expires_ms;
	uint8_t token[INVITE_TOKEN_LEN];
};

/* 0 or -EMSGSIZE. */
int invite_write(const struct invite *invite, char ret_text[INVITE_TEXT_MAX]);
/* Spaces and line breaks in @text do no harm, nor words around it. Spans point into @buf. 0 or INVITE_MALFORMED. */
int invite_read(struct span text, uint8_t buf[INVITE_TEXT_MAX], struct invite *ret_invite);
