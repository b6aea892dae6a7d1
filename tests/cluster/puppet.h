/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * puppet - a neighbour that does what a test tells it: a parent that is silent, a child that lies
 *
 * Built on proto, over a real CURVE connection. It speaks only when told; what it is sent waits until
 * it is asked for.
 */
#include <zmq.h>

#include "proto/compress.h"
#include "proto/merkle.h"
#include "proto/message.h"
#include "tests/cluster/ctl.h"

enum {
	PUPPET_PATIENT_MS = 20000,
};

struct puppet {
	struct office office;
	struct keyfile keys;
	struct signer *signer;
	void *context;
	void *socket;
	char address[64];  /* a parent: where it listens */
	bool parent;
	zmq_msg_t *in;     /* the last frame */
	uint8_t routing[64];
	size_t routing_len; /* a parent: whom it answers */
	uint64_t session;
	/* What it sends: its own oplog in the normal lane. */
	struct compress_work *work;
	struct compressor *out;
	uint64_t out_sequence;
	struct frontier frontier;
	/* Every frame that it sent, from the first on. */
	struct span *tape;
	size_t n_tape, cap_tape;
	/* What it receives. */
	struct decompressor *unpack;
};

struct puppet *puppet_parent(void);
/* Makes it @child's parent: the child joins. */
void puppet_adopt(struct puppet *puppet, const struct proc *child);
/* A child that @parent has enrolled, connected to it. */
struct puppet *puppet_child(const struct proc *parent, const char *name, uint32_t code);
/* The same of an office that nobody enrolled. */
struct puppet *puppet_stranger(const struct proc *parent);
/* Connects anew. */
void puppet_reconnect(struct puppet *puppet, const struct proc *parent);
struct puppet *puppet_free(struct puppet *puppet);
void puppet_freep(struct puppet **puppet);

void puppet_say(struct puppet *puppet, struct span frame);
void puppet_replay(struct puppet *puppet); /* says all of it again, except what no socket takes */
/* The next frame, borrowed until the next call; false: none came. */
bool puppet_hear(struct puppet *puppet, unsigned timeout_ms, struct span *ret_frame);
/* The next message of that type; what comes before it is dropped. False: it did not come. */
bool puppet_expect(struct puppet *puppet, enum message_type type, unsigned timeout_ms,
	struct message *ret_message);
/* A parent: answers the next HELLO and says that it holds nothing. A child: greets, and says so. */
void puppet_greet(struct puppet *puppet);
/* The plain leaves of a batch. */
struct span puppet_unpack(struct puppet *puppet, const struct batch *batch);
void puppet_ack(struct puppet *puppet, const struct oplog_id *oplog, uint64_t size);

/* A batch of @n leaves at the end of its own oplog, and the signed head over it; not sent. */
struct batch puppet_batch(struct puppet *puppet, unsigned n, struct writer *plain);
/* Packs and sends it, whatever it is by now. */
void puppet_send_batch(struct puppet *puppet, struct batch *batch, struct span plain);
