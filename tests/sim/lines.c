/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

enum {
	UP,
	DOWN,
	IN_FLIGHT_MAX = 40,       /* frames, then the transport takes no more */
	RATE_BYTES_MS = 8,        /* 64 kbit/s */
	DELAY_MAX_MS = 800,
	LATE_MAX_MS = 20000,
	NOTICED_AFTER_MS = 90000, /* a line that goes dumb: heartbeats tell */
	AGAIN_MAX_MS = 60000,
};

/* The node whose line it is, and which way the frame goes. */
static struct sim_node *line_of(struct sim_node *from, struct sim_node *to, unsigned *ret_way) {
	*ret_way = to->parent == from->number ? DOWN : UP;
	return *ret_way == DOWN ? to : from;
}

static void put(struct sim_node *node, unsigned way, uint32_t to, struct span frame, uint32_t from, uint64_t late_ms) {
	struct sim *sim = node->sim;
	struct sim_frame *copy = malloc(sizeof(*copy) + frame.len);
	uint64_t at;

	copy->from = from;
	copy->len = frame.len;
	memcpy(copy->data, frame.data, frame.len);
	at = node->free_ms[way] > sim->now_ms ? node->free_ms[way] : sim->now_ms;
	node->free_ms[way] = at + frame.len / RATE_BYTES_MS;
	node->in_flight[way]++;
	sim_plan_event(sim, node->free_ms[way] + 5 + late_ms, EVENT_FRAME, to, node->line, copy);
}

bool lines_send(void *userdata, const struct id *neighbour, struct span frame) {
	struct sim_node *from = userdata, *to = world_find(from->sim, neighbour), *node;
	struct sim *sim = from->sim;
	unsigned way, chance;

	if (from->death == DIES_AFTER && from->effects_left == 0)
		return true; /* it is dead already */
	from->effects_left -= from->death == DIES_AFTER;
	oracle_look_at_frame(from, frame);
	if (!to || (to->parent != from->number && from->parent != to->number)) {
		if (!to || to->n_moves + from->n_moves == 0)
			sim_fault(sim, "%s sends to somebody who is no neighbour", from->name);
		return true; /* it has not heard of the move */
	}
	sim->n_frames++;
	for (size_t i = 0; i < frame.len; i += 97)
		sim->trace = (sim->trace ^ frame.data[i] ^ from->number) * 0x100000001b3;
	node = line_of(from, to, &way);
	if (!node->connected || !node->clear) {
		sim->n_lost++;
		return true;
	}
	chance = sim->calm ? 1000 : (unsigned)sim_random(sim, 1000);
	if (chance == 0) { /* lost in a connection that stays: TCP would not, and it must not matter */
		sim->n_lost++;
		return true;
	}
	if (chance == 1) {
		sim->n_repeated++;
		put(node, way, to->number, frame, from->number, 0);
	}
	sim->n_late += chance == 2;
	put(node, way, to->number, frame, from->number, chance == 2 ? sim_random(sim, LATE_MAX_MS) : 0);
	node->blocked[way] |= node->in_flight[way] >= IN_FLIGHT_MAX;
	return !node->blocked[way];
}

void lines_deliver(struct sim *sim, const struct sim_event *event) {
	struct sim_node *to = &sim->nodes[event->node], *from = &sim->nodes[event->frame->from], *node;
	unsigned way;

	node = line_of(from, to, &way);
	if (event->line == node->line) {
		node->in_flight[way]--;
		if (node->blocked[way] && node->in_flight[way] < IN_FLIGHT_MAX / 2 && from->core) {
			node->blocked[way] = false;
			world_turn(from);
			core_link_ready(from->core, &to->id);
		}
		if (to->core && node->connected && node->clear) {
			world_turn(to);
			core_message(to->core, &from->id, (struct span){ event->frame->data, event->frame->len });
			event->frame->next = to->read;
			to->read = event->frame;
			return;
		}
	}
	free(event->frame);
}

void lines_drop(struct sim_node *node) {
	static const struct trouble why = { .code = TROUBLE_LOST };

	if (!node->connected)
		return;
	node->connected = node->renew = false;
	node->line++;
	if (node->core) {
		world_turn(node);
		core_link_lost(node->core, &node->sim->nodes[node->parent].id, &why);
	}
	if (node->clear)
		sim_plan_event(node->sim, node->sim->now_ms + 1000 + sim_random(node->sim, AGAIN_MAX_MS), EVENT_CONNECT,
			node->number, 0, NULL);
}

void lines_drop_all(struct sim_node *node) {
	lines_drop(node);
	for (uint32_t i = 0; node->n_children > 0 && i < node->sim->n_nodes; i++)
		if (node->sim->nodes[i].parent == node->number)
			lines_drop(&node->sim->nodes[i]);
}

void lines_connect(struct sim_node *node) {
	struct sim_node *parent = &node->sim->nodes[node->parent];

	if (node->connected || !node->clear || !node->core || !core_parent_address(node->core)[0])
		return;
	if (!parent->core) {
		sim_plan_event(node->sim, node->sim->now_ms + 1000 + sim_random(node->sim, AGAIN_MAX_MS), EVENT_CONNECT,
			node->number, 0, NULL);
		return;
	}
	node->connected = true;
	node->line++;
	for (unsigned way = 0; way < 2; way++) {
		node->free_ms[way] = node->in_flight[way] = 0;
		node->blocked[way] = false;
	}
	world_turn(node);
	core_link_open(node->core, &parent->id);
}

void lines_weather(struct sim_node *node) {
	struct sim *sim = node->sim;
	uint64_t day_ms = 86400000;

	if (sim->calm && node->clear)
		return;
	node->clear = !node->clear;
	if (node->clear)
		sim_plan_event(sim, sim->now_ms + sim_random(sim, 2000), EVENT_CONNECT, node->number, 0, NULL);
	else if (sim_random(sim, 4)) /* as a plug is pulled; or nothing tells, and it may come back as it was */
		lines_drop(node);
	else
		sim_plan_event(sim, sim->now_ms + NOTICED_AFTER_MS, EVENT_NOTICE, node->number, node->line, NULL);
	if (node->clear && sim->calm)
		return;
	sim_plan_event(sim, sim->now_ms + (node->clear ? sim_wait(sim, sim->plan.window_ms)
		: sim_wait(sim, day_ms / sim->plan.windows - sim->plan.window_ms)), EVENT_WEATHER, node->number, 0, NULL);
}
