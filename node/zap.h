/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * zap - who may connect: answers libzmq's question about each new client's key (RFC 27/ZAP)
 *
 * From memory, out of the register. An office's connections carry its id as User-Id; those of who was
 * invited, ZAP_GUEST and the id of the office it is to be. libzmq admits
 * every key where nobody answers, unless the socket insists: zap_secure() makes it, and
 * zap_self_test() proves at the start that a stranger is refused.
 */
#include <zmq.h>

#include "node/core.h"
#include "node/log.h"

#define ZAP_GUEST "guest "

enum {
	ZAP_REFUSED_MAX = 64, /* keys remembered, so that each is logged once */
	ZAP_PARTS = 7,        /* of a question */
};

enum {
	ZAP_ADMITS_STRANGERS = 1, /* self-test: the transport would not protect anything */
};

struct zap {
	void *socket;
	struct log *log;
	const struct core *core;
	uint64_t n_refused;
	uint8_t refused[ZAP_REFUSED_MAX][OFFICE_CURVE_LEN];
};

/* Before any socket is bound that zap_secure() was called on. 0 or -errno. */
int zap_init(struct zap *zap, void *context, const struct core *core, struct log *log);
void zap_done(struct zap *zap);
/*
 * Makes @socket a CURVE server that admits only whom zap_question() admits: offices below this one, and who holds
 * an invitation. 0 or -errno.
 */
int zap_secure(void *socket, const uint8_t secret[32]);
/* Under a second. 0, the outcome or -errno. */
int zap_self_test(struct zap *zap, void *context, const uint8_t secret[32]);
void zap_question(struct zap *zap, zmq_msg_t *parts, size_t n_parts);
