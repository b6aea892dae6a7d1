/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * invites - who was invited to be an office below this one, and what became of it
 */
#include "proto/kinds/office.h"
#include "store/store.h"

/* The numbers are in the store. */
enum invite_state {
	INVITE_OPEN = 1,     /* nobody has asked yet */
	INVITE_ASKED = 2,    /* somebody has, and waits for a person to decide */
	INVITE_ACCEPTED = 3, /* enrolled: the answer is given to whoever asked */
	INVITE_REFUSED = 4,
};

enum {
	INVITE_REQUEST_MAX = 1024,
};

struct invite_row {
	struct id office;
	uint8_t state;
	bool automatic;      /* the first who asks is accepted */
	uint32_t code;
	uint8_t code_digits;
	struct span level;   /* borrowed from the store, as the next and the last */
	struct span name;
	struct span address; /* where the office is to connect to */
	uint8_t guest_key[OFFICE_CURVE_LEN]; /* the token's public half */
	uint64_t expires_ms;
	struct span request; /* the request file of whoever asked; empty: nobody */
};

int invites_put(struct txn *txn, const struct invite_row *row);
int invites_get(struct txn *txn, const struct id *office, struct invite_row *ret_row); /* STORE_NOT_FOUND */
/* In order of id, which is that of time; stops at @fn's first non-zero, which is returned. */
typedef int (*invite_fn)(void *userdata, const struct invite_row *row);
int invites_each(struct txn *txn, invite_fn fn, void *userdata);
