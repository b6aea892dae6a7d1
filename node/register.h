/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * register - the offices this node knows, in memory: keys ready to verify, who is below whom
 *
 * A reading of TABLE_OFFICES, made at the start and kept in step by the office records folded since. Entries stay where
 * they are until register_done(), so that pointers to them may be kept.
 */
#include "proto/message.h"
#include "store/offices.h"
#include "store/oplog.h"

struct register_entry {
	struct office_row row;
	struct verifier *keys[OFFICE_FORMER_MAX + 1]; /* of its terms, the present one last; NULL: not usable */
};

struct office_register {
	struct register_entry **entries; /* sorted by office id */
	struct register_entry **numbered; /* the same by their number, which begin at 1 */
	size_t n;
	size_t cap;
	struct register_entry *own;
};

int register_init(struct office_register *reg, struct txn *txn);
void register_done(struct office_register *reg);
/* Reads @id's row again: it is new or has changed. */
int register_refresh(struct office_register *reg, struct txn *txn, const struct id *id);
/* NULL: not known. */
struct register_entry *register_find(const struct office_register *reg, const struct id *id);
/* What verifies an oplog's head of @size leaves. NULL: nothing, why being in @ret_why. */
struct verifier *register_key(const struct register_entry *entry, const struct oplog_id *oplog, uint64_t size,
	enum refusal *ret_why);
/* How far an oplog goes for everybody; UINT64_MAX: it grows, or its office is not known. */
uint64_t register_limit(const struct office_register *reg, const struct oplog_id *oplog);
/*
 * Whether it would be a proof, and one that is not known yet, if the office signed another history of what is held than
 * a head of @size leaves.
 */
bool register_would_prove(const struct office_register *reg, const struct oplog *held, uint64_t size);
/* Whether nothing of an oplog is accepted: its office has forked. */
bool register_is_quarantined(const struct office_register *reg, const struct oplog_id *oplog);
/* Whether the newest head of an oplog is where a term of its office ends: it must not go. */
bool register_head_stays(const struct office_register *reg, const struct oplog *oplog);
struct register_entry *register_by_number(const struct office_register *reg, uint32_t number);
/* Whether @office is @above or somewhere below it. */
bool register_is_within(const struct office_register *reg, const struct id *office,
	const struct id *above);
/* How many levels @office is below @above; -1: it is not below it. */
int register_depth(const struct office_register *reg, const struct id *office,
	const struct id *above);
/* The parent of this office; NULL: the topmost, or not joined. */
struct register_entry *register_parent(const struct office_register *reg);
/*
 * The office directly below this one, not revoked, whose transport key this is; NULL: a stranger. For ZAP
 * (RFC 27/ZAP). Others are not looked at: what is enrolled further below can lock nobody out here.
 */
struct register_entry *register_child_by_curve(const struct office_register *reg,
	const uint8_t key[OFFICE_CURVE_LEN]);
