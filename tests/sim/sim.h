/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * sim - a whole country of nodes in one process, without sockets, clocks or chance
 *
 * Every node is the daemon's own core on a store of its own. Time is a queue of events; what is random comes from
 * one seed, so that a run can be repeated. Lines delay, lose, repeat, reorder, and stay dumb for days; nodes die
 * between any two of their effects, and are put back from old backups. The oracle looks at each acknowledgement
 * when it is given, and at everything else from time to time and at the end.
 */
#include "node/core.h"
#include "proto/record.h"
#include "store/oplog.h"

enum {
	SIM_NONE = UINT32_MAX,
	SIM_LEVELS_MAX = 4,
	SIM_MAP = 1 << 30, /* bytes of address space a store */
};

/* How a run is to be: from the command line. */
struct sim_plan {
	uint64_t seed;
	unsigned n_levels;
	unsigned children[SIM_LEVELS_MAX]; /* of an office at each level; of the last: 0 */
	unsigned days;
	unsigned petitions; /* of an office in a day */
	unsigned windows;   /* how often in a day a line comes up */
	unsigned window_ms; /* for how long, about */
	bool chatty;        /* says what happens */
};

enum sim_event_kind {
	EVENT_FRAME,
	EVENT_WAKE,
	EVENT_WEATHER, /* the line to the parent becomes usable, or no longer is */
	EVENT_CONNECT, /* the node tries it */
	EVENT_NOTICE,  /* and sees that it is gone */
	EVENT_START,
	EVENT_CRASH,
	EVENT_CLERK,
	EVENT_BACKUP,
	EVENT_LOSS,    /* of the disk: put back from the backup */
	EVENT_MOVE,    /* to another parent */
	EVENT_LOOK,    /* the oracle's */
};

struct sim_frame {
	struct sim_frame *next;
	uint32_t from;
	size_t len;
	uint8_t data[];
};

struct sim_event {
	uint64_t at_ms;
	uint64_t order; /* of two at one time, the one that was planned first */
	uint32_t node;
	uint32_t line;  /* FRAME: of that connection; WAKE: unused */
	enum sim_event_kind kind;
	struct sim_frame *frame;
};

/* How a node ends in its next turn. */
enum sim_death {
	LIVES,
	DIES_BEFORE_COMMIT,
	DIES_AFTER, /* so many effects */
};

/* A petition whose number a clerk was told. */
struct sim_petition {
	struct id id;
	bool may_be_lost; /* with a disk, before the office above had it */
};

struct sim_node {
	struct sim *sim;
	uint32_t number, parent;
	unsigned level, n_children;
	uint32_t moves_to; /* handed over, and not yet enrolled there; SIM_NONE: it stays */
	struct id id;
	char name[32], dir[128];
	uint8_t seed[SIGN_SEED_LEN];
	struct config config;
	struct core_keys keys;
	struct core_io io;
	struct store *store;
	struct core *core; /* NULL: it does not run */
	int64_t skew_ms;   /* of its clock on the wall */

	bool clear;        /* the line to the parent is usable */
	bool connected;
	bool renew;        /* it is to be made anew */
	uint32_t line;     /* number of the connection: what was sent on another is lost */
	uint64_t free_ms[2]; /* upward, downward: when what was sent is through */
	unsigned in_flight[2];
	bool blocked[2];

	bool in_turn;
	enum sim_death death;
	unsigned effects_left;
	uint64_t wake_ms;

	struct sim_petition *petitions;
	size_t n_petitions, cap_petitions;
	bool has_backup;
	bool put_back; /* from it, once at least */
	unsigned n_moves; /* of these there can be seven (README) */
	struct sim_frame *read; /* what came in this turn, from which it borrows */
	uint8_t answer[4096];
	size_t answer_len;
};

struct sim {
	struct sim_plan plan;
	uint64_t random;
	uint64_t now_ms, start_ms;
	bool calm; /* no more faults: what was begun is brought to its end */
	uint64_t noon_ms; /* beyond it clocks on walls stand still: no deadline passes in the last hour */
	struct sim_node *nodes;
	uint32_t n_nodes;
	struct sim_event *events; /* a heap */
	size_t n_events, cap_events;
	uint64_t order;
	uint32_t *touched; /* nodes in a turn */
	size_t n_touched;
	char dir[96];
	uint64_t trace; /* of everything that was sent: two runs of one seed have the same */
	/* what happened */
	uint64_t n_turns, n_frames, n_lost, n_repeated, n_late, n_crashes, n_restores, n_moves, n_steps, n_refused;
};

/* Says what is wrong, and the command that shows it again; ends the program. */
__attribute__((format(printf, 2, 3), noreturn)) void sim_fault(const struct sim *sim, const char *format, ...);
uint64_t sim_random(struct sim *sim, uint64_t below);
/* As many milliseconds as until something comes that comes every @mean_ms on average. */
uint64_t sim_wait(struct sim *sim, uint64_t mean_ms);
void sim_plan_event(struct sim *sim, uint64_t at_ms, enum sim_event_kind kind, uint32_t node, uint32_t line,
	struct sim_frame *frame);

/* world.c: the nodes, and their turns. */
void world_new(struct sim *sim);
void world_free(struct sim *sim);
/* Until there is nothing before @until_ms. */
void world_run(struct sim *sim, uint64_t until_ms);
/* In a turn of its own; what it answered is in node->answer. */
struct answer world_ask(struct sim_node *node, struct span request);
/* In the turn that is under way, or begins now. */
void world_turn(struct sim_node *node);
uint64_t world_wall_ms(const struct sim_node *node);
void world_start(struct sim_node *node);
void world_stop(struct sim_node *node);
/* Enrols a node below another one. CONTROL_OK, or what one of them said. */
enum control_result world_enrol(struct sim_node *node, struct sim_node *parent);
struct sim_node *world_find(struct sim *sim, const struct id *id);

/* lines.c: what lies between two nodes. */
bool lines_send(void *userdata, const struct id *neighbour, struct span frame);
void lines_deliver(struct sim *sim, const struct sim_event *event);
void lines_weather(struct sim_node *node);
void lines_connect(struct sim_node *node);
/* The connection to the parent is gone; the node sees it. */
void lines_drop(struct sim_node *node);
/* Those to the children too: the node does not run any more. */
void lines_drop_all(struct sim_node *node);

/* people.c: who works at the nodes, and loses disks. */
void people_clerk(struct sim_node *node);
void people_crash(struct sim_node *node);
void people_backup(struct sim_node *node);
void people_loss(struct sim_node *node);
void people_move(struct sim_node *node);

/* oracle.c */
/* It runs, and is not being put back. */
bool oracle_is_whole(const struct sim_node *node);
void oracle_look_at_frame(struct sim_node *from, struct span frame);
/* What must hold at any time. */
void oracle_look(struct sim *sim);
/* And when everything had the time to arrive. */
void oracle_end(struct sim *sim);
