/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/recovery.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/step.h"
#include "store/cases.h"
#include "tests/sim/sim.h"

enum {
	DAY_MS = 86400000,
};

static struct answer submit(struct sim_node *node, const struct draft *draft) {
	uint8_t buf[4096];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_submit(&w, 1, false, 1);
	control_write_draft(&w, draft);
	if (!writer_ok(&w))
		sim_fault(node->sim, "a draft is too long");
	return world_ask(node, writer_span(&w));
}

static void keep(struct sim_node *node, struct answer *answer) {
	if (node->n_petitions == node->cap_petitions) {
		node->cap_petitions = node->cap_petitions ? 2 * node->cap_petitions : 16;
		node->petitions = realloc(node->petitions, node->cap_petitions * sizeof(*node->petitions));
		if (!node->petitions)
			sim_fault(node->sim, "no memory");
	}
	node->petitions[node->n_petitions] = (struct sim_petition){ 0 };
	read_array(&answer->values, 1, 1);
	read_array(&answer->values, 3, 3);
	(void)read_uint(&answer->values, UINT8_MAX);
	read_id(&answer->values, &node->petitions[node->n_petitions].id);
	if (answer->values.failed)
		sim_fault(node->sim, "%s: an answer that cannot be read", node->name);
	node->n_petitions++;
}

static void add_petition(struct sim_node *node) {
	static const char *const more[] = {
		"", "Đề nghị cho người đến xem.", "Nước thải của xưởng chảy ra mương, lúa ở cánh đồng bên không trổ được.",
		"Nhân dân đã nói với trưởng thôn hai lần. Đề nghị trả lời trước mùa gặt, và nói rõ ai sửa mương, bằng tiền nào.",
	};
	struct sim *sim = node->sim;
	char text[512];
	uint8_t body[1024];
	struct petition petition = {
		.legal_kind = LEGAL_PETITION,
		.category = CATEGORY_LAND,
		.channel = CHANNEL_LETTER,
		.people = sim_random(sim, 50) ? 1 + (uint32_t)sim_random(sim, 20) : 80,
		.urgent = sim_random(sim, 40) == 0,
		.received_ms = world_wall_ms(node),
		.village = span_str("Thôn Đông"),
	};
	struct draft draft = { .kind = KIND_PETITION, .organisation = ORGANISATION_FRONT,
		.lane = petition.urgent ? LANE_URGENT : LANE_NORMAL };
	struct answer answer;
	struct writer w;

	snprintf(text, sizeof(text), "%s: đường hư hỏng, đoạn %zu. %s", node->name, node->n_petitions,
		more[sim_random(sim, N_ELEMENTS(more))]);
	petition.text = span_str(text);
	writer_init(&w, body, sizeof(body));
	petition_encode(&petition, &w);
	draft.body = writer_span(&w);
	answer = submit(node, &draft);
	if (answer.result == CONTROL_OK)
		keep(node, &answer);
	else
		sim->n_refused++;
}

/* What comes next in the course of a case; 0: nothing. */
static uint8_t next_action(const struct case_row *row) {
	static const uint8_t next[CASE_STATE_N] = {
		[CASE_RECEIVED] = ACTION_ACCEPTED, [CASE_ACCEPTED] = ACTION_RESOLVED, [CASE_FORWARDED] = ACTION_RESOLVED,
		[CASE_RESOLVED] = ACTION_ANSWERED, [CASE_ANSWERED] = ACTION_CLOSED,
	};

	return next[row->state];
}

static const struct sim_node *child_of(const struct sim_node *node, unsigned which) {
	const struct sim_node *child = node->sim->nodes;

	for (;; child++)
		if (child->parent == node->number && which-- == 0)
			return child;
}

/* One of the office's own petitions, or of an office below it, whose case may have been handed up. */
static const struct sim_petition *choose(const struct sim_node *node) {
	struct sim *sim = node->sim;

	if (node->n_children > 0 && sim_random(sim, 2))
		node = child_of(node, (unsigned)sim_random(sim, node->n_children));
	return node->n_petitions ? &node->petitions[sim_random(sim, node->n_petitions)] : NULL;
}

/* What comes next in a case, or that it is handed up. False: nothing was done. */
static bool take_step(struct sim_node *node, const struct sim_petition *petition, bool may_hand_over) {
	struct sim *sim = node->sim;
	struct step step = { .date_ms = world_wall_ms(node), .text = span_str("Đã xem.") };
	struct draft draft = { .kind = KIND_STEP, .lane = LANE_NORMAL };
	struct case_row row;
	uint8_t body[512];
	struct txn *txn;
	struct writer w;
	int r;

	step.petition = petition->id;
	if (store_begin_read(node->store, &txn))
		sim_fault(sim, "%s cannot be read", node->name);
	r = cases_get(txn, &step.petition, &row);
	store_abort(txn);
	if (r || !(step.action = next_action(&row)))
		return false;
	if (may_hand_over && row.state <= CASE_ACCEPTED && sim_random(sim, 6) == 0) {
		step.action = ACTION_HANDED_OVER;
		step.office = sim->nodes[node->parent].id;
	}
	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	draft.body = writer_span(&w);
	if (submit(node, &draft).result == CONTROL_OK) {
		sim->n_steps++;
		return true;
	}
	sim->n_refused++;
	return false;
}

void people_clerk(struct sim_node *node) {
	const struct sim_petition *petition = choose(node);
	struct sim *sim = node->sim;

	if (sim->calm)
		return;
	sim_plan_event(sim, sim->now_ms + sim_wait(sim, DAY_MS / (2 * sim->plan.petitions)), EVENT_CLERK, node->number,
		0, NULL);
	if (!node->core)
		return;
	if (sim_random(sim, 2))
		add_petition(node);
	else if (petition)
		(void)take_step(node, petition, true);
}

void people_crash(struct sim_node *node) {
	struct sim *sim = node->sim;

	if (sim->calm)
		return;
	sim_plan_event(sim, sim->now_ms + sim_wait(sim, 3 * (uint64_t)DAY_MS), EVENT_CRASH, node->number, 0, NULL);
	if (!node->core || node->death != LIVES)
		return;
	node->death = sim_random(sim, 3) ? DIES_AFTER : DIES_BEFORE_COMMIT;
	node->effects_left = (unsigned)sim_random(sim, 6);
}

/* The directories of a node; @ret_from is the one that it works on. */
static void paths(const struct sim_node *node, char ret_store[160], char ret_backup[160]) {
	snprintf(ret_store, 160, "%s/store", node->dir);
	snprintf(ret_backup, 160, "%s/backup", node->dir);
}

__attribute__((format(printf, 2, 3))) static void shell(const struct sim *sim, const char *format, ...) {
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		sim_fault(sim, "%s failed", command);
}

void people_backup(struct sim_node *node) {
	struct sim *sim = node->sim;
	char store[160], backup[160];

	if (sim->calm)
		return;
	sim_plan_event(sim, sim->now_ms + sim_wait(sim, 10 * (uint64_t)DAY_MS), EVENT_BACKUP, node->number, 0, NULL);
	paths(node, store, backup);
	if (!node->core)
		return;
	shell(sim, "rm -rf '%s'", backup);
	if (store_copy(node->store, backup))
		sim_fault(sim, "%s: no backup", node->name);
	node->has_backup = true;
}

/* What goes with the disk, and its clerk's memory of it: what the office above does not have. */
static void give_up(struct sim_node *node) {
	/* who was handed over gets back only what the new parent has (README) */
	struct sim_node *parent = &node->sim->nodes[node->moves_to == SIM_NONE ? node->parent : node->moves_to];
	struct store *store = parent->store;
	char path[160];
	struct txn *txn = NULL;
	struct case_row row;

	snprintf(path, sizeof(path), "%s/store", parent->dir);
	if (!store && store_open(path, STORE_READ, 0, &store))
		sim_fault(node->sim, "%s cannot be read", parent->name);
	if (store_begin_read(store, &txn))
		sim_fault(node->sim, "%s cannot be read", parent->name);
	for (size_t i = 0; i < node->n_petitions; i++)
		if (cases_get(txn, &node->petitions[i].id, &row))
			node->petitions[i].may_be_lost = true;
	store_abort(txn);
	if (!parent->store)
		store_close(store);
}

void people_loss(struct sim_node *node) {
	struct sim *sim = node->sim;
	char store[160], backup[160];
	struct store *put_back;
	struct txn *txn;

	if (sim->calm)
		return;
	sim_plan_event(sim, sim->now_ms + sim_wait(sim, 60 * (uint64_t)DAY_MS), EVENT_LOSS, node->number, 0, NULL);
	if (!node->has_backup)
		return;
	/* two offices, one above the other, that both go on from old copies, are more than can be helped (README) */
	sim->nodes[node->parent].has_backup = false;
	for (uint32_t i = 0; i < sim->n_nodes; i++)
		if (sim->nodes[i].parent == node->number)
			sim->nodes[i].has_backup = false;
	paths(node, store, backup);
	give_up(node);
	if (node->core)
		world_stop(node);
	shell(sim, "rm -rf '%s'", store);
	shell(sim, "cp -r '%s' '%s'", backup, store);
	if (store_open(store, STORE_WRITE, SIM_MAP, &put_back) || store_begin_write(put_back, &txn) ||
		meta_put(txn, recovery_name, span_str("")) || store_commit(txn)) /* as lienthong restore does */
		sim_fault(sim, "%s cannot be put back", node->name);
	store_close(put_back);
	sim->n_restores++;
	node->put_back = true;
	if (node->n_moves > 0 && node->moves_to == SIM_NONE) { /* the backup may know the parent before: it joins again */
		node->moves_to = node->parent;
		sim_plan_event(sim, sim->now_ms + DAY_MS, EVENT_MOVE, node->number, 0, NULL);
	}
	sim_plan_event(sim, sim->now_ms + sim_random(sim, DAY_MS), EVENT_START, node->number, 0, NULL);
}

enum {
	MOVE_AGAIN_MS = 3600000,
	MOVES_MAX = 6,
};

/* What the office below was is handed over first; the new parent hears of it from above, and enrols it. */
static void hand_over(struct sim_node *node) {
	struct sim *sim = node->sim;
	struct sim_node *parent = &sim->nodes[node->parent], *to;
	uint8_t buf[128];
	struct writer w;

	do
		to = &sim->nodes[sim_random(sim, sim->n_nodes)];
	while (to->level != parent->level);
	if (to == parent || !parent->core || !oracle_is_whole(node)) /* who is put back stays until it was (README) */
		return;
	writer_init(&w, buf, sizeof(buf));
	control_write_move_office(&w, 1, &node->id, &to->id);
	if (world_ask(parent, writer_span(&w)).result == CONTROL_OK)
		node->moves_to = to->number;
	else /* it holds cases of the office, or the office above lacks some */
		for (size_t i = 0; i < node->n_petitions; i++)
			while (parent->core && take_step(parent, &node->petitions[i], false))
				;
}

void people_move(struct sim_node *node) {
	struct sim *sim = node->sim;
	struct sim_node *to;

	if (node->moves_to == SIM_NONE && !sim->calm && node->n_moves < MOVES_MAX)
		hand_over(node);
	if (node->moves_to == SIM_NONE) {
		sim_plan_event(sim, sim->now_ms + sim_wait(sim, 2 * (uint64_t)DAY_MS), EVENT_MOVE, node->number, 0, NULL);
		return;
	}
	to = &sim->nodes[node->moves_to];
	if (node->core && to->core && world_enrol(node, to) == CONTROL_OK) {
		node->n_moves += node->parent != node->moves_to;
		sim->n_moves += node->parent != node->moves_to;
		sim->nodes[node->parent].n_children--;
		lines_drop(node);
		node->parent = node->moves_to;
		to->n_children++;
		node->moves_to = SIM_NONE;
		sim_plan_event(sim, sim->now_ms + 2000, EVENT_CONNECT, node->number, 0, NULL);
	}
	sim_plan_event(sim, sim->now_ms + (sim->calm ? 60000 : MOVE_AGAIN_MS), EVENT_MOVE, node->number, 0, NULL);
}
