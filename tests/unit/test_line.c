/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * line - when an office keeps the line to its parent closed, and what goes over it all the same
 */
#include "node/core_internal.h"
#include "tests/cores.h"

#define HOUR_MS (3600 * 1000ull)

/* What the transport does in a turn: the line is opened, or closed, as the child wants it. */
static void obey(struct cores *cores, size_t child) {
	struct cores_node *node = &cores->nodes[child];
	struct line_report why;
	bool closed;

	cores_begin(node);
	closed = core_line_closed(node->core, &why);
	if (closed && !node->cut) {
		const struct trouble trouble = { .code = why.why };

		core_link_lost(node->core, &cores->nodes[node->parent].id, &trouble);
	}
	cores_end(node);
	if (!closed && node->cut)
		cores_connect(cores, child);
	node->cut = closed;
}

static void settle(struct cores *cores, size_t child) {
	obey(cores, child);
	cores_settle(cores);
}

static void hold(struct cores_node *node, bool held, uint64_t until_ms) {
	uint8_t command[64];
	struct writer w;

	writer_init(&w, command, sizeof(command));
	control_write_hold_line(&w, 1, held, until_ms);
	cr_assert_eq(cores_ask(node, writer_span(&w)).result, CONTROL_OK);
	obey(node->cores, (size_t)(node - node->cores->nodes));
}

static struct line_report line_of(struct cores_node *node) {
	struct control_status status;
	struct answer answer;
	uint8_t command[64];
	struct writer w;

	writer_init(&w, command, sizeof(command));
	control_write_status(&w, 1);
	answer = cores_ask(node, writer_span(&w));
	cr_assert_eq(control_status_read(&answer, &status), 0);
	return status.line;
}

Test(line, a_paused_line_stays_closed_over_a_restart_until_it_is_resumed, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	uint64_t since_ms;

	since_ms = cores->now_ms;
	hold(commune, true, 0);
	cores->now_ms += HOUR_MS;
	hold(commune, true, 0); /* once more: it is not paused since then */
	cores_take_petitions(commune, 0, 10);
	settle(cores, 1);
	cores_down(commune);
	cores_up(commune);
	settle(cores, 1);
	cr_expect_eq(cores_count(commune, commune, MEASURE_RECEIVED), 10, "intake goes on");
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 0);
	cr_expect_eq(line_of(commune).why, TROUBLE_PAUSED);
	cr_expect_eq(line_of(commune).since_ms, since_ms);
	cr_expect_eq(line_of(commune).until_ms, 0);

	hold(commune, false, 0);
	settle(cores, 1);
	cr_expect_eq(line_of(commune).why, TROUBLE_NONE);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 10);
}

Test(line, a_pause_with_an_end_comes_to_it_though_the_node_was_down, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	uint64_t until_ms;

	until_ms = cores->now_ms + HOUR_MS;
	hold(commune, true, until_ms);
	cores_take_petitions(commune, 0, 10);
	settle(cores, 1);
	cr_expect_eq(line_of(commune).until_ms, until_ms);
	cores_down(commune);
	cores->now_ms += HOUR_MS / 2;
	cores_up(commune);
	settle(cores, 1);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 0);
	cores->now_ms += HOUR_MS / 2;
	settle(cores, 1);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 10);
}

Test(line, a_full_store_can_be_told_to_go_on, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *commune = &cores->nodes[1];

	hold(commune, true, 0);
	commune->core->full_until_ms = UINT64_MAX;
	hold(commune, false, 0);
	cr_expect_eq(line_of(commune).why, TROUBLE_NONE);
}
