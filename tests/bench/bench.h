/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * bench - what the project measures of itself, each figure beside what this machine could do
 *
 * One program: it spawns real nodes by their path, on loopback ports below the ephemeral range,
 * and gives them the petitions of the samples. Progress goes to stderr, the table to stdout. It
 * judges nothing: a figure that cannot be taken is a row that says so.
 * Failing: -1, having said why on stderr.
 */
#include <stdio.h>
#include <sys/types.h>
#include <zmq.h>

#include "proto/control.h"
#include "proto/keyfile.h"
#include "proto/kinds/office.h"
#include "proto/kinds/petition.h"
#include "store/store.h"

enum {
	BENCH_ROWS_MAX = 64,
	BENCH_PATH_MAX = 128,
	RUNS_MAX = 5,
	SAMPLE_FILES_MAX = 16,
};

/* How many records share a commit, in the figures of raw LMDB. */
enum commit_size {
	COMMIT_1,
	COMMIT_100,
	COMMIT_1000,
	COMMIT_4000,
	COMMIT_N,
};

/* What the machine does without us, in this run. */
struct limits {
	double lmdb[COMMIT_N];   /* records/s, synced */
	double lmdb_bytes;       /* of the file, a record */
	double verifies;         /* Ed25519, a second */
	double hashes;           /* SHA-256 of 300 bytes, a second */
	double zstd_bytes;       /* a record, in batches with the one before as prefix */
	double plain_bytes;      /* of the same record before */
	double tcp;              /* round trips a second */
	double ipc;
	double exec_ms;          /* start of the daemon's program, doing nothing */
};

struct row {
	char figure[64];
	double value;
	char unit[16];
	char beside[64]; /* empty: there is nothing to compare with */
	double limit;
};

struct bench {
	const char *daemon;
	const char *dir;        /* an empty one, on a real disk */
	const char *netns[2];   /* of the parent and of the child; NULL: not allowed here */
	bool quick;
	void *context;          /* libzmq's */
	struct csvfile *files;  /* the samples, which the petitions borrow from */
	size_t n_files;
	struct petition *petitions;
	size_t n_petitions;
	unsigned n_homes;
	uint16_t port;          /* the next to try */
	struct limits limits;
	struct row rows[BENCH_ROWS_MAX];
	size_t n_rows;
};

/* An office: its home, and its process while that runs. */
struct office_node {
	struct bench *bench;
	char home[BENCH_PATH_MAX];
	const char *netns;
	struct keyfile keys;
	struct office office;
	pid_t pid;     /* 0: not running */
	void *socket;  /* to its control socket */
	uint64_t number;
	zmq_msg_t message; /* the last answer */
};

double clock_s(void); /* monotonic */
void pause_us(unsigned us);
double median(double *values, size_t n); /* sorts them */

__attribute__((format(printf, 1, 2))) void progress(const char *format, ...);
__attribute__((format(printf, 1, 2))) int fail(const char *format, ...); /* -1 */
/* @limit 0: nothing to compare with. */
void report(struct bench *bench, const char *figure, double value, const char *unit,
	const char *beside, double limit);
void report_missing(struct bench *bench, const char *figure, const char *why);

/* samples.c: the petitions of the sample files, over and over, each with a number of its own */
int samples_load(struct bench *bench, const char *dir);
void samples_done(struct bench *bench);
/* Petition @i, any number; @number is room for its register number. */
struct petition sample(const struct bench *bench, uint64_t i, char number[24]);
void sample_draft(const struct bench *bench, uint64_t i, struct writer *w);

/* nodes.c */
uint16_t free_port(struct bench *bench);
/* Makes the home of a new office; @config is its lienthong.yaml. */
int node_make(struct bench *bench, struct office_node *ret_node, const char *name, uint32_t code,
	uint8_t code_digits, const char *config);
int node_spawn(struct office_node *node);
/* Waits until the control socket answers. */
int node_wait(struct office_node *node);
int node_start(struct office_node *node); /* both */
int node_ask(struct office_node *node, const struct writer *request, struct answer *ret_answer);
int node_enrol(struct office_node *parent, struct office_node *child, const char *address);
void node_stop(struct office_node *node); /* SIGTERM; SIGKILL if that is not enough */
void node_done(struct office_node *node); /* stops it and removes its home */
/* What its process holds in memory, without the map of the store; bytes. */
double node_rss(const struct office_node *node); /* memory.c */
int node_open_store(const struct office_node *node, struct store **ret_store, struct txn **ret_txn);

/* intake.c: @count petitions from @first on; so many drafts a request, so many requests under way */
int intake(struct office_node *node, uint64_t first, uint64_t count, unsigned drafts,
	unsigned under_way, double *ret_seconds);

/* relay.c: counts what passes between a child and its parent */
struct relay;
int relay_start(uint16_t port, uint16_t parent_port, struct relay **ret_relay);
uint64_t relay_bytes(struct relay *relay); /* both ways, so far */
struct relay *relay_stop(struct relay *relay);

/* The figures. Each reports its rows. */
int bench_limits(struct bench *bench);
int bench_intake(struct bench *bench);
int bench_drain(struct bench *bench);
int bench_latency(struct bench *bench);
int bench_memory(struct bench *bench);
