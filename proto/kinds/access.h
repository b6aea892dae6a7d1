/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * access - that somebody read or erased the private part of a record, and why
 *
 * Body: [record, action, who, reason]. It stays in the office that wrote it: what travels is its hash,
 * so that nobody there can take it away unseen either.
 */
#include "proto/codec.h"

enum access_action {
	ACCESS_READ = 1,
	ACCESS_ERASED = 2,
	ACCESS_N,
};

enum {
	ACCESS_WHO_MAX = 64,
	ACCESS_REASON_MAX = 512,
	ACCESS_FIELDS = 4,
};

enum {
	ACCESS_MALFORMED = 1,
};

struct access {
	struct id record;
	uint8_t action;
	struct span who;    /* the user of the machine */
	struct span reason; /* not empty */
};

void access_encode(const struct access *access, struct writer *w);
int access_decode(struct span body, struct access *ret_access); /* 0 or ACCESS_MALFORMED */
