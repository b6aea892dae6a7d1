/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * verify - what the parts of `lienthong verify` share: what is checked, and what was found
 */
#include "tools/home.h"

enum {
	FAULT_MAX = 200,
};

/* What the office records about an office say of its row in the register. */
struct enrolment {
	bool found;
	bool equal;      /* in all but the keys, says the one that counts: the newest, or the first that revokes */
	bool revoked;
	bool same_keys;  /* says the first */
	uint64_t arrival;
	uint64_t first_arrival;
	uint32_t terms;  /* those of the register that one of its own records ends: a bit each */
	bool moved;      /* a former parent hands it over to the one in the register, which may yet have to say so */
	struct id former; /* a former parent that has enrolled it with its first keys; nil: none */
};

struct checking {
	const struct tool *tool;
	const char *root;         /* fingerprint of the topmost office; NULL: the register is trusted */
	const char *scratch;      /* a directory of our own; NULL: the tables are not made again */
	const struct home *home;
	struct listing oplogs;
	struct listing faults;    /* what no single oplog is to blame for */
	struct enrolment *enrolments; /* as home->offices */
	uint64_t records;
	uint64_t derived_bytes;   /* of all rows that are made again */
	size_t n_bad;
};

/* A fault for which no single oplog is to blame; its text is N_(). */
__attribute__((format(printf, 3, 4))) void verify_fault(struct checking *checking, const char *what,
	const char *format, ...);
/* Before the first of them; listing_done() frees what it lists. */
void verify_oplogs_init(struct checking *checking);
/* Checks one oplog, lists it, and notes what it says of offices; an oplog_fn. -ENOMEM, or 0: look at the listing. */
int verify_oplog(void *userdata, const struct oplog *oplog);
/* The register against what all oplogs were found to say. */
void verify_register(struct checking *checking);
