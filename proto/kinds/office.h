/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * office - who an office is: written by its parent, and, when it changes its key, by itself
 *
 * Body: [office, parent, level, code, code_digits, name, sign_key, curve_key,
 * valid_from_ms, state, end, tenure]. The id is
 * for ever; code, name, level and parent are labels that a later record may change. The end, which most
 * have not, is [epoch, size, size, size]: how far the oplogs go that were signed with the key until then.
 *
 * In the oplog of its parent a record enrols an office, or changes its labels and state; an end says that
 * nothing beyond it is the office's any more (revoked); another parent in it hands the office over. In the
 * office's own oplog a record with an end says that another key, or another life of its store, begins there; of
 * that record nothing else counts.
 *
 * The tenure says how often whoever writes had the office before: a parent may have it, hand it over, and get it
 * back, and those who read its records beside another's must tell one time from the next.
 */
#include "proto/codec.h"
#include "proto/head.h"

enum {
	OFFICE_LEVEL_MAX = 32,
	OFFICE_NAME_MAX = 128,
	OFFICE_CURVE_LEN = 32,
	OFFICE_FIELDS = 10, /* without an end and a tenure */
	OFFICE_PARENTS_MAX = 8,
	OFFICE_FORMER_MAX = 32, /* changes of an office's key, and lives of its store: bounds what others keep */
	OFFICE_BODY_MAX = 512,
};

enum office_state {
	OFFICE_ACTIVE = 1,
	OFFICE_CLOSED = 2,
	OFFICE_REVOKED = 3,
	OFFICE_MOVING = 4, /* in a register: handed over to a parent that has not said so itself yet */
};

enum {
	OFFICE_MALFORMED = 1,
};

/* How far the oplogs of one epoch go, by lane. Those of earlier epochs are whole, of later ones there are none. */
struct office_end {
	uint32_t epoch;
	uint64_t sizes[LANE_N];
};

/* A stretch of an office's life in which it signed with one key. */
struct office_term {
	uint8_t sign_key[SIGN_PUBLIC_LEN];
	struct office_end end;
	uint32_t next_epoch; /* in which the term after this one begins: that of the end, or a later one */
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
	bool has_end;
	struct office_end end;
	uint8_t tenure; /* of the parent; in a record that hands over, of the one that writes it */
};

/* Forks that were found of an office, and settled by its parent: of which epoch the newest is, plus one; 0: none. */
struct office_forks {
	uint32_t found;
	uint32_t settled;
};

/* The parents that an office had before, in their order, one perhaps more than once: what they found goes on counting. */
struct office_parents {
	size_t n;
	size_t told; /* so many of the first were named by an answer: what they said may not be here */
	struct {
		struct id id;
		uint8_t tenure;
	} list[OFFICE_PARENTS_MAX];
};

/* The terms that are over, in their order; the present one has the key of struct office and its end. */
struct office_former {
	size_t n;
	struct office_term terms[OFFICE_FORMER_MAX];
};

void office_encode(const struct office *office, struct writer *w);
/* 0 or OFFICE_MALFORMED, also where the id is nil: that is nobody's. */
int office_decode(struct span body, struct office *ret_office);
/* [[sign_key, epoch, size, size, size, next_epoch], ...]. */
void office_former_write(struct writer *w, const struct office_former *former);
/* Also fails where a term does not begin where the one before it ends, or later. */
void office_former_read(struct reader *r, struct office_former *ret_former);
/* [[id, tenure], ...]. */
void office_parents_write(struct writer *w, const struct office_parents *parents);
void office_parents_read(struct reader *r, struct office_parents *ret_parents);

/* Ends in the order of time; 0: the same. */
int office_end_compare(const struct office_end *a, const struct office_end *b);
/*
 * The key that signs an oplog's head of @size leaves: the place of its term in @former, @former->n for the
 * present one; OFFICE_ENDED: nobody may sign so far any more.
 */
enum {
	OFFICE_ENDED = -1,
};
int office_term_of(const struct office *office, const struct office_former *former, const struct oplog_id *oplog,
	uint64_t size);
/* The key of a term, @former->n the present one. */
const uint8_t *office_term_key(const struct office *office, const struct office_former *former, size_t term);
/* The key itself that signs an oplog's head of @size leaves; NULL: nobody may sign so far any more. */
const uint8_t *office_key_of(const struct office *office, const struct office_former *former,
	const struct oplog_id *oplog, uint64_t size);
/*
 * Whether what an office says of itself, in leaf @index of its own oplog, can end the term whose key is @key: as
 * the last that this key signs, in which case the next is signed with the key in it; or as the first of a later
 * epoch, which keeps the key. An end before that would take back what the office has signed.
 */
bool office_may_end_term(const struct office *said, const uint8_t key[SIGN_PUBLIC_LEN], const struct oplog_id *oplog,
	uint64_t index);
/*
 * Whether a head of @size leaves speaks against its office: it is to be signed with the key that the office has now.
 * One that was changed may have been stolen, and who has it could sign any history up to where its term ended.
 */
bool office_answers_for(const struct office *office, const struct office_former *former, const struct oplog_id *oplog,
	uint64_t size);
/*
 * The least size beyond @from at which a term of that oplog ends; UINT64_MAX: none. A head stands there,
 * and no batch goes beyond it: what is signed by the next key may be the very record that names it.
 */
uint64_t office_next_end(const struct office_former *former, const struct oplog_id *oplog, uint64_t from);
/* Whether nothing is accepted of an epoch's oplogs, since the office's word cannot be told from a clone's. */
bool office_is_quarantined(const struct office_forks *forks, uint32_t epoch);
/* How far an oplog goes for everybody: what lies beyond, where it was kept, is not passed on. UINT64_MAX: it grows. */
uint64_t office_limit(const struct office *office, const struct office_former *former, const struct oplog_id *oplog);
bool office_had_parent(const struct office_parents *parents, const struct id *parent);
/* Keeps a former parent; where there is no room for it, it is forgotten. */
void office_add_parent(struct office_parents *parents, const struct id *parent, uint8_t tenure);
/* The tenure that begins where the office comes to @parent, perhaps again. */
uint8_t office_next_tenure(const struct office_parents *parents, const struct id *parent);
/* Whether the key is or was the office's. */
bool office_has_key(const struct office *office, const struct office_former *former,
	const uint8_t key[SIGN_PUBLIC_LEN]);
