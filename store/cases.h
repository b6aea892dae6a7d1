/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * cases - the present state of every petition and meeting whose record this office can read
 *
 * Derived: fold.c makes every row from the oplogs, and can make them all again. Offices appear by
 * their number in the register.
 */
#include "proto/merkle.h"
#include "proto/record.h"
#include "store/store.h"

/* The numbers are in the store and in escalation records. */
enum case_state {
	CASE_RECEIVED = 1,  /* the office must accept or return it */
	CASE_ACCEPTED = 2,  /* the office must forward or resolve it */
	CASE_RETURNED = 3,  /* the petitioner must make it clear: no clock runs */
	CASE_FORWARDED = 4, /* the authority must resolve it */
	CASE_RESOLVED = 5,  /* the office must answer the petitioner */
	CASE_ANSWERED = 6,  /* may be published and closed */
	CASE_CLOSED = 7,
	CASE_WITHDRAWN = 8,
	CASE_MERGED = 9,    /* goes on as another case */
	CASE_HELD = 10,     /* a meeting: it has no course */
	CASE_STATE_N,
};

struct case_row {
	uint8_t kind;          /* KIND_PETITION or KIND_MEETING */
	uint8_t legal_kind;    /* of a petition; 0: a meeting */
	uint8_t state;
	uint8_t category;
	uint8_t organisation;
	bool overdue;          /* the clock that runs now was found overdue */
	bool urgent;
	bool escalated;
	uint32_t origin;       /* office number */
	struct id handed_to;   /* the office that must act next, as the origin names it; nil: the origin itself */
	uint32_t people;
	uint32_t n_steps;      /* applied: the sequence of the last of them */
	uint32_t clock_step;   /* the sequence of the step that set the clock; 0: the petition itself */
	uint64_t arrival;      /* of its first record */
	uint64_t last;         /* arrival of the last step that was applied; of the first record: none */
	uint64_t reference;
	uint64_t received_ms;
	uint64_t recorded_ms;  /* the first record's time */
	uint64_t since_ms;     /* when the state began */
	uint64_t due_ms;       /* 0: none was set */
	uint64_t accepted_ms;  /* 0: not, as the next three */
	uint64_t forwarded_ms;
	uint64_t resolved_ms;
	uint64_t answered_ms;
};

/* Whether an office, by its number and id, must act next. */
bool case_is_held_by(const struct case_row *row, uint32_t number, const struct id *id);

int cases_get(struct txn *txn, const struct id *id, struct case_row *ret_row); /* STORE_NOT_FOUND */
int cases_put(struct txn *txn, const struct id *id, const struct case_row *row);
/* Calls @fn in order of id, which is that of time; stops at its first non-zero, returned. */
typedef int (*case_fn)(void *userdata, const struct id *id, const struct case_row *row);
int cases_each(struct txn *txn, case_fn fn, void *userdata);

/*
 * The steps of a case, applied or not, in order of sequence, then of the office that wrote them (its
 * number), of what they follow, and of record id.
 */
struct step_row {
	uint32_t sequence;
	uint32_t office;
	struct hash follows;
	struct id record;
	uint64_t arrival;
};
int steps_put(struct txn *txn, const struct id *petition, const struct step_row *row);
/* Where the record of @row is, by all else that it says. 0, STORE_NOT_FOUND or -errno. */
int steps_get(struct txn *txn, const struct id *petition, const struct step_row *row, uint64_t *ret_arrival);
/* Stops at @fn's first non-zero, which is returned. */
typedef int (*step_fn)(void *userdata, const struct step_row *row);
int steps_each(struct txn *txn, const struct id *petition, step_fn fn, void *userdata);
/* Only those of @at's office with its sequence that follow what it follows. */
int steps_of(struct txn *txn, const struct id *petition, const struct step_row *at, step_fn fn, void *userdata);

/* The escalations of a case, in order of the office that found them (its number), the cause and the clock. */
struct escalation_row {
	uint32_t office;
	uint8_t cause;
	uint32_t clock_step;
	struct id record;
	uint64_t arrival;
};
int escalations_put(struct txn *txn, const struct id *petition, const struct escalation_row *row);
/* Whether anything of a case is here beside its first record: steps, escalations. 0 (no), 1 or -errno. */
int cases_have_more(struct txn *txn, const struct id *petition);
/* Whether @office found anything of the case. 0 (no), 1 or -errno. */
int escalations_by(struct txn *txn, const struct id *petition, uint32_t office);
/* Whether it found it for that cause, of that clock. 0 (no), 1 or -errno. */
int escalations_of_clock(struct txn *txn, const struct id *petition, uint32_t office, uint8_t cause,
	uint32_t clock_step);
/* @petition NULL: those of every case. */
typedef int (*escalation_fn)(void *userdata, const struct id *petition,
	const struct escalation_row *row);
int escalations_each(struct txn *txn, const struct id *petition, escalation_fn fn, void *userdata);

/*
 * The index of running clocks: one entry for each case in a state that somebody must end, until it
 * was found overdue in that state.
 */
struct clock {
	bool held;          /* this office must end it */
	uint8_t legal_kind;
	bool has_due;
	uint8_t state;
	uint64_t time_ms;   /* the due time; without one, when the state began */
};

int clock_put(struct txn *txn, const struct clock *clock, const struct id *id);
int clock_delete(struct txn *txn, const struct clock *clock, const struct id *id);
/* Calls @fn for the entries like @from, from its time to @until_ms, oldest first. */
typedef int (*clock_fn)(void *userdata, uint64_t time_ms, const struct id *id);
int clocks_each(struct txn *txn, const struct clock *from, uint64_t until_ms, clock_fn fn, void *userdata);

const char *case_state_name(uint8_t state); /* an English word, such as "forwarded" */
