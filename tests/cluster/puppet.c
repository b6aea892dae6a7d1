/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/cluster/puppet.h"

#include <errno.h>

#include "proto/enrol.h"
#include "proto/record.h"

enum {
	PUPPET_HELLOS_MAX = 5,
};

static bool set(void *socket, int option, int value) {
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

static struct puppet *puppet_new(const char *name, uint32_t code, uint8_t code_digits) {
	struct puppet *puppet = calloc(1, sizeof(*puppet));

	must(puppet, "no memory");
	proc_identity(name, code, code_digits, &puppet->keys, &puppet->office);
	must(signer_new(puppet->keys.seed, &puppet->signer) == 0, "signer");
	must(compress_work_new(3, &puppet->work) == 0 && compressor_new(puppet->work, &puppet->out) == 0,
		"compressor");
	must(decompressor_new(puppet->work, BATCH_PLAIN_MAX, &puppet->unpack) == 0, "decompressor");
	frontier_init(&puppet->frontier);
	puppet->in = malloc(sizeof(*puppet->in));
	puppet->context = zmq_ctx_new();
	must(puppet->in && puppet->context, "no memory");
	(void)zmq_msg_init(puppet->in);
	return puppet;
}

struct puppet *puppet_parent(void) {
	struct puppet *puppet = puppet_new("Cấp trên", 258, 3);

	puppet->parent = true;
	proc_address(puppet->address);
	puppet->socket = zmq_socket(puppet->context, ZMQ_ROUTER);
	must(puppet->socket && set(puppet->socket, ZMQ_LINGER, 0) &&
		set(puppet->socket, ZMQ_CURVE_SERVER, 1) &&
		zmq_setsockopt(puppet->socket, ZMQ_CURVE_SECRETKEY, puppet->keys.curve_secret, 32) == 0 &&
		zmq_bind(puppet->socket, puppet->address) == 0, "%s: %s", puppet->address,
		zmq_strerror(errno));
	return puppet;
}

void puppet_adopt(struct puppet *puppet, const struct proc *child) {
	struct enrol_answer answer = { span_str(puppet->address), 2, { { .office = puppet->office }, { .office = child->office } } };
	uint8_t file[ENROL_FILE_MAX];
	struct writer w;

	answer.chain[1].office.parent = puppet->office.id;
	writer_init(&w, file, sizeof(file));
	must(enrol_answer_write(&answer, puppet->signer, &w) == 0 && writer_ok(&w), "answer");
	ctl_join(child, writer_span(&w));
}

void puppet_reconnect(struct puppet *puppet, const struct proc *parent) {
	char secret[41], public_text[41];

	if (puppet->socket)
		(void)zmq_close(puppet->socket);
	zmq_z85_encode(secret, puppet->keys.curve_secret, 32);
	zmq_curve_public(public_text, secret);
	puppet->socket = zmq_socket(puppet->context, ZMQ_DEALER);
	must(puppet->socket && set(puppet->socket, ZMQ_LINGER, 0) &&
		zmq_setsockopt(puppet->socket, ZMQ_CURVE_SECRETKEY, secret, 41) == 0 &&
		zmq_setsockopt(puppet->socket, ZMQ_CURVE_PUBLICKEY, public_text, 41) == 0 &&
		zmq_setsockopt(puppet->socket, ZMQ_CURVE_SERVERKEY, parent->office.curve_key, 32) == 0 &&
		zmq_connect(puppet->socket, parent->listen) == 0, "%s: %s", parent->listen,
		zmq_strerror(errno));
}

struct puppet *puppet_child(const struct proc *parent, const char *name, uint32_t code) {
	struct puppet *puppet = puppet_new(name, code, 5);
	uint8_t answer[ENROL_FILE_MAX];

	(void)ctl_add_office(parent, &puppet->office, &puppet->keys, answer);
	puppet_reconnect(puppet, parent);
	return puppet;
}

struct puppet *puppet_stranger(const struct proc *parent) {
	struct puppet *puppet = puppet_new("Người lạ", 9999, 5);

	puppet_reconnect(puppet, parent);
	return puppet;
}

struct puppet *puppet_free(struct puppet *puppet) {
	if (!puppet)
		return NULL;
	for (size_t i = 0; i < puppet->n_tape; i++)
		free((void *)puppet->tape[i].data);
	free(puppet->tape);
	(void)zmq_msg_close(puppet->in);
	free(puppet->in);
	(void)zmq_close(puppet->socket);
	(void)zmq_ctx_term(puppet->context);
	compressor_free(puppet->out);
	decompressor_free(puppet->unpack);
	compress_work_free(puppet->work);
	signer_free(puppet->signer);
	free(puppet);
	return NULL;
}

void puppet_freep(struct puppet **puppet) {
	puppet_free(*puppet);
}

static void record(struct puppet *puppet, struct span frame) {
	uint8_t *copy = malloc(frame.len + 1);

	if (puppet->n_tape == puppet->cap_tape) {
		puppet->cap_tape = 2 * puppet->cap_tape + 64;
		puppet->tape = reallocarray(puppet->tape, puppet->cap_tape, sizeof(*puppet->tape));
	}
	must(copy && puppet->tape, "no memory");
	memcpy(copy, frame.data, frame.len);
	puppet->tape[puppet->n_tape++] = (struct span){ copy, frame.len };
}

static void send_frame(struct puppet *puppet, struct span frame) {
	if (puppet->parent)
		must(zmq_send(puppet->socket, puppet->routing, puppet->routing_len, ZMQ_SNDMORE) >= 0,
			"%s", zmq_strerror(errno));
	must(zmq_send(puppet->socket, frame.data, frame.len, 0) >= 0, "%s", zmq_strerror(errno));
}

void puppet_say(struct puppet *puppet, struct span frame) {
	record(puppet, frame);
	send_frame(puppet, frame);
}

void puppet_replay(struct puppet *puppet) {
	for (size_t i = 0; i < puppet->n_tape; i++)
		if (puppet->tape[i].len <= MESSAGE_MAX + 1024)
			send_frame(puppet, puppet->tape[i]);
}

bool puppet_hear(struct puppet *puppet, unsigned timeout_ms, struct span *ret_frame) {
	zmq_pollitem_t item = { .socket = puppet->socket, .events = ZMQ_POLLIN };

	if (zmq_poll(&item, 1, (long)timeout_ms) <= 0)
		return false;
	if (puppet->parent) {
		int n = zmq_recv(puppet->socket, puppet->routing, sizeof(puppet->routing), 0);

		must(n > 0 && (size_t)n <= sizeof(puppet->routing), "%s", zmq_strerror(errno));
		puppet->routing_len = (size_t)n;
	}
	must(zmq_msg_recv(puppet->in, puppet->socket, 0) >= 0, "%s", zmq_strerror(errno));
	must(!zmq_msg_more(puppet->in), "a message of several frames");
	*ret_frame = (struct span){ zmq_msg_data(puppet->in), zmq_msg_size(puppet->in) };
	return true;
}

bool puppet_expect(struct puppet *puppet, enum message_type type, unsigned timeout_ms,
	struct message *ret_message) {
	uint64_t until_ms = proc_now_ms() + timeout_ms;
	struct span frame;

	for (uint64_t now_ms; (now_ms = proc_now_ms()) <= until_ms;) {
		if (!puppet_hear(puppet, (unsigned)(until_ms - now_ms), &frame))
			return false;
		must(message_decode(frame, ret_message) == 0, "a node sent what is no message");
		if (ret_message->type == type)
			return true;
	}
	return false;
}

static void say_hello(struct puppet *puppet, uint64_t session) {
	const struct hello hello = { MESSAGE_VERSION, puppet->office.id, session, proc_wall_ms(),
		span_str("puppet"), false };
	uint8_t buf[256];
	struct writer w;

	puppet->session = session;
	puppet->out_sequence = 0;
	compressor_reset(puppet->out);
	decompressor_reset(puppet->unpack);
	writer_init(&w, buf, sizeof(buf));
	message_write_hello(&w, &hello);
	puppet_say(puppet, writer_span(&w));
}

/* A HELLO that was still unread on a connection before this one takes the answer: so it is said again. */
static void greet_parent(struct puppet *puppet) {
	struct message message;

	for (unsigned i = 0; i < PUPPET_HELLOS_MAX; i++) {
		say_hello(puppet, puppet->session + 1);
		if (puppet_expect(puppet, MESSAGE_HEADS, PUPPET_PATIENT_MS / PUPPET_HELLOS_MAX, &message))
			return;
	}
	must(false, "no HEADS");
}

void puppet_greet(struct puppet *puppet) {
	struct message message;
	uint8_t buf[256];
	struct writer w;

	if (puppet->parent) {
		must(puppet_expect(puppet, MESSAGE_HELLO, PUPPET_PATIENT_MS, &message), "no HELLO");
		say_hello(puppet, message.hello.session);
	} else {
		greet_parent(puppet);
	}
	writer_init(&w, buf, sizeof(buf));
	message_write_heads(&w, false, NULL, 0);
	puppet_say(puppet, writer_span(&w));
}

struct span puppet_unpack(struct puppet *puppet, const struct batch *batch) {
	struct span plain;

	must(decompressor_run(puppet->unpack, batch->payload, &plain) == 0, "a batch does not unpack");
	return plain;
}

void puppet_ack(struct puppet *puppet, const struct oplog_id *oplog, uint64_t size) {
	uint8_t buf[256];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	message_write_ack(&w, &(struct held){ *oplog, size }, 1);
	puppet_say(puppet, writer_span(&w));
}

struct batch puppet_batch(struct puppet *puppet, unsigned n, struct writer *plain) {
	struct batch batch = { .oplog = { puppet->office.id, 1, LANE_NORMAL },
		.first = puppet->frontier.size, .n = n };

	write_array(plain, n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t body[512], bytes[1024], random[10];
		struct draft draft = ctl_petition(body, sizeof(body), (unsigned)batch.first + i, 1, false);
		struct record rec = { .kind = draft.kind, .organisation = draft.organisation,
			.time_ms = proc_wall_ms(), .body = draft.body };
		struct writer w;
		struct hash hash;

		must(random_bytes(random, sizeof(random)) == 0, "no randomness");
		record_make_id(rec.time_ms, random, &rec.id);
		writer_init(&w, bytes, sizeof(bytes));
		must(record_encode(&rec, NULL, 0, &w) == 0, "record");
		leaf_hash_of(writer_span(&w), &hash);
		frontier_append(&puppet->frontier, &hash);
		leaf_write(plain, &(struct leaf){ .bytes = writer_span(&w) });
	}
	must(writer_ok(plain), "no room for a batch");
	batch.head.size = puppet->frontier.size;
	frontier_root(&puppet->frontier, &batch.head.root);
	must(head_sign(puppet->signer, &batch.oplog, &batch.head) == 0, "head");
	return batch;
}

void puppet_send_batch(struct puppet *puppet, struct batch *batch, struct span plain) {
	uint8_t frame[MESSAGE_MAX];
	struct writer w;

	batch->sequence = puppet->out_sequence++;
	must(compressor_run(puppet->out, plain, &batch->payload) == 0, "compress");
	writer_init(&w, frame, sizeof(frame));
	message_write_batch(&w, batch);
	must(writer_ok(&w), "no room for a batch");
	puppet_say(puppet, writer_span(&w));
}
