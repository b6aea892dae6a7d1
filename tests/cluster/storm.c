/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * storm - nodes of a province are killed at random while clerks work; then everything must be there
 *
 *   storm [KILLS [SEED]]
 *
 * A thread a commune submits petitions and steps and notes what it was told. The seed decides who is
 * killed, when and for how long, and what each clerk does; not how the machine takes its turns.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "proto/record.h"
#include "store/cases.h"
#include "tests/cluster/ctl.h"
#include "tests/cluster/tree.h"

enum {
	PROVINCE = 0,
	DISTRICTS = 2,
	COMMUNES = 4,
	FIRST_COMMUNE = 1 + DISTRICTS,
	AT_ONCE = 6,           /* drafts in one request, at most */
	UP_MAX_MS = 700,       /* between a start and the next kill */
	DOWN_MAX_MS = 1500,    /* between a kill and the start */
	ANSWER_MS = 20000,     /* a node that is up answers sooner */
	REST_MS = 60000,
};

struct told {
	struct id id;
	uint8_t state; /* enum case_state, as far as the clerk knows */
};

struct clerk {
	struct proc *proc;
	pthread_t thread;
	uint64_t random;
	const atomic_bool *closing;
	atomic_uint deaths;      /* of the node */
	unsigned asked_at;       /* how many there had been when it was asked */
	struct told *petitions;  /* acknowledged */
	size_t n_petitions, cap_petitions;
	struct step_told {
		struct id petition, record;
	} *steps;
	size_t n_steps, cap_steps;
	unsigned n_unknown;      /* petitions of which the clerk never heard */
	unsigned n_again;        /* requests that were sent again */
	unsigned n_texts;
};

static uint64_t dice(uint64_t *state) {
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL >> 16;
}

static bool node_died(void *userdata) {
	struct clerk *clerk = userdata;

	return atomic_load(&clerk->deaths) != clerk->asked_at;
}

static void give_id(struct clerk *clerk, struct draft *draft) {
	uint8_t random[10];

	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)dice(&clerk->random);
	draft->has_id = true;
	record_make_id(proc_wall_ms(), random, &draft->id);
}

/* What a clerk asks for at once. */
struct paper {
	struct draft drafts[AT_ONCE];
	uint8_t bodies[AT_ONCE][512];
	size_t n;
	bool again; /* can be asked a second time: it has ids */
	struct told *of; /* steps: whose */
	uint8_t then;    /* and the state it will then have */
};

static void write_petitions(struct clerk *clerk, struct paper *paper) {
	paper->n = 1 + dice(&clerk->random) % AT_ONCE;
	paper->again = dice(&clerk->random) % 2;
	for (size_t i = 0; i < paper->n; i++) {
		bool urgent = dice(&clerk->random) % 20 == 0;
		uint32_t people = dice(&clerk->random) % 20 ? 1 + dice(&clerk->random) % 9 : 80;

		paper->drafts[i] = ctl_petition(paper->bodies[i], sizeof(paper->bodies[i]),
			clerk->n_texts++, people, urgent);
		if (paper->again)
			give_id(clerk, &paper->drafts[i]);
	}
}

/* The next step of some petition, always with an id. */
static void write_step(struct clerk *clerk, struct paper *paper) {
	static const struct {
		uint8_t state, action, then;
	} course[] = {
		{ CASE_RECEIVED, ACTION_ACCEPTED, CASE_ACCEPTED },
		{ CASE_ACCEPTED, ACTION_FORWARDED, CASE_FORWARDED },
		{ CASE_FORWARDED, ACTION_RESOLVED, CASE_RESOLVED },
		{ CASE_RESOLVED, ACTION_ANSWERED, CASE_ANSWERED },
	};
	struct told *told = &clerk->petitions[dice(&clerk->random) % clerk->n_petitions];

	paper->n = 0;
	for (size_t i = 0; i < N_ELEMENTS(course); i++)
		if (course[i].state == told->state) {
			paper->drafts[0] = ctl_step(paper->bodies[0], sizeof(paper->bodies[0]),
				&told->id, course[i].action);
			give_id(clerk, &paper->drafts[0]);
			paper->n = 1;
			paper->again = true;
			paper->of = told;
			paper->then = course[i].then;
		}
}

/* Notes what was acknowledged. */
static void note(struct clerk *clerk, const struct paper *paper, struct answer *answer) {
	must(answer->result == CONTROL_OK, "%.*s refuses a clerk: %d %.*s",
		(int)clerk->proc->office.name.len, (const char *)clerk->proc->office.name.data,
		(int)answer->result, (int)answer->detail.len, (const char *)answer->detail.data);
	must(read_array(&answer->values, paper->n, paper->n) == paper->n, "an answer cut short");
	for (size_t i = 0; i < paper->n; i++) {
		struct id id;

		read_array(&answer->values, 3, 3);
		(void)read_uint(&answer->values, OUTCOME_HELD);
		read_id(&answer->values, &id);
		must(read_uint(&answer->values, UINT64_MAX) > 0 || paper->of, "no reference");
		read_end(&answer->values);
		must(!paper->drafts[i].has_id || id_eq(&id, &paper->drafts[i].id), "another id");
		if (paper->of) {
			if (clerk->n_steps == clerk->cap_steps) {
				clerk->cap_steps = 2 * clerk->cap_steps + 256;
				clerk->steps = reallocarray(clerk->steps, clerk->cap_steps,
					sizeof(*clerk->steps));
				must(clerk->steps, "no memory");
			}
			clerk->steps[clerk->n_steps++] = (struct step_told){ paper->of->id, id };
			paper->of->state = paper->then;
			continue;
		}
		if (clerk->n_petitions == clerk->cap_petitions) {
			clerk->cap_petitions = 2 * clerk->cap_petitions + 256;
			clerk->petitions = reallocarray(clerk->petitions, clerk->cap_petitions,
				sizeof(*clerk->petitions));
			must(clerk->petitions, "no memory");
		}
		clerk->petitions[clerk->n_petitions++] = (struct told){ id, CASE_RECEIVED };
	}
	must(!answer->values.failed, "a damaged answer");
}

/* Submits until an answer comes, or once if a second time would be another petition. */
static void submit(struct clerk *clerk, const struct paper *paper, struct ctl **ctl) {
	for (bool first = true;; first = false) {
		struct writer *w = ctl_writer(*ctl);
		struct answer answer;

		control_write_submit(w, ctl_number(*ctl), false, paper->n);
		for (size_t i = 0; i < paper->n; i++)
			control_write_draft(w, &paper->drafts[i]);
		clerk->asked_at = atomic_load(&clerk->deaths);
		clerk->n_again += !first;
		if (ctl_ask(*ctl, ANSWER_MS, node_died, clerk, &answer) == 0) {
			note(clerk, paper, &answer);
			return;
		}
		/* with the socket goes what it had not sent: it must not arrive later, unnoticed */
		*ctl = ctl_free(*ctl);
		*ctl = ctl_new(clerk->proc);
		if (!paper->again) {
			clerk->n_unknown += (unsigned)paper->n;
			return;
		}
	}
}

static void *work(void *userdata) {
	struct clerk *clerk = userdata;
	struct ctl *ctl = ctl_new(clerk->proc);
	struct paper *paper = malloc(sizeof(*paper));

	must(paper, "no memory");
	while (!atomic_load(clerk->closing)) {
		*paper = (struct paper){ 0 };
		if (clerk->n_petitions > 0 && dice(&clerk->random) % 3 == 0)
			write_step(clerk, paper);
		if (paper->n == 0)
			write_petitions(clerk, paper);
		submit(clerk, paper, &ctl);
		proc_pause_ms(dice(&clerk->random) % 8);
	}
	free(paper);
	ctl_free(ctl);
	return NULL;
}

struct search {
	const struct id *record;
	bool found;
};

static int find_step(void *userdata, const struct step_row *row) {
	struct search *search = userdata;

	search->found |= id_eq(&row->record, search->record);
	return 0;
}

/* What the clerk of @at was told must be there and in the district; returns the number of faults. */
static unsigned check_clerk(const struct tree *tree, const struct clerk *clerk, size_t at) {
	size_t places[] = { at, (size_t)tree->parent[at] };
	uint64_t kept = tree_petitions(tree, at, at), counted = tree_count(tree, PROVINCE, at,
		MEASURE_RECEIVED);
	struct case_row row;
	unsigned faults = 0;

	for (size_t p = 0; p < N_ELEMENTS(places); p++) {
		for (size_t i = 0; i < clerk->n_petitions; i++)
			faults += cases_get(tree->txns[places[p]], &clerk->petitions[i].id, &row) != 0;
		for (size_t i = 0; i < clerk->n_steps; i++) {
			struct search search = { &clerk->steps[i].record, false };

			(void)steps_each(tree->txns[places[p]], &clerk->steps[i].petition, find_step,
				&search);
			faults += !search.found;
		}
		if (faults)
			fprintf(stderr, "fault: %u acknowledged records are not %s\n", faults,
				p ? "in the district" : "in the commune that acknowledged them");
	}
	printf("commune %zu: %zu petitions and %zu steps acknowledged, %u not known, %u asked again; "
	       "kept %llu, counted in the province %llu\n",
		at, clerk->n_petitions, clerk->n_steps, clerk->n_unknown, clerk->n_again,
		(unsigned long long)kept, (unsigned long long)counted);
	if (kept < clerk->n_petitions || kept > clerk->n_petitions + clerk->n_unknown) {
		fprintf(stderr, "fault: so many cannot have been kept\n");
		faults++;
	}
	if (counted != kept) {
		fprintf(stderr, "fault: they count %llu times\n", (unsigned long long)counted);
		faults++;
	}
	return faults;
}

static void plant(struct tree *tree) {
	static const char *const communes[] = { "Đại Đồng", "Phật Tích", "Vũ Ninh", "Kinh Bắc" };

	tree_add(tree, "Bắc Ninh", 27, 2, -1, true);
	tree_add(tree, "Tiên Du", 260, 3, PROVINCE, true);
	tree_add(tree, "Quế Võ", 259, 3, PROVINCE, true);
	for (uint32_t i = 0; i < COMMUNES; i++)
		tree_add(tree, communes[i], 9163 + i, 5, (int)(1 + i % DISTRICTS), false);
}

/* Somebody pulls a plug; sometimes two offices are without power at a time. */
static void kill_some(struct tree *tree, struct clerk *clerks, unsigned kills, uint64_t *random) {
	while (kills > 0) {
		size_t first = dice(random) % tree->n, second = dice(random) % tree->n;
		size_t victims[2] = { first, second };
		size_t n = 1 + (dice(random) % 4 == 0 && first != second && kills > 1);

		proc_pause_ms(dice(random) % UP_MAX_MS);
		for (size_t i = 0; i < n; i++) {
			proc_kill9(tree->procs[victims[i]]);
			if (victims[i] >= FIRST_COMMUNE)
				atomic_fetch_add(&clerks[victims[i] - FIRST_COMMUNE].deaths, 1);
		}
		proc_pause_ms(dice(random) % DOWN_MAX_MS);
		for (size_t i = 0; i < n; i++)
			proc_start(tree->procs[victims[i]]);
		kills -= (unsigned)n;
	}
}

int main(int argc, char **argv) {
	unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : proc_wall_ms();
	uint64_t random = seed * 0x9e3779b97f4a7c15ULL | 1;
	struct clerk clerks[COMMUNES] = { 0 };
	struct tree tree = { 0 };
	atomic_bool closing = false;
	unsigned faults = 0;

	printf("seed %llu, %u kills\n", (unsigned long long)seed, kills);
	(void)fflush(stdout);
	plant(&tree);
	for (size_t i = 0; i < COMMUNES; i++) {
		clerks[i].proc = tree.procs[FIRST_COMMUNE + i];
		clerks[i].closing = &closing;
		clerks[i].random = dice(&random) | 1;
		must(pthread_create(&clerks[i].thread, NULL, work, &clerks[i]) == 0, "a thread");
	}
	kill_some(&tree, clerks, kills, &random);
	atomic_store(&closing, true);
	for (size_t i = 0; i < COMMUNES; i++)
		(void)pthread_join(clerks[i].thread, NULL);

	tree_open(&tree);
	if (!tree_wait(&tree, REST_MS)) {
		fprintf(stderr, "fault: the province does not come to rest\n");
		faults++;
	}
	for (size_t i = 0; i < COMMUNES; i++)
		faults += check_clerk(&tree, &clerks[i], FIRST_COMMUNE + i);
	faults += tree_verify(&tree);
	printf("%u faults\n", faults);
	for (size_t i = 0; i < COMMUNES; i++) {
		free(clerks[i].petitions);
		free(clerks[i].steps);
	}
	tree_done(&tree);
	return faults ? EXIT_FAILURE : EXIT_SUCCESS;
}
