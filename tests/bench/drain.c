/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A commune takes in petitions while its parent is down; then the parent starts. How long until it
 * has acknowledged them all, both sides synced, and how many bytes that took.
 *
 * Both stores are read beside the running nodes, as the tools do; nothing is asked of the nodes.
 * The commune is started anew just before its parent, so that it has not yet learnt to be patient.
 */
#include <stdlib.h>

#include "store/cursor.h"
#include "store/oplog.h"
#include "tests/bench/bench.h"

enum {
	BACKLOG = 100000,
	PATIENCE_S = 120,
	LOOK_US = 2000,
	VETH_PORT = 7401,
};

enum way {
	WAY_LOOPBACK,
	WAY_RELAY, /* loopback, counted */
	WAY_VETH,  /* between two network namespaces, MTU 1500 */
};

struct drained {
	double from_start_s; /* since the parent's exec */
	double from_first_s; /* since its first commit of records was seen */
	double wire_bytes;   /* 0: not counted */
	double plain_bytes;
	double records;
	double rss;          /* of the commune, with the backlog, beyond the map */
};

struct link_ends {
	struct office_node parent;
	struct office_node child;
	struct relay *relay;
	char address[64]; /* where the child connects to */
};

static double veth_bytes(const struct bench *bench) {
	char command[256];
	FILE *pipe;
	double bytes = 0, n;

	(void)snprintf(command, sizeof(command),
		"ip netns exec %s sh -c 'cat /sys/class/net/lt-child/statistics/[rt]x_bytes'",
		bench->netns[1]);
	pipe = popen(command, "r");
	while (pipe && fscanf(pipe, "%lf", &n) == 1)
		bytes += n;
	if (pipe)
		(void)pclose(pipe);
	return bytes;
}

static double wire_bytes(const struct bench *bench, const struct link_ends *ends, enum way way) {
	switch (way) {
	case WAY_RELAY:
		return (double)relay_bytes(ends->relay);
	case WAY_VETH:
		return veth_bytes(bench);
	default:
		return 0;
	}
}

static int make_ends(struct bench *bench, struct link_ends *ends, enum way way) {
	uint16_t port = way == WAY_VETH ? VETH_PORT : free_port(bench);
	const char *host = way == WAY_VETH ? "10.231.77.1" : "127.0.0.1";
	char config[128];

	(void)snprintf(config, sizeof(config), "listen: tcp://%s:%u\n", host, port);
	if (node_make(bench, &ends->parent, "district", 256, 3, config) ||
		node_make(bench, &ends->child, "commune", 9163, 5, "reconnect_ms: 50\n"))
		return -1;
	if (way == WAY_VETH) {
		ends->parent.netns = bench->netns[0];
		ends->child.netns = bench->netns[1];
	}
	if (way == WAY_RELAY) {
		uint16_t relay_port = free_port(bench);

		if (relay_start(relay_port, port, &ends->relay))
			return -1;
		port = relay_port;
	}
	(void)snprintf(ends->address, sizeof(ends->address), "tcp://%s:%u", host, port);
	return 0;
}

static void ends_done(struct link_ends *ends) {
	node_done(&ends->child);
	node_done(&ends->parent);
	ends->relay = relay_stop(ends->relay);
}

static int make_backlog(struct link_ends *ends, uint64_t count) {
	double seconds;

	if (node_start(&ends->parent) || node_start(&ends->child) ||
		node_enrol(&ends->parent, &ends->child, ends->address))
		return -1;
	node_stop(&ends->parent);
	return intake(&ends->child, 0, count, 50, 20, &seconds);
}

/* Leaves, bytes of them, and those acknowledged, over all lanes of the child. */
static int look(struct txn *txn, const struct office_node *child, const struct id *neighbour,
	uint64_t *ret_size, uint64_t *ret_bytes, uint64_t *ret_acked) {
	*ret_size = *ret_bytes = *ret_acked = 0;
	for (uint8_t lane = 0; lane < LANE_N; lane++) {
		struct oplog_id id = { child->office.id, 1, lane };
		struct oplog oplog;
		uint64_t acked = 0;
		int r = oplog_load(txn, &id, &oplog);

		if (r == STORE_NOT_FOUND)
			continue;
		if (r || (neighbour && cursor_get(txn, neighbour, &id, &acked)))
			return fail("a store cannot be read");
		*ret_size += oplog.frontier.size;
		*ret_bytes += oplog.bytes;
		*ret_acked += acked;
	}
	return 0;
}

static int watch(struct link_ends *ends, struct txn *child_txn, struct txn *parent_txn,
	struct drained *ret) {
	double begun = clock_s(), first = 0;
	uint64_t size, bytes, acked, there = 0;

	if (node_spawn(&ends->parent))
		return -1;
	for (;;) {
		if (first == 0) {
			if (txn_refresh(parent_txn) ||
				look(parent_txn, &ends->child, NULL, &there, &bytes, &acked))
				return -1;
			if (there > 0)
				first = clock_s();
		}
		if (txn_refresh(child_txn) || look(child_txn, &ends->child,
						      &ends->parent.office.id, &size, &bytes, &acked))
			return -1;
		if (acked == size)
			break;
		if (clock_s() > begun + PATIENCE_S)
			return fail("after %u s the parent has acknowledged %llu of %llu records",
				PATIENCE_S, (unsigned long long)acked, (unsigned long long)size);
		pause_us(LOOK_US);
	}
	ret->from_start_s = clock_s() - begun;
	ret->from_first_s = clock_s() - (first > 0 ? first : begun);
	ret->plain_bytes = (double)bytes;
	ret->records = (double)size;
	return 0;
}

static int drain(struct link_ends *ends, enum way way, struct drained *ret) {
	_cleanup_(store_closep) struct store *child_store = NULL;
	_cleanup_(store_closep) struct store *parent_store = NULL;
	_cleanup_(store_abortp) struct txn *child_txn = NULL;
	_cleanup_(store_abortp) struct txn *parent_txn = NULL;
	struct bench *bench = ends->child.bench;
	double before;

	*ret = (struct drained){ .rss = node_rss(&ends->child) };
	node_stop(&ends->child);
	if (node_start(&ends->child) ||
		node_open_store(&ends->child, &child_store, &child_txn) ||
		node_open_store(&ends->parent, &parent_store, &parent_txn))
		return -1;
	before = wire_bytes(bench, ends, way);
	if (watch(ends, child_txn, parent_txn, ret))
		return -1;
	ret->wire_bytes = wire_bytes(bench, ends, way) - before;
	return 0;
}

static int one_run(struct bench *bench, enum way way, uint64_t count, struct drained *ret) {
	struct link_ends ends = { 0 };
	int r;

	r = make_ends(bench, &ends, way);
	if (r == 0)
		r = make_backlog(&ends, count);
	if (r == 0)
		r = drain(&ends, way, ret);
	ends_done(&ends);
	return r;
}

static void report_speed(struct bench *bench, const char *where, const struct drained *runs, size_t n) {
	double from_start[RUNS_MAX], from_first[RUNS_MAX], rate[RUNS_MAX];
	const double limit = bench->limits.lmdb[COMMIT_1000];
	char figure[64];

	for (size_t i = 0; i < n; i++) {
		from_start[i] = runs[i].from_start_s * 1e3;
		from_first[i] = runs[i].from_first_s * 1e3;
		rate[i] = runs[i].records / runs[i].from_start_s;
	}
	(void)snprintf(figure, sizeof(figure), "drain, %s: parent's exec to last ack", where);
	report(bench, figure, median(from_start, n), "ms", "raw LMDB, 1,000 a commit",
		runs[0].records / limit * 1e3);
	(void)snprintf(figure, sizeof(figure), "drain, %s: first commit to last ack", where);
	report(bench, figure, median(from_first, n), "ms", "raw LMDB, 1,000 a commit",
		runs[0].records / limit * 1e3);
	(void)snprintf(figure, sizeof(figure), "drain, %s: from the exec", where);
	report(bench, figure, median(rate, n), "records/s", "raw LMDB, 1,000 a commit", limit);
}

static void report_wire(struct bench *bench, const char *where, const struct drained *run) {
	double zstd = bench->limits.zstd_bytes / bench->limits.plain_bytes;
	char figure[64];

	(void)snprintf(figure, sizeof(figure), "wire, %s: all bytes both ways", where);
	report(bench, figure, run->wire_bytes / run->records, "bytes/record", "zstd 3 at its ratio above",
		zstd * run->plain_bytes / run->records);
	(void)snprintf(figure, sizeof(figure), "wire, %s: the same beside the records", where);
	report(bench, figure, run->wire_bytes / run->records, "bytes/record", "plain records",
		run->plain_bytes / run->records);
}

static int run_way(struct bench *bench, enum way way, const char *where, unsigned n) {
	uint64_t count = bench->quick ? BACKLOG / 10 : BACKLOG;
	struct drained runs[RUNS_MAX];

	progress("drain of %llu records, %s", (unsigned long long)count, where);
	for (unsigned i = 0; i < n; i++)
		if (one_run(bench, way, count, &runs[i])) {
			char figure[64];

			(void)snprintf(figure, sizeof(figure), "drain, %s", where);
			report_missing(bench, figure, "it failed");
			return -1;
		}
	if (way != WAY_RELAY)
		report_speed(bench, where, runs, n);
	if (way != WAY_LOOPBACK)
		report_wire(bench, where, &runs[0]);
	if (way == WAY_LOOPBACK)
		report(bench, "memory of the commune with the backlog, beyond the map",
			runs[0].rss / 1e6, "MB", "", 0);
	return 0;
}

int bench_drain(struct bench *bench) {
	unsigned n = bench->quick ? 1 : 3;
	int r;

	r = run_way(bench, WAY_LOOPBACK, "loopback", n);
	r |= run_way(bench, WAY_RELAY, "TCP's payload", 1);
	if (bench->netns[0])
		r |= run_way(bench, WAY_VETH, "veth, MTU 1500", n);
	else
		report_missing(bench, "drain, veth, MTU 1500", "not allowed here");
	return r;
}
