/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "node/recovery.h"
#include "proto/kinds/step.h"
#include "proto/message.h"
#include "store/cases.h"
#include "store/cursor.h"
#include "store/fold.h"
#include "store/requests.h"
#include "store/tallies.h"
#include "tests/sim/sim.h"

/* An acknowledgement means on disk, and signed by who wrote it. */
void oracle_look_at_frame(struct sim_node *from, struct span frame) {
	struct message message;
	struct txn *txn;
	struct held held;

	if (message_decode(frame, &message))
		sim_fault(from->sim, "%s sends what nobody can read", from->name);
	if (message.type != MESSAGE_ACK && message.type != MESSAGE_HEADS)
		return;
	if (store_begin_read(from->store, &txn))
		sim_fault(from->sim, "%s cannot be read", from->name);
	while (message_held_next(&message, &held)) {
		struct oplog oplog;

		if (held.size == 0) /* who asks for what it lost */
			continue;
		if (oplog_load(txn, &held.oplog, &oplog) || held.size > oplog.frontier.size)
			sim_fault(from->sim, "%s acknowledges what is not on its disk", from->name);
		if (oplog.head.size != oplog.frontier.size)
			sim_fault(from->sim, "%s acknowledges what nobody signed", from->name);
	}
	store_abort(txn);
}

/* One node, looked at. */
struct look {
	struct sim_node *node;
	struct txn *txn;
	uint64_t n_leaves;
};

static uint32_t levels_between(const struct sim_node *above, const struct sim_node *below) {
	const struct sim *sim = above->sim;
	uint32_t n = 0;

	for (; below->number != above->number; n++) {
		if (below->parent == SIM_NONE)
			return SIM_NONE;
		below = &sim->nodes[below->parent];
	}
	return n;
}

static int is_found(void *userdata, const struct id *petition, const struct escalation_row *row) {
	const struct look *look = userdata;
	struct office_row office;

	if (offices_by_number(look->txn, row->office, &office))
		return -1;
	return !id_eq(&office.office.id, &look->node->id); /* by another, which is below: it may be read here */
}

/* Whether somebody below found something of the case, so that it may be read two levels up. */
static bool may_be_read(const struct look *look, const struct id *petition) {
	return escalations_each(look->txn, petition, is_found, (void *)look) > 0;
}

/* The detail of who is two levels below is never here, but of cases that were escalated. */
static void look_at_detail(const struct look *look, const struct sim_node *origin, struct span bytes) {
	struct record rec;
	struct step step;

	if (record_decode(bytes, &rec))
		sim_fault(look->node->sim, "%s has what is no record", look->node->name);
	if (rec.kind == KIND_PETITION ? may_be_read(look, &rec.id)
		: rec.kind == KIND_STEP && step_decode(rec.body, &step) == 0 ? may_be_read(look, &step.petition)
		: rec.kind != KIND_MEETING)
		return;
	sim_fault(look->node->sim, "%s can read what %s did not tell it", look->node->name, origin->name);
}

/* Leaves give the root that their origin signed: no gap, none twice, no byte changed. */
static int look_at_oplog(void *userdata, const struct oplog *oplog) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct look *look = userdata;
	struct sim *sim = look->node->sim;
	const struct sim_node *origin = world_find(sim, &oplog->id.office);
	uint32_t distance = levels_between(look->node, origin);
	struct frontier frontier;
	uint64_t index, arrival;
	struct leaf leaf;
	struct hash hash;

	frontier_init(&frontier);
	if (oplog_walk_open(look->txn, oplog, 0, &walk))
		sim_fault(sim, "%s cannot be read", look->node->name);
	while (oplog_walk_next(walk, &index, &leaf, &arrival) == 0) {
		if (index != frontier.size)
			sim_fault(sim, "%s: a gap", look->node->name);
		leaf_hash(&leaf, &hash);
		frontier_append(&frontier, &hash);
		if (!leaf.withheld && distance != SIM_NONE && distance >= 2)
			look_at_detail(look, origin, leaf.bytes);
		look->n_leaves++;
	}
	frontier_root(&frontier, &hash);
	if (frontier.size != oplog->frontier.size || frontier.size != oplog->head.size ||
		memcmp(hash.b, oplog->head.root.b, sizeof(hash.b)) != 0)
		sim_fault(sim, "%s: an oplog of %s is not what its head signs", look->node->name, origin->name);
	return 0;
}

static void begin(struct sim_node *node, struct look *ret_look) {
	*ret_look = (struct look){ .node = node };
	if (store_begin_read(node->store, &ret_look->txn))
		sim_fault(node->sim, "%s cannot be read", node->name);
}

static void look_at_oplogs(struct sim_node *node) {
	struct look look;

	begin(node, &look);
	for (uint32_t i = 0; i < node->sim->n_nodes; i++) {
		const struct sim_node *of = &node->sim->nodes[i];

		if (levels_between(node, of) != SIM_NONE || levels_between(of, node) != SIM_NONE)
			oplog_each_of(look.txn, &of->id, look_at_oplog, &look);
	}
	store_abort(look.txn);
}

/* What was acknowledged to a clerk is there. */
static void look_at_petitions(struct sim_node *node) {
	struct case_row row;
	struct look look;

	begin(node, &look);
	for (size_t i = 0; i < node->n_petitions; i++)
		if (!node->petitions[i].may_be_lost && cases_get(look.txn, &node->petitions[i].id, &row))
			sim_fault(node->sim, "%s has lost a petition that it acknowledged", node->name);
	store_abort(look.txn);
}

bool oracle_is_whole(const struct sim_node *node) {
	struct span value;
	struct look look;
	bool whole;

	if (!node->core)
		return false;
	begin((struct sim_node *)node, &look);
	whole = meta_get(look.txn, recovery_name, &value) == STORE_NOT_FOUND;
	store_abort(look.txn);
	return whole;
}

void oracle_look(struct sim *sim) {
	struct sim_node *node = &sim->nodes[sim_random(sim, sim->n_nodes)];

	if (oracle_is_whole(node)) {
		look_at_oplogs(node);
		look_at_petitions(node);
	}
	if (!sim->calm)
		sim_plan_event(sim, sim->now_ms + 3600000, EVENT_LOOK, 0, 0, NULL);
}

/* At the end */

struct count {
	uint32_t office;
	uint8_t measure;
	uint64_t n;
};

static int add_tally(void *userdata, const struct tally_entry *entry) {
	struct count *count = userdata;

	if (entry->office == count->office && entry->row.measure == count->measure)
		count->n += entry->row.n;
	return 0;
}

static int add_case(void *userdata, const struct id *id, const struct case_row *row) {
	struct count *count = userdata;

	count->n += row->origin == count->office;
	return 0;
}

/* What @at knows of @of: how many petitions it can read, and how many are counted. */
static void count(struct sim_node *at, const struct sim_node *of, uint64_t *ret_cases, uint64_t *ret_counted) {
	struct count cases = { 0 }, counted = { .measure = MEASURE_RECEIVED };
	struct office_row row;
	struct look look;

	begin(at, &look);
	if (offices_get(look.txn, &of->id, &row))
		sim_fault(at->sim, "%s does not know %s", at->name, of->name);
	cases.office = counted.office = row.number;
	cases_each(look.txn, add_case, &cases);
	tallies_each(look.txn, add_tally, &counted);
	store_abort(look.txn);
	*ret_cases = cases.n;
	*ret_counted = counted.n;
}

/* What two offices make of one case. */
static void compare_cases(const struct look *own, const struct look *above) {
	const struct sim_node *node = own->node;

	for (size_t i = 0; i < node->n_petitions; i++) {
		const struct id *id = &node->petitions[i].id;
		struct case_row row, row_above;

		if (cases_get(own->txn, id, &row) || cases_get(above->txn, id, &row_above))
			sim_fault(node->sim, "a case of %s cannot be read there or at %s", node->name, above->node->name);
		if (row.state != row_above.state || row.n_steps != row_above.n_steps ||
			!id_eq(&row.handed_to, &row_above.handed_to))
			sim_fault(node->sim, "%s and %s do not say the same of a case", node->name, above->node->name);
	}
}

struct compared {
	struct look look; /* at the office above */
	const struct sim_node *of;
};

static int compare_oplog(void *userdata, const struct oplog *own) {
	struct compared *compared = userdata;
	const struct sim_node *at = compared->look.node;
	struct oplog held = { 0 };

	if (own->frontier.size == 0)
		return 0;
	if (oplog_load(compared->look.txn, &own->id, &held) || held.frontier.size != own->frontier.size)
		sim_fault(at->sim, "%s has %llu leaves of %s, life %u, lane %u, in place of %llu", at->name,
			(unsigned long long)held.frontier.size, compared->of->name, own->id.epoch, own->id.lane,
			(unsigned long long)own->frontier.size);
	if (memcmp(held.head.root.b, own->head.root.b, sizeof(own->head.root.b)) != 0)
		sim_fault(at->sim, "%s has another oplog of %s", at->name, compared->of->name);
	return 0;
}

/* All that an office wrote in its present life is above, and counts there as much as at home. */
static void compare(struct sim_node *node) {
	struct sim *sim = node->sim;
	uint64_t cases, counted, above_cases, above_counted;
	struct office_row row;
	struct look own;
	uint32_t epoch;

	count(node, node, &cases, &counted);
	if (cases != counted)
		sim_fault(sim, "%s has %llu petitions and counts %llu", node->name, (unsigned long long)cases,
			(unsigned long long)counted);
	begin(node, &own);
	if (offices_own(own.txn, &row, &epoch))
		sim_fault(sim, "%s cannot be read", node->name);
	for (uint32_t up = node->parent; up != SIM_NONE; up = sim->nodes[up].parent) {
		struct compared compared = { .of = node };

		count(&sim->nodes[up], node, &above_cases, &above_counted);
		if (above_counted != counted || (up == node->parent && above_cases != cases))
			sim_fault(sim, "%s has %llu petitions of %s and counts %llu, in place of %llu", sim->nodes[up].name,
				(unsigned long long)above_cases, node->name, (unsigned long long)above_counted,
				(unsigned long long)counted);
		begin(&sim->nodes[up], &compared.look);
		for (unsigned lane = 0; lane < LANE_N; lane++) {
			const struct oplog_id id = { node->id, epoch, lane };
			struct oplog oplog;

			if (oplog_load(own.txn, &id, &oplog) == 0)
				compare_oplog(&compared, &oplog);
		}
		/* a step that one of them lost with its disk may have reached the other alone (README) */
		if (up == node->parent && !node->put_back && !sim->nodes[up].put_back && node->n_moves == 0)
			compare_cases(&own, &compared.look);
		store_abort(compared.look.txn);
	}
	store_abort(own.txn);
}

/* Derived rows are those that the oplogs make. */
static void rebuild(struct sim_node *node) {
	static const enum table derived[] = { TABLE_CASES, TABLE_STEPS, TABLE_ESCALATIONS, TABLE_WAITING, TABLE_TALLIES };
	struct sim *sim = node->sim;
	struct store *into;
	struct look look;
	struct txn *made;
	char path[160];

	snprintf(path, sizeof(path), "%s/rebuilt", node->dir);
	begin(node, &look);
	if (store_create(path, SIM_MAP) || store_open(path, STORE_WRITE, SIM_MAP, &into) || fold_rebuild(look.txn, into) ||
		store_begin_read(into, &made))
		sim_fault(sim, "%s cannot be rebuilt", node->name);
	for (size_t i = 0; i < N_ELEMENTS(derived); i++) {
		struct span key, value, other_key, other_value;
		struct scan *scan, *other;
		int r;

		if (scan_open(look.txn, derived[i], (struct span){ 0 }, &scan) ||
			scan_open(made, derived[i], (struct span){ 0 }, &other))
			sim_fault(sim, "%s cannot be read", node->name);
		do {
			r = scan_next(scan, &key, &value);
			if (scan_next(other, &other_key, &other_value) != r ||
				(r == 0 && (!span_eq(key, other_key) || !span_eq(value, other_value))))
				sim_fault(sim, "%s: table %u is not what its oplogs make", node->name, derived[i]);
		} while (r == 0);
		scan_close(scan);
		scan_close(other);
	}
	store_abort(made);
	store_close(into);
	store_abort(look.txn);
}

enum {
	REBUILT_MAX = 40, /* nodes: each takes a while */
};

void oracle_end(struct sim *sim) {
	for (uint32_t i = 0; i < sim->n_nodes; i++) {
		struct sim_node *node = &sim->nodes[i];

		if (!oracle_is_whole(node))
			sim_fault(sim, "%s does not go on", node->name);
		look_at_oplogs(node);
		look_at_petitions(node);
		compare(node);
	}
	for (uint32_t i = 0; i < sim->n_nodes; i += 1 + sim->n_nodes / REBUILT_MAX)
		rebuild(&sim->nodes[i]);
}
