/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/enrol.h"
#include "store/offices.h"
#include "tests/sim/sim.h"

enum {
	MONOTONIC_START_MS = 1000,
};

/* Nothing here survives the program: to sync it is a waste of time. */
int fdatasync(int fd) {
	return 0;
}

int fsync(int fd) {
	return 0;
}

/* The queue */

static bool before(const struct sim_event *a, const struct sim_event *b) {
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

void sim_plan_event(struct sim *sim, uint64_t at_ms, enum sim_event_kind kind, uint32_t node, uint32_t line,
	struct sim_frame *frame) {
	size_t at = sim->n_events++;
	struct sim_event event = { at_ms, sim->order++, node, line, kind, frame };

	if (sim->n_events > sim->cap_events) {
		sim->cap_events = sim->cap_events ? 2 * sim->cap_events : 1024;
		sim->events = realloc(sim->events, sim->cap_events * sizeof(*sim->events));
		if (!sim->events)
			sim_fault(sim, "no memory");
	}
	for (; at > 0 && before(&event, &sim->events[(at - 1) / 2]); at = (at - 1) / 2)
		sim->events[at] = sim->events[(at - 1) / 2];
	sim->events[at] = event;
}

static struct sim_event take_event(struct sim *sim) {
	struct sim_event first = sim->events[0], last = sim->events[--sim->n_events];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < sim->n_events && before(&sim->events[child + 1], &sim->events[child]))
			child++;
		if (child >= sim->n_events || before(&last, &sim->events[child]))
			break;
		sim->events[at] = sim->events[child];
		at = child;
	}
	sim->events[at] = last;
	return first;
}

/* Turns */

uint64_t world_wall_ms(const struct sim_node *node) {
	const struct sim *sim = node->sim;

	return (sim->now_ms < sim->noon_ms ? sim->now_ms : sim->noon_ms) + (uint64_t)node->skew_ms;
}

void world_turn(struct sim_node *node) {
	struct sim *sim = node->sim;

	if (node->in_turn)
		return;
	node->in_turn = true;
	sim->touched[sim->n_touched++] = node->number;
	sim->n_turns++;
	core_turn_begin(node->core, world_wall_ms(node), sim->now_ms - sim->start_ms + MONOTONIC_START_MS);
}

static void forget_read(struct sim_node *node) {
	while (node->read) {
		struct sim_frame *next = node->read->next;

		free(node->read);
		node->read = next;
	}
}

static void crash(struct sim_node *node) {
	struct sim *sim = node->sim;

	sim->n_crashes++;
	world_stop(node);
	sim_plan_event(sim, sim->now_ms + (sim->calm || sim_random(sim, 8) ? 1000 + sim_random(sim, 60000)
		: sim_random(sim, 86400000)), EVENT_START, node->number, 0, NULL);
}

static void plan_wake(struct sim_node *node) {
	struct sim *sim = node->sim;
	uint64_t wake = core_wakeup_ms(node->core);

	wake = core_busy(node->core) || wake < MONOTONIC_START_MS ? sim->now_ms + 1
		: wake == UINT64_MAX ? UINT64_MAX : wake - MONOTONIC_START_MS + sim->start_ms;
	if (wake <= sim->now_ms)
		wake = sim->now_ms + 1;
	if (wake != UINT64_MAX && (node->wake_ms <= sim->now_ms || wake < node->wake_ms)) {
		node->wake_ms = wake;
		sim_plan_event(sim, wake, EVENT_WAKE, node->number, 0, NULL);
	}
}

static void end_turn(struct sim_node *node) {
	enum sim_death death = node->death;
	int r = death == DIES_BEFORE_COMMIT ? 0 : core_turn_end(node->core);

	node->in_turn = false;
	forget_read(node);
	if (r)
		sim_fault(node->sim, "%s: a turn ended with %s", node->name, strerror(-r));
	if (death != LIVES)
		crash(node);
	else
		plan_wake(node);
}

struct answer world_ask(struct sim_node *node, struct span request) {
	struct answer answer;

	if (node->in_turn)
		sim_fault(node->sim, "%s: asked within a turn", node->name);
	node->answer_len = 0;
	world_turn(node);
	node->sim->n_touched--;
	core_request(node->core, span_str("clerk"), request);
	end_turn(node);
	if (node->answer_len == 0 || control_answer_decode((struct span){ node->answer, node->answer_len }, &answer))
		answer.result = CONTROL_BAD_REQUEST; /* it died, perhaps having done it */
	return answer;
}

/* Effects */

static bool is_dead(struct sim_node *node) {
	bool dead = node->death == DIES_AFTER && node->effects_left == 0;

	node->effects_left -= node->death == DIES_AFTER && !dead;
	return dead;
}

static void answer(void *userdata, struct span client, struct span frame) {
	struct sim_node *node = userdata;

	if (is_dead(node) || frame.len > sizeof(node->answer))
		return;
	memcpy(node->answer, frame.data, frame.len);
	node->answer_len = frame.len;
}

static void answer_guest(void *userdata, struct span client, struct span frame) {
}

static void publish(void *userdata, uint64_t number, struct span row) {
	(void)is_dead(userdata);
}

/* Where the parent listens has changed, as in the daemon the line is made anew after the turn. */
static void joined(void *userdata) {
	struct sim_node *node = userdata;

	node->renew = true;
	sim_plan_event(node->sim, node->sim->now_ms + 1, EVENT_NOTICE, node->number, node->line, NULL);
}

static int fill_random(void *userdata, void *ret, size_t len) {
	struct sim_node *node = userdata;

	for (size_t i = 0; i < len; i++)
		((uint8_t *)ret)[i] = (uint8_t)sim_random(node->sim, 256);
	return 0;
}

static int next_key(void *userdata, struct signer **ret_signer) {
	return 1; /* there is none */
}

static void rotated(void *userdata) {
}

static void misused(void *userdata, struct span office, enum enrol_outcome outcome) {
}

/* Nodes */

struct sim_node *world_find(struct sim *sim, const struct id *id) {
	uint32_t number = get_be32(id->b + 12);

	return number < sim->n_nodes && id_eq(&sim->nodes[number].id, id) ? &sim->nodes[number] : NULL;
}

void world_start(struct sim_node *node) {
	struct sim *sim = node->sim;
	char path[160];
	int r;

	if (node->core)
		return;
	r = keyring_open(node->dir, &node->keys.keyring);
	snprintf(path, sizeof(path), "%s/store", node->dir);
	if (r == 0)
		r = store_open(path, STORE_WRITE, SIM_MAP, &node->store);
	if (r == 0)
		r = core_new(node->store, &node->config, &node->keys, &node->io, world_wall_ms(node), &node->core);
	if (r)
		sim_fault(sim, "%s does not start: %d", node->name, r);
	node->death = LIVES;
	node->wake_ms = 0;
	world_turn(node);
	if (node->parent != SIM_NONE && node->clear)
		sim_plan_event(sim, sim->now_ms + sim_random(sim, 5000), EVENT_CONNECT, node->number, 0, NULL);
}

void world_stop(struct sim_node *node) {
	node->core = core_free(node->core);
	node->store = store_close(node->store);
	node->keys.keyring = keyring_close(node->keys.keyring);
	node->death = LIVES;
	node->in_turn = false;
	forget_read(node);
	lines_drop_all(node);
}

static struct office office_of(const struct sim_node *node) {
	static const char *const levels[SIM_LEVELS_MAX] = { "province", "district", "commune", "village" };
	struct office office = {
		.id = node->id,
		.code = 10000 + node->number % 90000,
		.code_digits = 5,
		.state = OFFICE_ACTIVE,
		.valid_from_ms = node->sim->start_ms,
		.level = span_str(levels[node->level]),
		.name = span_str(node->name),
	};

	signer_public(node->keys.signer, office.sign_key);
	memset(office.curve_key, 9, sizeof(office.curve_key)); /* none of those that are no keys */
	put_be32(office.curve_key, node->number);
	return office;
}

static void make_node(struct sim *sim, uint32_t number) {
	struct sim_node *node = &sim->nodes[number];
	struct office office;
	struct store *store;
	struct txn *txn;
	char path[160];
	uint32_t row;

	node->sim = sim;
	node->number = number;
	node->id = (struct id){ { 0x01, 0x8f, [6] = 0x70, [8] = 0x80 } };
	put_be32(node->id.b + 12, number);
	snprintf(node->name, sizeof(node->name), "Đơn vị %u.%u", node->level, number);
	snprintf(node->dir, sizeof(node->dir), "%s/%u", sim->dir, number);
	put_be32(node->seed, number + 1);
	config_init(&node->config);
	node->io = (struct core_io){ node, lines_send, answer, answer_guest, publish, joined, fill_random, next_key,
		rotated, misused };
	if (mkdir(node->dir, 0700) || signer_new(node->seed, &node->keys.signer))
		sim_fault(sim, "cannot make %s", node->dir);
	office = office_of(node);
	snprintf(path, sizeof(path), "%s/store", node->dir);
	if (store_create(path, SIM_MAP) || store_open(path, STORE_WRITE, SIM_MAP, &store) || store_begin_write(store, &txn) ||
		offices_put(txn, &office, &(struct office_former){ 0 }, &row) || offices_set_own(txn, &office.id, 1) ||
		store_commit(txn))
		sim_fault(sim, "cannot make %s", path);
	store_close(store);
	world_start(node);
}

enum control_result world_enrol(struct sim_node *node, struct sim_node *parent) {
	struct office office = office_of(node);
	uint8_t request[2048], command[6144], file[4096];
	struct answer said;
	struct writer w, f;
	struct span bytes;

	writer_init(&f, request, sizeof(request));
	writer_init(&w, command, sizeof(command));
	if (enrol_request_write(&office, node->keys.signer, &f))
		sim_fault(node->sim, "cannot enrol %s", node->name);
	control_write_add_office(&w, 1, writer_span(&f), span_str("tcp://127.0.0.1:7400"));
	said = world_ask(parent, writer_span(&w));
	if (said.result != CONTROL_OK)
		return said.result;
	bytes = read_bin(&said.values, 1, sizeof(file));
	memcpy(file, bytes.data, bytes.len);
	writer_init(&w, command, sizeof(command));
	control_write_join(&w, 2, (struct span){ file, bytes.len });
	return world_ask(node, writer_span(&w)).result;
}

static void end_turns(struct sim *sim) {
	while (sim->n_touched > 0) { /* to end one may begin another */
		struct sim_node *node = &sim->nodes[sim->touched[--sim->n_touched]];

		if (node->in_turn)
			end_turn(node);
	}
}

void world_new(struct sim *sim) {
	const struct sim_plan *plan = &sim->plan;
	uint32_t at_level[SIM_LEVELS_MAX], n = 1, next = 1;

	for (unsigned level = 0; level < plan->n_levels; level++) {
		at_level[level] = n;
		sim->n_nodes += n;
		n *= plan->children[level];
	}
	sim->nodes = calloc(sim->n_nodes, sizeof(*sim->nodes));
	sim->touched = calloc(2 * sim->n_nodes, sizeof(*sim->touched));
	if (!sim->nodes || !sim->touched || !mkdtemp(sim->dir))
		sim_fault(sim, "cannot make %s", sim->dir);
	sim->nodes[0].parent = SIM_NONE;
	n = 0;
	for (unsigned level = 0; level < plan->n_levels; level++)
		for (uint32_t i = 0; i < at_level[level]; i++, n++) {
			struct sim_node *node = &sim->nodes[n];

			node->level = level;
			node->moves_to = SIM_NONE;
			node->n_children = level + 1 < plan->n_levels ? plan->children[level] : 0;
			for (uint32_t c = 0; c < node->n_children; c++)
				sim->nodes[next++].parent = n;
			make_node(sim, n);
			end_turns(sim);
			if (n > 0 && world_enrol(node, &sim->nodes[node->parent]) != CONTROL_OK)
				sim_fault(sim, "%s cannot be enrolled", node->name);
		}
}

static int remove_below(const char *dir) {
	char command[160];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

void world_free(struct sim *sim) {
	for (uint32_t i = 0; i < sim->n_nodes; i++) {
		struct sim_node *node = &sim->nodes[i];

		core_free(node->core);
		store_close(node->store);
		keyring_close(node->keys.keyring);
		signer_free(node->keys.signer);
		free(node->petitions);
	}
	for (size_t i = 0; i < sim->n_events; i++)
		free(sim->events[i].frame);
	free(sim->events);
	free(sim->nodes);
	free(sim->touched);
	(void)remove_below(sim->dir);
}

static void do_event(struct sim *sim, const struct sim_event *event) {
	struct sim_node *node = &sim->nodes[event->node];

	switch (event->kind) {
	case EVENT_FRAME:
		lines_deliver(sim, event);
		break;
	case EVENT_WAKE:
		if (node->core && node->wake_ms == event->at_ms)
			world_turn(node);
		break;
	case EVENT_WEATHER:
		lines_weather(node);
		break;
	case EVENT_CONNECT:
		lines_connect(node);
		break;
	case EVENT_NOTICE:
		if (node->line == event->line && (!node->clear || node->renew))
			lines_drop(node);
		break;
	case EVENT_START:
		world_start(node);
		break;
	case EVENT_CRASH:
		people_crash(node);
		break;
	case EVENT_CLERK:
		people_clerk(node);
		break;
	case EVENT_BACKUP:
		people_backup(node);
		break;
	case EVENT_LOSS:
		people_loss(node);
		break;
	case EVENT_MOVE:
		people_move(node);
		break;
	case EVENT_LOOK:
		oracle_look(sim);
		break;
	}
}

void world_run(struct sim *sim, uint64_t until_ms) {
	while (sim->n_events > 0 && sim->events[0].at_ms < until_ms) {
		sim->now_ms = sim->events[0].at_ms;
		while (sim->n_events > 0 && sim->events[0].at_ms == sim->now_ms) {
			struct sim_event event = take_event(sim);

			/* who asks, or takes a node down, begins with none under way */
			if (event.kind >= EVENT_START)
				end_turns(sim);
			do_event(sim, &event);
		}
		end_turns(sim);
	}
	sim->now_ms = until_ms;
}
