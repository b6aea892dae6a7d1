/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * messages - for tests: write again what was read
 */
#include <assert.h>

#include "proto/message.h"

/* The entries of a HEADS or ACK, of which there are as many as it says. */
static inline size_t take_held(struct message *m, struct held ret_held[MESSAGE_HELD_MAX]) {
	struct held held;
	size_t n = 0;

	assert(m->n_held <= MESSAGE_HELD_MAX);
	while (message_held_next(m, &held)) {
		assert(n < m->n_held);
		ret_held[n++] = held;
	}
	assert(n == m->n_held);
	return n;
}

static inline void reencode_message(struct message *m, struct writer *w) {
	struct disclosed disclosed[MESSAGE_HELD_MAX + 1];
	struct held held[MESSAGE_HELD_MAX];
	size_t n;

	switch (m->type) {
	case MESSAGE_HELLO:
		message_write_hello(w, &m->hello);
		break;
	case MESSAGE_HEADS:
		n = take_held(m, held);
		message_write_heads(w, m->more, held, n);
		break;
	case MESSAGE_BATCH:
		message_write_batch(w, &m->batch);
		break;
	case MESSAGE_ACK:
		n = take_held(m, held);
		message_write_ack(w, held, n);
		break;
	case MESSAGE_REFUSE:
		message_write_refuse(w, &m->refuse);
		break;
	case MESSAGE_JOIN:
		message_write_join(w, m->file);
		break;
	case MESSAGE_ENROL:
		message_write_enrol(w, m->outcome, m->file);
		break;
	case MESSAGE_DISCLOSE:
		message_write_disclose(w, &m->disclose);
		break;
	case MESSAGE_DISCLOSED:
		n = 0;
		while (message_disclosed_next(m, &disclosed[n]))
			n++;
		assert(n == m->n_held);
		message_write_disclosed(w, disclosed, n);
		break;
	}
}
