/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/message.h"

#include <assert.h>

#include "proto/record.h"
#include "proto/text.h"

/* Elements of each, with the type. A later version may add to HELLO, which says the version. */
enum {
	HELLO_FIELDS = 7,
	HEADS_FIELDS = 3,
	BATCH_FIELDS = 10,
	ACK_FIELDS = 2,
	REFUSE_FIELDS = 7,
	JOIN_FIELDS = 2,
	ENROL_FIELDS = 3,
	DISCLOSE_FIELDS = 6,
	DISCLOSED_FIELDS = 2,
	HELD_FIELDS = 4,
	OUTCOME_FIELDS = 5,
};

static void read_held(struct reader *r, struct held *ret_held) {
	read_array(r, HELD_FIELDS, HELD_FIELDS);
	oplog_id_read(r, &ret_held->oplog);
	ret_held->size = read_uint(r, UINT64_MAX);
	read_end(r);
}

/* Checks every entry, and keeps a reader at the first. */
static void read_held_list(struct reader *r, struct message *m) {
	struct held held;

	m->n_held = read_array(r, 0, MESSAGE_HELD_MAX);
	m->held = *r;
	for (uint64_t i = 0; i < m->n_held; i++)
		read_held(r, &held);
	read_end(r);
}

static void read_outcome(struct reader *r, struct disclosed *ret_disclosed) {
	read_array(r, OUTCOME_FIELDS, OUTCOME_FIELDS);
	oplog_id_read(r, &ret_disclosed->oplog);
	ret_disclosed->index = read_uint(r, UINT64_MAX);
	ret_disclosed->outcome = read_uint(r, UINT64_MAX);
	read_end(r);
}

static void read_outcomes(struct reader *r, struct message *m) {
	struct disclosed disclosed;

	m->n_held = read_array(r, 0, MESSAGE_HELD_MAX);
	m->held = *r;
	for (uint64_t i = 0; i < m->n_held; i++)
		read_outcome(r, &disclosed);
	read_end(r);
}

static void read_disclose(struct reader *r, struct disclose *disclose) {
	oplog_id_read(r, &disclose->oplog);
	disclose->index = read_uint(r, UINT64_MAX);
	disclose->record = read_bin(r, 1, RECORD_MAX);
}

static void read_hello(struct reader *r, struct hello *hello) {
	hello->version = read_uint(r, UINT64_MAX);
	read_id(r, &hello->office);
	hello->session = read_uint(r, UINT64_MAX);
	hello->time_ms = read_uint(r, UINT64_MAX);
	hello->software = read_line(r, 0, MESSAGE_SOFTWARE_MAX);
	hello->urgent = read_bool(r);
}

static void read_batch(struct reader *r, struct batch *batch) {
	struct span signature;

	batch->sequence = read_uint(r, UINT64_MAX);
	oplog_id_read(r, &batch->oplog);
	batch->first = read_uint(r, UINT64_MAX);
	batch->n = read_uint(r, BATCH_LEAVES_MAX);
	read_hash(r, &batch->head.root);
	signature = read_bin(r, SIGN_SIGNATURE_LEN, SIGN_SIGNATURE_LEN);
	batch->payload = read_bin(r, 1, MESSAGE_MAX);
	if (batch->n == 0 || __builtin_add_overflow(batch->first, batch->n, &batch->head.size))
		reader_fail(r);
	if (signature.len > 0)
		memcpy(batch->head.signature, signature.data, signature.len);
}

static void read_refuse(struct reader *r, struct refuse *refuse) {
	oplog_id_read(r, &refuse->oplog);
	refuse->size = read_uint(r, UINT64_MAX);
	refuse->reason = read_uint(r, UINT64_MAX);
	refuse->text = read_line(r, 0, MESSAGE_TEXT_MAX);
}

int message_decode(struct span in, struct message *ret_message) {
	struct message m = { 0 };
	uint64_t n, n_fields;
	struct reader r;

	if (in.len > MESSAGE_MAX)
		return MESSAGE_MALFORMED;
	reader_init(&r, in);
	n = read_array(&r, 1, UINT64_MAX);
	m.type = read_uint(&r, MESSAGE_TYPE_LAST);
	switch (m.type) {
	case MESSAGE_HELLO:
		read_hello(&r, &m.hello);
		n_fields = n > HELLO_FIELDS ? n : HELLO_FIELDS;
		break;
	case MESSAGE_HEADS:
		m.more = read_bool(&r);
		read_held_list(&r, &m);
		n_fields = HEADS_FIELDS;
		break;
	case MESSAGE_BATCH:
		read_batch(&r, &m.batch);
		n_fields = BATCH_FIELDS;
		break;
	case MESSAGE_ACK:
		read_held_list(&r, &m);
		n_fields = ACK_FIELDS;
		break;
	case MESSAGE_REFUSE:
		read_refuse(&r, &m.refuse);
		n_fields = REFUSE_FIELDS;
		break;
	case MESSAGE_JOIN:
		m.file = read_bin(&r, 1, MESSAGE_FILE_MAX);
		n_fields = JOIN_FIELDS;
		break;
	case MESSAGE_ENROL:
		m.outcome = read_uint(&r, UINT8_MAX);
		m.file = read_bin(&r, 0, MESSAGE_FILE_MAX);
		n_fields = ENROL_FIELDS;
		break;
	case MESSAGE_DISCLOSE:
		read_disclose(&r, &m.disclose);
		n_fields = DISCLOSE_FIELDS;
		break;
	case MESSAGE_DISCLOSED:
		read_outcomes(&r, &m);
		n_fields = DISCLOSED_FIELDS;
		break;
	default:
		return MESSAGE_MALFORMED;
	}
	read_end(&r);
	if (reader_done(&r) != 0 || n != n_fields)
		return MESSAGE_MALFORMED;
	*ret_message = m;
	return 0;
}

bool message_is_hello(struct span in) {
	struct reader r;

	reader_init(&r, in);
	read_array(&r, 1, UINT64_MAX);
	return read_uint(&r, UINT8_MAX) == MESSAGE_HELLO;
}

bool message_held_next(struct message *message, struct held *ret_held) {
	if (reader_peek(&message->held) == VALUE_END)
		return false;
	read_held(&message->held, ret_held);
	return true;
}

bool message_disclosed_next(struct message *message, struct disclosed *ret_disclosed) {
	if (reader_peek(&message->held) == VALUE_END)
		return false;
	read_outcome(&message->held, ret_disclosed);
	return true;
}

static void write_held_list(struct writer *w, const struct held *held, size_t n) {
	assert(n <= MESSAGE_HELD_MAX);
	write_array(w, n);
	for (size_t i = 0; i < n; i++) {
		write_array(w, HELD_FIELDS);
		oplog_id_write(w, &held[i].oplog);
		write_uint(w, held[i].size);
	}
}

void message_write_hello(struct writer *w, const struct hello *hello) {
	write_array(w, HELLO_FIELDS);
	write_uint(w, MESSAGE_HELLO);
	write_uint(w, hello->version);
	write_id(w, &hello->office);
	write_uint(w, hello->session);
	write_uint(w, hello->time_ms);
	write_str(w, hello->software);
	write_bool(w, hello->urgent);
}

void message_write_heads(struct writer *w, bool more, const struct held *held, size_t n) {
	write_array(w, HEADS_FIELDS);
	write_uint(w, MESSAGE_HEADS);
	write_bool(w, more);
	write_held_list(w, held, n);
}

void message_write_batch(struct writer *w, const struct batch *batch) {
	write_array(w, BATCH_FIELDS);
	write_uint(w, MESSAGE_BATCH);
	write_uint(w, batch->sequence);
	oplog_id_write(w, &batch->oplog);
	write_uint(w, batch->first);
	write_uint(w, batch->n);
	write_hash(w, &batch->head.root);
	write_bin(w, (struct span){ batch->head.signature, SIGN_SIGNATURE_LEN });
	write_bin(w, batch->payload);
}

void message_write_ack(struct writer *w, const struct held *held, size_t n) {
	write_array(w, ACK_FIELDS);
	write_uint(w, MESSAGE_ACK);
	write_held_list(w, held, n);
}

void message_write_refuse(struct writer *w, const struct refuse *refuse) {
	write_array(w, REFUSE_FIELDS);
	write_uint(w, MESSAGE_REFUSE);
	oplog_id_write(w, &refuse->oplog);
	write_uint(w, refuse->size);
	write_uint(w, refuse->reason);
	write_str(w, refuse->text);
}

void message_write_join(struct writer *w, struct span request) {
	write_array(w, JOIN_FIELDS);
	write_uint(w, MESSAGE_JOIN);
	write_bin(w, request);
}

void message_write_enrol(struct writer *w, enum enrol_outcome outcome, struct span answer) {
	write_array(w, ENROL_FIELDS);
	write_uint(w, MESSAGE_ENROL);
	write_uint(w, outcome);
	write_bin(w, answer);
}

void message_write_disclose(struct writer *w, const struct disclose *disclose) {
	write_array(w, DISCLOSE_FIELDS);
	write_uint(w, MESSAGE_DISCLOSE);
	oplog_id_write(w, &disclose->oplog);
	write_uint(w, disclose->index);
	write_bin(w, disclose->record);
}

void message_write_disclosed(struct writer *w, const struct disclosed *disclosed, size_t n) {
	assert(n <= MESSAGE_HELD_MAX);
	write_array(w, DISCLOSED_FIELDS);
	write_uint(w, MESSAGE_DISCLOSED);
	write_array(w, n);
	for (size_t i = 0; i < n; i++) {
		write_array(w, OUTCOME_FIELDS);
		oplog_id_write(w, &disclosed[i].oplog);
		write_uint(w, disclosed[i].index);
		write_uint(w, disclosed[i].outcome);
	}
}

const char *refusal_name(uint64_t reason) {
	static const char *const names[REFUSAL_N] = {
		[REFUSAL_MALFORMED] = N_("malformed"),
		[REFUSAL_VERSION] = N_("no version in common"),
		[REFUSAL_STRANGER] = N_("stranger"),
		[REFUSAL_NO_SESSION] = N_("no session"),
		[REFUSAL_OUT_OF_STEP] = N_("out of step"),
		[REFUSAL_UNKNOWN_OFFICE] = N_("unknown office"),
		[REFUSAL_GAP] = N_("gap"),
		[REFUSAL_ROOT] = N_("bad root"),
		[REFUSAL_SIGNATURE] = N_("bad signature"),
		[REFUSAL_FORK] = N_("fork"),
		[REFUSAL_NOT_YOURS] = N_("not yours to send"),
		[REFUSAL_FULL] = N_("full"),
		[REFUSAL_QUARANTINED] = N_("quarantined"),
		[REFUSAL_ENDED] = N_("ended"),
		[REFUSAL_INVITATION] = N_("invitation misused"),
		[REFUSAL_BUSY] = N_("busy, it comes again later"),
		[REFUSAL_WITHHELD] = N_("withheld what travels in full"),
	};

	return reason < REFUSAL_N && names[reason] ? names[reason] : N_("unknown reason");
}
