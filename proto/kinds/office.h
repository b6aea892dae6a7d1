/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * office - the enrolment of an office, written by its parent into its own oplog
 *
 * Body: [office, parent, level, code, code_digits, name, sign_key, curve_key,
 * valid_from_ms, state]. The id is
 * for ever; code, name, level and parent are labels that a later record may change.
 */
#include "proto/sign.h"
#include "proto/codec.h"

enum {
	OFFICE_LEVEL_MAX = 32,
	OFFICE_NAME_MAX = 128,
	OFFICE_CURVE_LEN = 32,
	OFFICE_FIELDS = 10,
};

enum office_state {
	OFFICE_ACTIVE = 1,
	OFFICE_CLOSED = 2,
	OFFICE_REVOKED = 3,
};

enum {
	OFFICE_MALFORMED = 1,
};

struct office {
	struct id id;
	struct id parent;     /* nil: the topmost */
	uint32_t code;        /* official code, at most REFERENCE_CODE_MAX; reused by the state: a label */
	uint8_t code_digits;  /* written with so many digits: 2, 3 or 5 for a province, district, commune */
	uint8_t state;
	uint64_t valid_from_ms;
	struct span level;    /* a word of the configuration: commune, district, province */
	struct span name;
	uint8_t sign_key[SIGN_PUBLIC_LEN];
	uint8_t curve_key[OFFICE_CURVE_LEN];
};

void office_encode(const struct office *office, struct writer *w);
/* 0 or OFFICE_MALFORMED, also where the id is nil: that is nobody's. */
int office_decode(struct span body, struct office *ret_office);
