/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * life - three offices live through all that changes what is on a disk, and everything they promise is noted
 *
 * They take in petitions, with who brought them, and forget that again; they replicate, change keys and names, ask for
 * cases and grant them, invite; one loses its disk and is put back from an old copy. A promise is what an office has
 * told anybody outside: a clerk, a neighbour, who follows its changes. From then on it must hold, whatever happens.
 */
#include "tests/lives.h"

#include "tests/faults/calls.h"

enum promise_kind {
	PROMISE_MADE,      /* there is a store */
	PROMISE_STORE,     /* and it is an office's */
	PROMISE_HELD,      /* @n leaves of an oplog */
	PROMISE_SENT,      /* an oplog with a head that is known elsewhere */
	PROMISE_CASE,      /* with so many steps, @n */
	PROMISE_PRIVATE,   /* who brought it can be read */
	PROMISE_ERASED,    /* nobody can read it ever again */
	PROMISE_KEYS,      /* the office has changed its key @n times */
	PROMISE_CHANGE,    /* change @n was published */
	PROMISE_REFERENCE, /* @n was given out */
	PROMISE_OFFICE,    /* it is in the register */
	PROMISE_INVITED,
	PROMISE_EPOCH,     /* it has begun life @n */
};

struct promise {
	enum promise_kind kind;
	size_t at;    /* the disk had been told so many steps */
	size_t until; /* it may be taken back from this step on; SIZE_MAX: never */
	struct oplog_id oplog;
	struct head head;
	struct id id;
	uint64_t n;
};

/* A disk of an office, and what was promised while it was in use. */
struct home {
	char name[32];
	struct disk *disk; /* NULL: nothing is noted */
	struct id office;
	const struct config *config;
	struct promise *promises;
	size_t n_promises, cap_promises;
	bool put_back; /* from an old copy: until another life begins nothing is taken in */
};

enum {
	HOMES_MAX = CORES_NODES + 3,
};

struct life {
	struct cores *cores;
	struct home homes[HOMES_MAX];
	size_t n_homes;
	struct home *of[CORES_NODES]; /* the one that a node has now */
	size_t begun[CORES_NODES];    /* steps when the node's turn began */
	size_t answered[CORES_NODES]; /* and when it answered last */
	bool promise_early;           /* as if an acknowledgement were given before the commit */
	struct cores_node *victim;    /* whose calls may fail; NULL: nobody's */
	bool line_lost;               /* a frame of the victim's could not be sent */
	unsigned n_deaths, n_full;    /* turns and starts of the victim that failed; requests that found no room */
};

struct life_plan {
	unsigned rounds;
	bool notes;      /* what the disks are told is noted */
	bool early;      /* see promise_early */
	size_t victim;   /* 0: none */
};

/* Lives it from its beginning to its end. Every store is closed then. */
void life_live(struct life *life, const struct life_plan *plan);
void life_done(struct life *life);

/* homes.c */

/* What became of a state of a home. */
struct verdict {
	bool no_office;  /* it was not one yet */
	uint64_t what;   /* a hash of all that is in its tables, and whether keys are there */
};

/*
 * Starts a node in the home at @dir, which is as its disk may be after so many steps (SIZE_MAX: all), and looks whether
 * all holds that was promised by then, then lets it go on a little. Ends in faults_found().
 */
struct verdict home_check(const struct home *home, const char *dir, size_t at, uint64_t now_ms);
/* Each page of LMDB's file is in use once, or free. */
void pages_check(const char *path);
