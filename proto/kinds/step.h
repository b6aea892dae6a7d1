/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * step - one thing done about a petition by the office that holds it
 *
 * Body: [case, sequence, action, date_ms, due_ms, office, to, text, follows]. The sequence counts the steps
 * that made the case what it is, without gaps; follows is the leaf hash of the one before (for the first, of
 * the petition), on which this one rests: where another comes to stand in its place, this one does nothing.
 * The action decides what the other fields mean; those it does not use are 0, nil or empty.
 */
#include "proto/codec.h"
#include "proto/merkle.h"

/* The numbers are on the wire. */
enum action {
	ACTION_ACCEPTED = 1,
	ACTION_RETURNED = 2,     /* text: what is unclear (who, what, where) */
	ACTION_FORWARDED = 3,    /* to: the authority; due */
	ACTION_EXTENDED = 4,     /* due; text: the legal basis */
	ACTION_RESOLVED = 5,     /* text: the outcome */
	ACTION_ANSWERED = 6,     /* text: what was said to the citizen */
	ACTION_PUBLISHED = 7,    /* to: the outlet; text: redacted */
	ACTION_REOPENED = 8,     /* text: why */
	ACTION_MERGED = 9,       /* office: the id of the case it went into */
	ACTION_HANDED_OVER = 10, /* office: the next holder */
	ACTION_WITHDRAWN = 11,
	ACTION_CLOSED = 12,      /* only after the answer went back */
	ACTION_N,
};

enum {
	STEP_TO_MAX = 256,
	STEP_TEXT_MAX = 8192,
	STEP_SEQUENCE_MAX = 1000, /* far beyond any case: bounds what folding one again can cost */
	STEP_FIELDS = 9,
};

enum {
	STEP_MALFORMED = 1,
};

struct step {
	struct id petition;  /* the id of the petition's record: the case */
	uint32_t sequence;   /* 1 for the first; 0 in a draft: the node will number it */
	uint8_t action;
	uint64_t date_ms;    /* when it was done, since 1970 */
	uint64_t due_ms;     /* 0: none */
	struct id office;    /* nil: none; for merged: the other case */
	struct span to;
	struct span text;
	struct hash follows; /* of a draft: not known yet */
};

void step_encode(const struct step *step, struct writer *w);
int step_decode(struct span body, struct step *ret_step); /* 0 or STEP_MALFORMED */
