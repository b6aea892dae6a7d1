/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A store of a million records: how long a node takes to start on it, what it holds in memory,
 * what a record costs on disk.
 */
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/oplog.h"
#include "tests/bench/bench.h"

enum {
	RECORDS = 1000000,
	PART = 100000, /* requests are written in memory beforehand */
};

/* Where the store is mapped counts as the kernel's cache, not as the node's memory. Only root can see it. */
double node_rss(const struct office_node *node) {
	char path[64], line[512];
	unsigned long kilobytes;
	bool map = false;
	double bytes = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps", (int)node->pid);
	file = fopen(path, "re");
	if (!file)
		return NAN;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Rss: %lu kB", &kilobytes) == 1)
			bytes += map ? 0 : (double)kilobytes * 1024;
		else if (line[0] < 'A' || line[0] > 'Z') /* addresses: the next mapping */
			map = strstr(line, "/data.mdb") != NULL;
	}
	(void)fclose(file);
	return bytes;
}

static int fill(struct office_node *node, uint64_t count) {
	double seconds;

	for (uint64_t first = 0; first < count; first += PART) {
		uint64_t n = count - first < PART ? count - first : PART;

		if (intake(node, first, n, 50, 80, &seconds))
			return -1;
		progress("  %llu records", (unsigned long long)(first + n));
	}
	return 0;
}

static int report_disk(struct bench *bench, const struct office_node *node) {
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	char path[BENCH_PATH_MAX + 32];
	uint64_t records = 0, bytes = 0;
	struct stat st;

	if (node_open_store(node, &store, &txn))
		return -1;
	for (uint8_t lane = 0; lane < LANE_N; lane++) {
		struct oplog oplog;

		if (oplog_load(txn, &(struct oplog_id){ node->office.id, 1, lane }, &oplog))
			continue;
		records += oplog.frontier.size;
		bytes += oplog.bytes;
	}
	(void)snprintf(path, sizeof(path), "%s/store/data.mdb", node->home);
	if (records == 0 || stat(path, &st) < 0)
		return fail("%s cannot be read", path);
	report(bench, "disk: the store, log, cases and counts",
		(double)st.st_blocks * 512 / (double)records, "bytes/record", "plain records",
		(double)bytes / (double)records);
	return 0;
}

static int measure(struct bench *bench, struct office_node *node, uint64_t count) {
	double times[RUNS_MAX];
	unsigned n = bench->quick ? 1 : 3;

	if (node_start(node) || fill(node, count))
		return -1;
	report(bench, "memory after all that intake, beyond the map", node_rss(node) / 1e6, "MB", "", 0);
	for (unsigned i = 0; i < n; i++) {
		double begun;

		node_stop(node);
		begun = clock_s();
		if (node_start(node))
			return -1;
		times[i] = (clock_s() - begun) * 1e3;
	}
	report(bench, "start with all those records, until it answers", median(times, n), "ms",
		"start of the program", bench->limits.exec_ms);
	report(bench, "memory just started, beyond the map", node_rss(node) / 1e6, "MB", "", 0);
	return report_disk(bench, node);
}

int bench_memory(struct bench *bench) {
	uint64_t count = bench->quick ? RECORDS / 10 : RECORDS;
	struct office_node node;
	int r;

	progress("a store of %llu records", (unsigned long long)count);
	r = node_make(bench, &node, "commune", 9163, 5, "");
	if (r == 0)
		r = measure(bench, &node, count);
	if (r)
		report_missing(bench, "start and memory with a large store", "it failed");
	node_done(&node);
	return r;
}
