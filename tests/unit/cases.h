/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * cases - for tests of what offices read of each other's cases: a tree of cores, petitions and steps in it
 */
#include "tests/cores.h"

#define DAY_MS 86400000ull

/* What this office finds of every case it can read: that nobody accepted it within ten days. */
static inline void watch(struct cores_node *node) {
	node->config.rules[0] = (struct rule){ .name = "late", .cause = CAUSE_OVERDUE, .scope = RULE_SEEN,
		.state = CASE_RECEIVED, .days = 10, .lane = LANE_URGENT };
	node->config.n_rules = 1;
}

/* Three levels or four; only those that are told to watch find anything. */
static inline struct cores *tree(size_t n, unsigned watching) {
	struct cores *cores = cores_new(n);

	for (size_t i = 0; i < n; i++) {
		cores->nodes[i].config.n_rules = 0;
		if (watching & (1u << i))
			watch(&cores->nodes[i]);
	}
	return cores;
}

static inline struct id submit_id(struct cores_node *node, const struct draft *draft) {
	struct answer answer = cores_submit(node, draft, 1);
	struct id id;

	cr_assert_eq(answer.result, CONTROL_OK);
	read_array(&answer.values, 1, 1);
	read_array(&answer.values, 3, 3);
	(void)read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &id);
	return id;
}

static inline struct id take_petition(struct cores_node *node, unsigned n) {
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), n, false);

	return submit_id(node, &draft);
}

static inline void take_step(struct cores_node *node, const struct id *petition, uint8_t action, const char *text) {
	const struct step step = { .petition = *petition, .action = action,
		.date_ms = node->cores->now_ms, .to = span_str("UBND huyện"), .text = span_str(text) };
	struct draft draft = { .kind = KIND_STEP, .lane = LANE_NORMAL };
	uint8_t body[512];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	draft.body = writer_span(&w);
	cr_assert_eq(cores_submit(node, &draft, 1).result, CONTROL_OK);
}

static inline void pass_days(struct cores *cores, unsigned days) {
	for (unsigned i = 0; i < days; i++) {
		cores->now_ms += DAY_MS;
		for (size_t k = 1; k < cores->n; k++) /* a day without a word ends a session */
			if (cores->nodes[k].core && cores->nodes[cores->nodes[k].parent].core && !cores->nodes[k].cut)
				cores_connect(cores, k);
		cores_settle(cores);
	}
}

static inline bool store_has(struct cores_node *node, const char *text) {
	static uint8_t bytes[32 << 20];
	char path[PATH_MAX];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/data.mdb", node->home.path);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	return memmem(bytes, n, text, strlen(text)) != NULL;
}

static inline bool has_case(struct cores_node *node, const struct id *petition, struct case_row *ret_row) {
	_cleanup_(store_abortp) struct txn *txn = NULL;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	return cases_get(txn, petition, ret_row) == 0;
}

static inline uint64_t rows_in(struct cores_node *node, enum table table) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	uint64_t n;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(txn_count(txn, table, &n), 0);
	return n;
}
