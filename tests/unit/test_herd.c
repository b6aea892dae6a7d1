/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * herd - many offices lost the one above them together, and come back together
 */
#include <malloc.h>

#include "node/core_internal.h"
#include "tests/cores.h"

enum {
	CHILDREN = 300,
	SILENT = 70,     /* of them: say HELLO and nothing more, in a first wave; more than may greet at once */
	GREETING_MAX = 64,
};

static struct child {
	struct id id;
	uint64_t greet_at_ms; /* UINT64_MAX: it has */
	unsigned n_later;
	bool in, heads;
} children[CHILDREN];

static bool to_child(void *userdata, const struct id *neighbour, struct span frame) {
	struct cores_node *parent = userdata;
	struct child *child = &children[(neighbour->b[13] << 8 | neighbour->b[14])];
	struct message message;
	uint16_t dice;

	cr_assert_eq(message_decode(frame, &message), 0);
	if (message.type == MESSAGE_HELLO) {
		child->heads = true;
	} else if (message.type == MESSAGE_REFUSE) {
		cr_assert_eq(message.refuse.reason, REFUSAL_BUSY);
		cr_assert_leq(message.refuse.size, LINK_LATER_MAX_MS);
		(void)cores_random(parent, &dice, sizeof(dice));
		child->n_later++;
		child->greet_at_ms = parent->cores->now_ms + LINK_GREET_AGAIN_MS + dice % (message.refuse.size + 1);
	}
	return true;
}

static void say(struct cores_node *parent, const struct child *child, bool hello) {
	uint8_t buf[256];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	if (hello)
		message_write_hello(&w, &(struct hello){ .version = MESSAGE_VERSION, .office = child->id, .session = 1 });
	else
		message_write_heads(&w, false, NULL, 0);
	core_message(parent->core, &child->id, writer_span(&w));
}

static void enrol_all(struct cores *cores) {
	struct cores_node *parent = &cores->nodes[0];
	uint32_t number;
	struct txn *txn;

	cores_down(parent);
	cr_assert_eq(store_open(parent->home.path, STORE_WRITE, SCRATCH_MAP, &parent->store), 0);
	txn = scratch_txn(parent->store);
	for (unsigned i = 0; i < CHILDREN; i++) {
		struct office office = cores_office(cores, 0);

		office.id.b[13] = (uint8_t)(i >> 8);
		office.id.b[14] = (uint8_t)i;
		office.id.b[12] = 1;
		office.parent = parent->id;
		office.code = i + 1;
		office.code_digits = 5;
		office.curve_key[0] = (uint8_t)(i >> 8);
		office.curve_key[1] = (uint8_t)i;
		children[i] = (struct child){ .id = office.id };
		cr_assert_eq(offices_put(txn, &office, &(struct office_former){ 0 }, &number), 0);
	}
	cr_assert_eq(store_commit(txn), 0);
	parent->store = store_close(parent->store);
	parent->io.send = to_child;
	cores_up(parent);
}

static unsigned greeting(const struct cores_node *parent) {
	unsigned n = 0;

	for (size_t i = 0; i < parent->core->n_links; i++)
		n += parent->core->links[i]->state == LINK_GREETING;
	return n;
}

Test(herd, offices_that_come_back_together_are_let_in_a_few_at_a_time_and_all_of_them, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *parent = &cores->nodes[0];
	unsigned n_in = 0, most = 0;
	uint64_t from_ms;
	size_t held;

	enrol_all(cores);
	held = mallinfo2().uordblks;
	from_ms = cores->now_ms;
	while (n_in < CHILDREN && cores->now_ms < from_ms + 120000) {
		cores->now_ms += 100;
		cores_begin(parent);
		for (unsigned i = 0; i < CHILDREN; i++) {
			struct child *child = &children[i];

			if (child->heads && (i >= SILENT || cores->now_ms > from_ms + 60000)) {
				child->heads = false;
				child->in = true;
				n_in++;
				say(parent, child, false);
			} else if (cores->now_ms >= child->greet_at_ms && !child->in && !child->heads) {
				child->greet_at_ms = UINT64_MAX;
				say(parent, child, true);
			}
		}
		cores_end(parent);
		if (greeting(parent) > most)
			most = greeting(parent);
	}
	cr_expect_eq(n_in, CHILDREN);
	cr_expect_leq(most, 2 * GREETING_MAX, "but for those that say nothing, for a while: %u", most);
	cr_expect_lt(mallinfo2().uordblks - held, CHILDREN * 4096, "%zu bytes", mallinfo2().uordblks - held);
	for (unsigned i = 0; i < CHILDREN; i++)
		cr_expect_leq(children[i].n_later, 20, "child %u", i);
	cr_expect_gt(parent->core->refusals[REFUSAL_BUSY], 0);
}

Test(herd, an_office_that_is_told_to_come_later_does_so_at_any_time_until_then, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *commune = &cores->nodes[1];
	uint64_t least = UINT64_MAX, most = 0;

	for (unsigned i = 0; i < 200; i++) {
		uint8_t buf[256];
		struct writer w;
		uint64_t wait;

		writer_init(&w, buf, sizeof(buf));
		message_write_refuse(&w, &(struct refuse){ .size = i % 2 ? 20000 : UINT64_MAX, .reason = REFUSAL_BUSY });
		cores_begin(commune);
		core_message(commune->core, &cores->nodes[0].id, writer_span(&w));
		cores_end(commune);
		wait = core_uplink(commune->core)->greet_at_ms - commune->core->now_ms;
		cr_expect_leq(wait, LINK_GREET_AGAIN_MS + (i % 2 ? 20000 : LINK_LATER_MAX_MS));
		least = i % 2 && wait < least ? wait : least;
		most = i % 2 && wait > most ? wait : most;
	}
	cr_expect_geq(least, LINK_GREET_AGAIN_MS);
	cr_expect_gt(most - least, 15000);
}
