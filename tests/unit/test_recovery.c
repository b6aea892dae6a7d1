/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * An office begins another life, after a copy of its store was put back or it ran twice: those above it get all that
 * counts, once, and the lines are not kept busy for it.
 */
#include "tests/lives.h"

/* An office that has run twice: the copy that stays has @ours petitions of its own, what its parent knows, others. */
static struct scratch run_twice(struct cores *cores, size_t child, unsigned ours) {
	struct cores_node *node = &cores->nodes[child], *parent = &cores->nodes[node->parent];
	struct scratch copy = keep_copy(node);

	cores_connect(cores, child);
	cores_take_petitions(node, 100, 10);
	cores_settle(cores);
	exchange(node, &copy);
	cores_take_petitions(node, 500, ours);
	reconnect(cores, child);
	cr_assert_eq(known(parent, node)->forks.found, 2);
	return copy;
}

/* Some time passes, and the lines stay up. */
static void wait_ms(struct cores *cores, uint64_t ms) {
	for (uint64_t step = 9500; ms > 0; ms -= step) {
		step = ms < step ? ms : step;
		cores->now_ms += step;
		cores_settle(cores);
	}
}

Test(recovery, what_is_settled_goes_on_while_the_line_is_up, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct scratch copy;

	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	copy = run_twice(cores, 2, 40);
	restart_restored(commune);
	reconnect(cores, 2);
	cr_assert_eq(epoch_of(commune), 2);
	cr_assert_eq(leaves_of(district, commune, 2), 0);
	cr_assert_eq(unfork(district, commune), CONTROL_OK);
	wait_ms(cores, 20000);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 45);
	scratch_done(&copy);
}

Test(recovery, that_it_is_settled_may_come_together_with_the_new_life, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct scratch copy;

	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	copy = run_twice(cores, 2, 40);
	cr_assert_eq(known(province, commune)->forks.found, 2);
	district->cut = true;
	cr_assert_eq(unfork(district, commune), CONTROL_OK);
	restart_restored(commune);
	reconnect(cores, 2);
	cr_assert_eq(cores_count(district, commune, MEASURE_RECEIVED), 45);
	cores->now_ms += 100000;
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 45);
	cr_expect_eq(province->core->refusals[REFUSAL_QUARANTINED], 0);
	scratch_done(&copy);
}
