/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * config - what an operator may set, read once from one YAML file and checked whole
 *
 * Who the office is stands in its store, not here (init, join). A file that is not there means the
 * defaults: a leaf office that listens nowhere. Every fault is answered with file, line and what
 * would be right, all of them at once.
 */
#include "proto/kinds/escalation.h"
#include "store/cases.h"

enum {
	CONFIG_RULES_MAX = 64,
	CONFIG_ADDRESS_MAX = 256,
	CONFIG_HOURS_MAX = 8,
};

enum {
	CONFIG_INVALID = 1, /* the report says why */
};

enum rule_scope {
	RULE_HELD, /* cases that this office must act on next */
	RULE_SEEN, /* every case that it can read */
};

struct rule {
	char name[ESCALATION_RULE_MAX + 1];
	enum cause cause;         /* when: urgent, people or overdue */
	enum rule_scope scope;    /* on: held (default) or seen */
	uint8_t legal_kind;       /* kind: only petitions of that one; 0: all */
	uint8_t state;            /* overdue: enum case_state, by its name */
	uint32_t at_least;        /* people */
	uint32_t days;            /* overdue */
	bool working_days;        /* overdue: Monday to Friday only */
	uint8_t lane;             /* lane: urgent (default) or normal */
};

/* Which petitions, steps and meetings of its own the office tells the one above in full. */
enum detail {
	DETAIL_ALL,
	DETAIL_ESCALATED, /* only those of cases that it escalated or handed over */
};

/* From a minute of the day to before another one, perhaps of the next. */
struct hours {
	uint16_t from, to;
};

struct config {
	char listen[CONFIG_ADDRESS_MAX + 1];   /* for the offices below, tcp://ADDRESS:PORT; empty: none */
	char announce[CONFIG_ADDRESS_MAX + 1]; /* what they are told to connect to; default: listen, or
						* empty where that is every address of the machine */
	char stream[CONFIG_ADDRESS_MAX + 1];   /* the change stream; default ipc in the home */
	uint64_t store_size;                   /* bytes, default 64 GiB of address space */
	uint32_t reconnect_ms;                 /* at most, the first pause before the parent is tried again, 2000 */
	struct hours link_hours[CONFIG_HOURS_MAX]; /* of the line to the parent; all zero behind the last; none: always */
	uint64_t link_daily_bytes;             /* on that line; 0, the default: any number */
	uint8_t detail;                        /* enum detail; default all */
	uint32_t receipt_seconds;              /* between two receipts for what came from below, default 600 */
	uint32_t changes_days;                 /* the change stream is kept so long, default 30 */
	size_t n_rules;
	struct rule rules[CONFIG_RULES_MAX];
};

/*
 * The defaults, with the default rules: an urgent mark; 50 people; 10 working days to accept,
 * 30 days for the authority.
 */
void config_init(struct config *config);
/*
 * Reads @path over the defaults. @report gets one line a fault, "FILE:LINE: what, and what would be
 * right", for stderr. 0, CONFIG_INVALID or -errno (-ENOENT: no such file).
 */
int config_load(const char *path, struct config *ret_config, char **ret_report);
/* The same of a text that is in memory; @name is what the report calls it. */
int config_parse(const char *name, struct span text, struct config *ret_config, char **ret_report);
