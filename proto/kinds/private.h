/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * private - who brought a petition: never in a record, which has only a commitment to it
 *
 * Part: [form, name, contact, address] in form 0; in form 1, [form, key, box]: the same, sealed to the
 * public key of that name, whose other half is kept off the machine (proto/denunciation.h).
 */
#include "proto/codec.h"
#include "proto/sign.h"

enum private_form {
	PRIVATE_OPEN = 0,
	PRIVATE_SEALED = 1,
};

enum {
	PRIVATE_NAME_MAX = 256,
	PRIVATE_CONTACT_MAX = 256,
	PRIVATE_ADDRESS_MAX = 512,
	PRIVATE_OPEN_MAX = 2 + 3 * 3 + PRIVATE_NAME_MAX + PRIVATE_CONTACT_MAX + PRIVATE_ADDRESS_MAX,
	PRIVATE_KEY_LEN = 10,    /* what a key is called by */
	PRIVATE_BOX_PLAIN = 2 + PRIVATE_OPEN_MAX, /* all boxes have one length, which so says nothing */
	PRIVATE_BOX_LEN = PRIVATE_BOX_PLAIN + BOX_OVERHEAD,
};

enum {
	PRIVATE_MALFORMED = 1,
};

struct private_part {
	uint8_t form;
	struct span name;    /* form 0; one of the three is not empty */
	struct span contact; /* a telephone number, an e-mail address */
	struct span address;
	struct span key;     /* form 1, of PRIVATE_KEY_LEN */
	struct span box;     /* of PRIVATE_BOX_LEN */
};

void private_encode(const struct private_part *part, struct writer *w);
int private_decode(struct span in, struct private_part *ret_part); /* 0 or PRIVATE_MALFORMED */
