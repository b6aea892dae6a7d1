/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * private - who brought a petition: never in a record, which has only a commitment to it
 *
 * Part: [form, name, contact, address] in form 0; in form 1, [form, sealed]: the same, sealed to a
 * public key whose other half may be kept off the machine (denunciations).
 */
#include "proto/codec.h"

enum private_form {
	PRIVATE_OPEN = 0,
	PRIVATE_SEALED = 1,
};

enum {
	PRIVATE_NAME_MAX = 256,
	PRIVATE_CONTACT_MAX = 256,
	PRIVATE_ADDRESS_MAX = 512,
	PRIVATE_BODY_MAX = 1500, /* of a part in form 0, so that it fits sealed */
};

enum {
	PRIVATE_MALFORMED = 1,
};

struct private_part {
	uint8_t form;
	struct span name;    /* form 0; one of the three is not empty */
	struct span contact; /* a telephone number, an e-mail address */
	struct span address;
	struct span sealed;  /* form 1 */
};

void private_encode(const struct private_part *part, struct writer *w);
int private_decode(struct span in, struct private_part *ret_part); /* 0 or PRIVATE_MALFORMED */
