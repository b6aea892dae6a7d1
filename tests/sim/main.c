/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * sim [--seed N] [--tree 16,10] [--days N] [--petitions N] [--windows N] [--window SECONDS]
 *
 * Simulates an administration for a while, under all that befalls it, and then in calm until everything has
 * arrived. Prints what happened; ends with 1, the fault and the command that repeats it, if a promise was broken.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"

enum {
	DAY_MS = 86400000,
	CALM_MS = 6 * 3600 * 1000, /* then all must be where it belongs */
};

static const uint64_t start_ms = 1717200000000; /* 1 June 2024 */

uint64_t sim_random(struct sim *sim, uint64_t below) {
	sim->random ^= sim->random >> 12; /* xorshift64* */
	sim->random ^= sim->random << 25;
	sim->random ^= sim->random >> 27;
	return (sim->random * 0x2545f4914f6cdd1dULL >> 16) % below;
}

/* Without a logarithm, and so the same on every machine: a geometric distribution in steps of an eighth. */
uint64_t sim_wait(struct sim *sim, uint64_t mean_ms) {
	uint64_t step = mean_ms / 8 + 1, n = 0;

	while (sim_random(sim, 8) != 0)
		n++;
	return n * step + sim_random(sim, step) + 1;
}

static void print_plan(const struct sim_plan *plan, FILE *to) {
	fprintf(to, "sim --seed %llu --tree ", (unsigned long long)plan->seed);
	for (unsigned level = 0; level + 1 < plan->n_levels; level++)
		fprintf(to, "%s%u", level ? "," : "", plan->children[level]);
	fprintf(to, " --days %u --petitions %u --windows %u --window %u\n", plan->days, plan->petitions, plan->windows,
		plan->window_ms / 1000);
}

void sim_fault(const struct sim *sim, const char *format, ...) {
	uint64_t ms = sim->now_ms - sim->start_ms;
	va_list args;

	printf("FAULT after %llu days, %02llu:%02llu:%02llu.%03llu: ", (unsigned long long)(ms / 86400000),
		(unsigned long long)(ms / 3600000 % 24), (unsigned long long)(ms / 60000 % 60),
		(unsigned long long)(ms / 1000 % 60), (unsigned long long)(ms % 1000));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nThe stores are left in %s. Again: ", sim->dir);
	print_plan(&sim->plan, stdout);
	exit(1);
}

static bool read_number(const char *text, uint64_t max, uint64_t *ret_n) {
	char *end;

	*ret_n = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && *ret_n <= max;
}

static bool read_tree(char *text, struct sim_plan *plan) {
	uint64_t n;

	plan->n_levels = 1;
	for (char *at = strtok(text, ","); at; at = strtok(NULL, ",")) {
		if (plan->n_levels == SIM_LEVELS_MAX || !read_number(at, 10000, &n) || n == 0)
			return false;
		plan->children[plan->n_levels++ - 1] = (unsigned)n;
	}
	plan->children[plan->n_levels - 1] = 0;
	return plan->n_levels > 1;
}

static bool read_options(int argc, char **argv, struct sim_plan *plan) {
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' }, { "tree", required_argument, NULL, 't' },
		{ "days", required_argument, NULL, 'd' }, { "petitions", required_argument, NULL, 'p' },
		{ "windows", required_argument, NULL, 'w' }, { "window", required_argument, NULL, 'l' }, { 0 },
	};
	uint64_t n = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 't' ? !read_tree(optarg, plan) : option == '?' || !read_number(optarg, UINT32_MAX, &n))
			return false;
		switch (option) {
		case 's':
			plan->seed = n;
			break;
		case 'd':
			plan->days = (unsigned)n;
			break;
		case 'p':
			plan->petitions = (unsigned)n;
			break;
		case 'w':
			plan->windows = (unsigned)n;
			break;
		case 'l':
			plan->window_ms = (unsigned)n * 1000;
			break;
		}
	}
	return optind == argc && plan->petitions > 0 && plan->windows > 0 && plan->window_ms > 0 &&
		(uint64_t)plan->windows * plan->window_ms < DAY_MS;
}

/* What befalls each node. */
static void plan_life(struct sim_node *node) {
	struct sim *sim = node->sim;
	uint64_t day_ms = DAY_MS;

	/* a clock in thirty is wrong by more than anybody would notice at once */
	node->skew_ms = sim_random(sim, 30) ? (int64_t)sim_random(sim, 60000) - 30000 : -(int64_t)sim_random(sim, 3 * day_ms);
	sim_plan_event(sim, sim->now_ms + sim_wait(sim, 3 * day_ms), EVENT_CRASH, node->number, 0, NULL);
	if (node->parent != SIM_NONE) { /* the topmost has nobody to ask */
		sim_plan_event(sim, sim->now_ms + sim_wait(sim, day_ms / sim->plan.petitions), EVENT_CLERK, node->number, 0,
			NULL);
		sim_plan_event(sim, sim->now_ms + sim_wait(sim, day_ms / sim->plan.windows), EVENT_WEATHER, node->number, 0,
			NULL);
		sim_plan_event(sim, sim->now_ms + sim_wait(sim, 5 * day_ms), EVENT_BACKUP, node->number, 0, NULL);
		sim_plan_event(sim, sim->now_ms + sim_wait(sim, 60 * day_ms), EVENT_LOSS, node->number, 0, NULL);
	}
	if (node->level + 1 == sim->plan.n_levels && node->level > 1 && sim_random(sim, 10) == 0)
		sim_plan_event(sim, sim->now_ms + sim_wait(sim, 10 * day_ms), EVENT_MOVE, node->number, 0, NULL);
}

/* The weather clears, whoever lies down gets up, and nobody writes any more. */
static void calm_down(struct sim *sim) {
	sim->calm = true;
	for (uint32_t i = 0; i < sim->n_nodes; i++) {
		struct sim_node *node = &sim->nodes[i];

		sim_plan_event(sim, sim->now_ms + sim_random(sim, 60000), EVENT_START, i, 0, NULL);
		if (node->parent != SIM_NONE)
			sim_plan_event(sim, sim->now_ms + sim_random(sim, 600000), EVENT_WEATHER, i, 0, NULL);
	}
}

static double seconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(const struct sim *sim, double took) {
	struct rusage usage;
	size_t n = 0;

	for (uint32_t i = 0; i < sim->n_nodes; i++)
		n += sim->nodes[i].n_petitions;
	getrusage(RUSAGE_SELF, &usage);
	printf("%u offices, %u days in %.1f s (%.0f times as fast as life), %ld MB at most\n", sim->n_nodes,
		sim->plan.days, took, sim->plan.days * 86400.0 / took, usage.ru_maxrss / 1024);
	printf("%zu petitions and %llu steps acknowledged, %llu not; %llu turns, %llu frames\n", n,
		(unsigned long long)sim->n_steps, (unsigned long long)sim->n_refused, (unsigned long long)sim->n_turns, (unsigned long long)sim->n_frames);
	printf("%llu frames lost, %llu repeated, %llu late; %llu crashes, %llu disks lost and put back, %llu moves\n",
		(unsigned long long)sim->n_lost, (unsigned long long)sim->n_repeated, (unsigned long long)sim->n_late,
		(unsigned long long)sim->n_crashes, (unsigned long long)sim->n_restores,
		(unsigned long long)sim->n_moves);
	printf("All that was acknowledged is where it belongs, once. Trace %016llx\n", (unsigned long long)sim->trace);
}

int main(int argc, char **argv) {
	static struct sim sim = { .plan = { .n_levels = 3, .children = { 12, 14 }, .days = 30, .petitions = 4, .windows = 6,
		.window_ms = 120000 } };
	const char *tmp = getenv("TMPDIR");
	double begun = seconds();

	sim.plan.seed = (uint64_t)time(NULL);
	if (!read_options(argc, argv, &sim.plan)) {
		fprintf(stderr, "Usage: sim [--seed N] [--tree 12,14] [--days N] [--petitions N] [--windows N] [--window SECONDS]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	print_plan(&sim.plan, stdout);
	snprintf(sim.dir, sizeof(sim.dir), "%s/lienthong-sim-XXXXXX",
		tmp && *tmp ? tmp : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	sim.random = sim.plan.seed * 0x9e3779b97f4a7c15 + 1;
	sim.now_ms = sim.start_ms = start_ms;
	sim.noon_ms = start_ms + sim.plan.days * (uint64_t)DAY_MS + CALM_MS - 3600000;
	world_new(&sim);
	printf("%u offices enrolled in %.1f s\n", sim.n_nodes, seconds() - begun);
	for (uint32_t i = 0; i < sim.n_nodes; i++)
		plan_life(&sim.nodes[i]);
	sim_plan_event(&sim, sim.now_ms + 1, EVENT_LOOK, 0, 0, NULL);
	world_run(&sim, sim.start_ms + sim.plan.days * (uint64_t)DAY_MS);
	calm_down(&sim);
	world_run(&sim, sim.now_ms + CALM_MS);
	oracle_end(&sim);
	report(&sim, seconds() - begun);
	world_free(&sim);
	return 0;
}
