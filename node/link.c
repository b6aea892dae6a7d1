/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/link.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/record.h"
#include "store/cursor.h"

int link_new(const struct id *neighbour, bool up, struct compress_work *work, uint64_t wall_ms,
	struct link **ret_link) {
	struct link *link = calloc(1, sizeof(*link));
	int r;

	if (!link)
		return -ENOMEM;
	link->neighbour = *neighbour;
	link->up = up;
	link->since_ms = wall_ms;
	link->trouble = trouble_of(TROUBLE_NOT_YET, 0, "");
	link->window = LINK_WINDOW_START;
	r = compressor_new(work, &link->out);
	if (!r)
		r = decompressor_new(work, BATCH_PLAIN_MAX, &link->in);
	if (r) {
		link_free(link);
		return r;
	}
	*ret_link = link;
	return 0;
}

struct link *link_free(struct link *link) {
	if (!link)
		return NULL;
	compressor_free(link->out);
	decompressor_free(link->in);
	disclose_done(&link->disclosing);
	free(link->oplogs);
	free(link->acks);
	free(link->refusals);
	free(link);
	return NULL;
}

int link_offer(struct link *link, struct held_oplog *held, int distance, uint64_t acked) {
	size_t at;

	if (link->n_oplogs == link->cap_oplogs) {
		size_t cap = link->cap_oplogs ? 2 * link->cap_oplogs : 8;
		struct link_oplog *oplogs = realloc(link->oplogs, cap * sizeof(*oplogs));

		if (!oplogs)
			return -ENOMEM;
		link->oplogs = oplogs;
		link->cap_oplogs = cap;
	}
	for (at = link->n_oplogs; at > 0; at--) {
		const struct link_oplog *before = &link->oplogs[at - 1];

		if (before->held->id.lane < held->id.lane ||
			(before->held->id.lane == held->id.lane && before->distance <= distance))
			break;
		link->oplogs[at] = link->oplogs[at - 1];
	}
	/* In a session they have said what they hold; an oplog they did not name they do not hold. */
	link->oplogs[at] = (struct link_oplog){
		.held = held, .distance = distance, .acked = acked,
		.sent = link->state == LINK_STREAMING ? 0 : acked,
	};
	link->n_oplogs++;
	return 0;
}

static void link_enter(struct link *link, const struct link_io *io, enum link_state state) {
	if (link->state != state)
		link->since_ms = io->wall_ms;
	link->state = state;
}

static void link_begin(struct link *link, const struct link_io *io) {
	size_t n = 0;

	link_enter(link, io, LINK_GREETING);
	link->greeted = false;
	link->blocked = false;
	link->out_sequence = link->in_sequence = 0;
	link->n_flights = 0;
	link->n_acks = link->n_refusals = 0;
	link->suspect_from = UINT64_MAX;
	link->say_heads = false;
	disclose_begin(&link->disclosing);
	link->last_heard_ms = io->now_ms;
	compressor_reset(link->out);
	decompressor_reset(link->in);
	for (size_t i = 0; i < link->n_oplogs; i++) {
		if (id_eq(&link->oplogs[i].held->id.office, &link->neighbour))
			continue; /* given back in the session before: only where it asks */
		link->oplogs[n] = link->oplogs[i];
		link->oplogs[n].aside_until_ms = 0;
		link->oplogs[n].told_end = false;
		link->oplogs[n++].named = false;
	}
	link->n_oplogs = n;
}

static void link_greet(struct link *link, const struct link_io *io) {
	link_begin(link, io);
	link->session = io->random;
	link->urgent = io->urgent;
	link->say_hello = true;
	link->greet_at_ms = UINT64_MAX;
}

void link_opened(struct link *link, const struct link_io *io) {
	link->open = true;
	link->n_bytes += LINK_OPEN_BYTES;
	if (link->up)
		link_greet(link, io);
}

void link_reopen(struct link *link, uint64_t at_ms) {
	link->open = true;
	link->greet_at_ms = at_ms;
}

static void link_down(struct link *link, const struct link_io *io, const struct trouble *why) {
	link_enter(link, io, LINK_DOWN);
	link->n_flights = 0;
	link->n_acks = 0;
	disclose_begin(&link->disclosing);
	link->say_hello = link->say_heads = link->greeted = false;
	link->trouble = *why;
	link->greet_at_ms = io->now_ms + LINK_GREET_AGAIN_MS;
}

void link_lost(struct link *link, const struct link_io *io, const struct trouble *why) {
	link_down(link, io, why);
	link->n_refusals = 0;
	link->open = false;
}

int link_reset(struct link *link, const struct link_io *io, enum refusal why, uint64_t later_ms) {
	link_down(link, io, &(struct trouble){ .code = TROUBLE_ENDED_BY_US, .reason = why });
	link->n_refusals = 0;
	return link_refuse(link, &(struct oplog_id){ 0 }, later_ms, why);
}

int link_hello(struct link *link, const struct link_io *io, const struct hello *hello) {
	if (hello->version < MESSAGE_VERSION)
		return REFUSAL_VERSION;
	if (!id_eq(&hello->office, &link->neighbour))
		return REFUSAL_STRANGER;
	if (link->up) {
		if (link->state != LINK_GREETING || hello->session != link->session)
			return 0; /* an answer to a session that is over */
	} else {
		link_begin(link, io);
		link->open = true;
		link->session = hello->session;
		link->urgent = hello->urgent;
		link->say_hello = true;
	}
	link->clock_skew_ms = (int64_t)(hello->time_ms - io->wall_ms);
	link->greeted = true;
	link->say_heads = true;
	return 0;
}

static struct link_oplog *link_find(struct link *link, const struct oplog_id *id) {
	for (size_t i = 0; i < link->n_oplogs; i++)
		if (oplog_id_eq(&link->oplogs[i].held->id, id))
			return &link->oplogs[i];
	return NULL;
}

/*
 * So many batches are under way as cross the line within LINK_FLIGHT_MS: on a slow one a single one, so that what is
 * urgent waits for no more than that.
 */
static void learn_window(struct link *link, const struct link_flight *flight, uint64_t now_ms) {
	if (now_ms <= flight->sent_ms + LINK_FLIGHT_MS) {
		link->window += link->window < LINK_WINDOW;
	} else if (flight->sent_ms >= link->narrowed_ms) { /* those sent before are late for the same reason */
		link->window = (link->window + 1) / 2;
		link->narrowed_ms = now_ms;
	}
}

static void flights_landed(struct link *link, const struct held_oplog *held, uint64_t size, uint64_t now_ms) {
	size_t n = 0;

	for (size_t i = 0; i < link->n_flights; i++) {
		if (link->flights[i].held != held || link->flights[i].end > size)
			link->flights[n++] = link->flights[i];
		else
			learn_window(link, &link->flights[i], now_ms);
	}
	link->n_flights = n;
}

static int set_acked(struct link *link, const struct link_io *io, struct txn *txn,
	struct link_oplog *oplog, uint64_t size) {
	int r;

	if (size == oplog->acked)
		return 0;
	r = cursor_put(txn, &link->neighbour, &oplog->held->id, size);
	if (r)
		return r;
	oplog->acked = size;
	link->last_progress_ms = io->wall_ms;
	link->disclosing.look |= link->disclosing.behind; /* some may have waited for this */
	return 0;
}

/* All their HEADS are here: of what they did not name they hold nothing. */
static int heads_complete(struct link *link, const struct link_io *io, struct txn *txn) {
	for (size_t i = 0; i < link->n_oplogs; i++) {
		struct link_oplog *oplog = &link->oplogs[i];
		int r;

		if (oplog->named)
			continue;
		oplog->named = true;
		oplog->theirs = 0;
		link->went_back |= oplog->acked > 0;
		r = set_acked(link, io, txn, oplog, 0);
		if (r)
			return r;
		oplog->sent = oplog->probed_from = 0;
	}
	link_enter(link, io, LINK_STREAMING);
	link->trouble = trouble_of(TROUBLE_NONE, 0, "");
	return 0;
}

/*
 * So much of what they say they hold is what is here. More than we have is of a life of this office that it has
 * forgotten; but who asks for its own gets all of that back.
 */
static uint64_t held_by_both(const struct link_io *io, const struct held_oplog *held, uint64_t size) {
	if (io->asks && id_eq(&held->id.office, &io->reg->own->row.office.id))
		return size;
	return size < held->full ? size : held->full;
}

/* Whether it is the neighbour's own, which is given back. */
static bool is_own_of(const struct link *link, const struct link_oplog *oplog) {
	return id_eq(&oplog->held->id.office, &link->neighbour) && oplog->held->size > 0;
}

int link_held(struct link *link, const struct link_io *io, struct txn *txn, struct message *message) {
	struct held said;
	int r;

	if (!link->greeted)
		return REFUSAL_NO_SESSION;
	while (message_held_next(message, &said)) {
		struct link_oplog *oplog = link_find(link, &said.oplog);

		if (!oplog)
			continue;
		oplog->theirs = said.size;
		said.size = held_by_both(io, oplog->held, said.size);
		if (message->type == MESSAGE_HEADS && !oplog->named) /* once in a session: it costs a look at everything */
			link->went_back |= said.size < oplog->acked;
		r = set_acked(link, io, txn, oplog, said.size);
		if (r)
			return r;
		oplog->probing &= message->type == MESSAGE_HEADS || said.size <= oplog->probed_from;
		if (message->type == MESSAGE_HEADS) {
			oplog->sent = oplog->probed_from = said.size;
			if (is_own_of(link, oplog) && oplog->sent >= oplog->held->size)
				oplog->sent = oplog->held->size - 1; /* it must see whether what it has is the same */
			oplog->named = true;
		}
		flights_landed(link, oplog->held, said.size, io->now_ms);
	}
	if (message->type == MESSAGE_HEADS && !message->more && link->state == LINK_GREETING)
		return heads_complete(link, io, txn);
	return 0;
}

void link_refused(struct link *link, const struct link_io *io, const struct refuse *refuse) {
	struct link_oplog *oplog;

	if (id_is_nil(&refuse->oplog.office)) {
		link_down(link, io, &(struct trouble){ .code = TROUBLE_ENDED_BY_THEM,
			.reason = refuse->reason });
		if (refuse->reason == REFUSAL_BUSY) { /* those that were told the same come at any time but together */
			uint64_t later_ms = refuse->size < LINK_LATER_MAX_MS ? refuse->size : LINK_LATER_MAX_MS;

			link->greet_at_ms = io->now_ms + LINK_GREET_AGAIN_MS + io->random % (later_ms + 1);
		}
		return;
	}
	oplog = link_find(link, &refuse->oplog);
	if (!oplog)
		return;
	flights_landed(link, oplog->held, UINT64_MAX, io->now_ms);
	oplog->sent = refuse->size < oplog->held->size ? refuse->size : oplog->held->size;
	switch (refuse->reason) {
	case REFUSAL_GAP: /* their size says where to go on */
		break;
	case REFUSAL_ROOT:
	case REFUSAL_FORK: /* below what they hold: they look for where two histories part */
		if (refuse->size >= oplog->acked)
			oplog->aside_until_ms = UINT64_MAX;
		break;
	case REFUSAL_FULL:
	case REFUSAL_UNKNOWN_OFFICE:
	case REFUSAL_QUARANTINED: /* until it is settled, or a new life says where the one before ended */
	case REFUSAL_SIGNATURE: /* they may not have the record yet that names the key */
		oplog->aside_until_ms = io->now_ms + LINK_ASIDE_MS;
		if (!oplog->probing || oplog->sent < oplog->probed_from) /* each of those under way is refused */
			oplog->probed_from = oplog->sent;
		oplog->probing = true; /* it may last for days: the line is for what they take */
		break;
	case REFUSAL_NOT_YOURS:
		oplog->aside_until_ms = io->now_ms + LINK_MOVED_MS;
		break;
	default:
		oplog->aside_until_ms = UINT64_MAX;
	}
	if (refuse->reason != REFUSAL_GAP)
		link->trouble = trouble_of(TROUBLE_REFUSED, refuse->reason, "");
}

int link_unpack(struct link *link, const struct link_io *io, const struct batch *batch,
	struct span *ret_plain) {
	int r;

	if (!link->greeted)
		return REFUSAL_NO_SESSION;
	if (batch->sequence != link->in_sequence)
		return REFUSAL_OUT_OF_STEP;
	r = decompressor_run(link->in, batch->payload, ret_plain);
	if (r)
		return r < 0 ? r : REFUSAL_MALFORMED;
	link->in_sequence++;
	link->last_progress_ms = io->wall_ms;
	return 0;
}

int link_refuse(struct link *link, const struct oplog_id *oplog, uint64_t size, enum refusal why) {
	if (link->n_refusals == link->cap_refusals) {
		size_t cap = link->cap_refusals ? 2 * link->cap_refusals : 8;
		struct refuse *refusals = realloc(link->refusals, cap * sizeof(*refusals));

		if (!refusals)
			return -ENOMEM;
		link->refusals = refusals;
		link->cap_refusals = cap;
	}
	link->refusals[link->n_refusals++] = (struct refuse){ *oplog, size, why, { NULL, 0 } };
	return 0;
}

int link_ack(struct link *link, const struct oplog_id *oplog) {
	for (size_t i = 0; i < link->n_acks; i++)
		if (oplog_id_eq(&link->acks[i], oplog))
			return 0;
	if (link->n_acks == link->cap_acks) {
		size_t cap = link->cap_acks ? 2 * link->cap_acks : 8;
		struct oplog_id *acks = realloc(link->acks, cap * sizeof(*acks));

		if (!acks)
			return -ENOMEM;
		link->acks = acks;
		link->cap_acks = cap;
	}
	link->acks[link->n_acks++] = *oplog;
	return 0;
}

int link_say(struct link *link, const struct link_io *io, const struct writer *w) {
	if (!writer_ok(w))
		return -ENOBUFS; /* ours, not theirs: a message of our own that does not fit */
	link->last_said_ms = io->now_ms;
	link->n_bytes += w->len + LINK_FRAME_BYTES;
	if (!io->send(io->userdata, &link->neighbour, writer_span(w)))
		link->blocked = true;
	return 0;
}

struct heads {
	struct held *held;
	size_t n, cap;
};

static int list_head(void *userdata, const struct oplog *oplog) {
	struct heads *heads = userdata;

	if (heads->n == heads->cap) {
		size_t cap = heads->cap ? 2 * heads->cap : 16;
		struct held *held = realloc(heads->held, cap * sizeof(*held));

		if (!held)
			return -ENOMEM;
		heads->held = held;
		heads->cap = cap;
	}
	heads->held[heads->n++] = (struct held){ oplog->id, oplog->frontier.size };
	return 0;
}

/* The oplogs that they push: those of the offices on their side. */
static int list_heads(const struct link *link, const struct link_io *io, struct txn *txn,
	struct heads *heads) {
	const struct id *own = &io->reg->own->row.office.id;
	int r = 0;

	for (size_t i = 0; r == 0 && i < io->reg->n; i++) {
		const struct id *origin = &io->reg->entries[i]->row.office.id;

		if (id_eq(origin, own) ? link->up && io->asks : (link->up ? register_is_within(io->reg, own, origin)
						     : register_is_within(io->reg, origin, &link->neighbour)))
			r = oplog_each_of(txn, origin, list_head, heads);
	}
	return r;
}

/* All that we hold of what they would push, in as many messages as it takes. */
static int say_heads(struct link *link, const struct link_io *io, struct txn *txn, uint8_t *buf) {
	struct heads heads = { 0 };
	struct writer w;
	const struct id *own = &io->reg->own->row.office.id;
	bool asks = false;
	size_t at = 0;
	int r;

	r = list_heads(link, io, txn, &heads);
	for (size_t i = 0; i < heads.n; i++)
		asks |= id_eq(&heads.held[i].oplog.office, own);
	if (r == 0 && link->up && io->asks && !asks) /* whoever has nothing of its own asks all the same */
		r = list_head(&heads, &(struct oplog){ .id.office = *own });
	while (r == 0) {
		size_t n = heads.n - at < MESSAGE_HELD_MAX ? heads.n - at : MESSAGE_HELD_MAX;

		writer_init(&w, buf, MESSAGE_MAX);
		message_write_heads(&w, at + n < heads.n, heads.held + at, n);
		r = link_say(link, io, &w);
		at += n;
		if (at == heads.n)
			break;
	}
	free(heads.held);
	return r;
}

static int say_acks(struct link *link, const struct link_io *io, struct txn *txn, uint8_t *buf) {
	struct held held[256];
	struct oplog oplog;
	struct writer w;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < link->n_acks; i++) {
		r = oplog_load(txn, &link->acks[i], &oplog);
		if (r < 0)
			return r;
		if (r == 0)
			held[n++] = (struct held){ link->acks[i], oplog.frontier.size };
		if (n == N_ELEMENTS(held) || i + 1 == link->n_acks) {
			writer_init(&w, buf, MESSAGE_MAX);
			message_write_ack(&w, held, n);
			r = link_say(link, io, &w);
			if (r)
				return r;
			n = 0;
		}
	}
	link->n_acks = 0;
	return 0;
}

/* Whether the neighbour may read a record, by its kind, its way and its audience. */
static bool may_read(const struct link *link, const struct link_io *io, int distance,
	struct span bytes) {
	struct record rec;

	if (record_reach(bytes) == REACH_ALL || (record_reach(bytes) == REACH_UP && link->up))
		return true;
	switch (record_kind(bytes)) {
	case KIND_ACCESS: /* who looked at what stays in the office */
		return false;
	case KIND_REQUEST: /* is for those below */
		if (link->up)
			return false;
		break;
	case KIND_REPLY: /* for who asked, whatever else the office is set to tell */
		if (link->up)
			return distance == 0;
		break;
	default: /* detail goes one level up: the province sees to the commune, the district to the village */
		if (link->up)
			return distance == 0 && !io->withholds_own;
	}
	if (record_decode(bytes, &rec))
		return false;
	for (size_t i = 0; i < rec.n_audience; i++) {
		struct id office;

		record_audience(&rec, i, &office);
		if (register_is_within(io->reg, &link->neighbour, &office) ||
			register_is_within(io->reg, &office, &link->neighbour))
			return true;
	}
	return false;
}

static int write_leaves(struct link *link, const struct link_io *io, struct txn *txn,
	const struct oplog *oplog, int distance, const struct batch *batch, struct writer *w) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct leaf leaf;
	uint64_t index, arrival;
	int r;

	r = oplog_walk_open(txn, oplog, batch->first, &walk);
	write_array(w, batch->n);
	for (uint64_t i = batch->first; r == 0 && i < batch->head.size; i++) {
		r = oplog_walk_next(walk, &index, &leaf, &arrival);
		if (r || index != i)
			return r < 0 ? r : -EIO; /* the store lacks what its own sizes promise */
		if (!leaf.withheld && (leaf.disclosed || (!id_eq(&oplog->id.office, &link->neighbour) &&
			!may_read(link, io, distance, leaf.bytes))))
			leaf_withhold(&leaf);
		leaf_write(w, &leaf);
	}
	return r;
}

/* How far the next batch may go: as the key reaches that signs what comes next, and as the oplog is passed on. */
static uint64_t batch_limit(const struct link_io *io, const struct link_oplog *oplog) {
	const struct register_entry *origin = register_find(io->reg, &oplog->held->id.office);
	uint64_t end = origin ? office_next_end(&origin->row.former, &oplog->held->id, oplog->sent) : UINT64_MAX;

	return end < oplog->held->size ? end : oplog->held->size;
}

/*
 * To whose it is, and who asks for it back, goes in full what was disclosed, before the batch, in which it would find
 * no room: there it counts as its hash. 0 or -errno; it goes on where it was if the transport takes no more.
 */
static int give_in_full(struct link *link, const struct link_io *io, struct txn *txn, const struct oplog *oplog,
	struct link_oplog *to, uint64_t end, uint8_t *frame) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct disclose disclose = { .oplog = oplog->id };
	uint64_t arrival;
	struct leaf leaf;
	struct writer w;
	int r;

	if (to->given < to->sent)
		to->given = to->sent;
	r = to->given < end ? oplog_walk_open(txn, oplog, to->given, &walk) : 0;
	while (r == 0 && to->given < end && !link->blocked) {
		r = oplog_walk_next(walk, &disclose.index, &leaf, &arrival);
		if (r)
			return r < 0 ? r : -EIO;
		if (leaf.disclosed) {
			disclose.record = leaf.bytes;
			writer_init(&w, frame, MESSAGE_MAX);
			message_write_disclose(&w, &disclose);
			r = link_say(link, io, &w);
		}
		to->given = disclose.index + 1;
	}
	return r;
}

/* Pushes one batch. 0, STORE_NOT_FOUND if there is nothing to push, or -errno. */
static int push_batch(struct link *link, const struct link_io *io, struct txn *txn,
	struct link_oplog *oplog, uint8_t *plain, uint8_t *frame) {
	struct batch batch = { .sequence = link->out_sequence, .oplog = oplog->held->id };
	struct oplog held;
	struct writer w;
	int r;

	r = oplog_load(txn, &batch.oplog, &held);
	if (!r)
		r = oplog_head_after(txn, &held, oplog->sent, batch_limit(io, oplog), &batch.head);
	if (r == STORE_NOT_FOUND) { /* the head where a life ends is still to come: tell_end(), by who began another */
		oplog->aside_until_ms = io->now_ms + LINK_ASIDE_MS;
		link->trouble = trouble_of(TROUBLE_NO_END, 0, "");
	}
	if (r == 0 && id_eq(&batch.oplog.office, &link->neighbour)) {
		r = give_in_full(link, io, txn, &held, oplog, batch.head.size, frame);
		if (r == 0 && link->blocked)
			return STORE_NOT_FOUND;
	}
	if (r)
		return r;
	batch.first = oplog->sent;
	batch.n = batch.head.size - oplog->sent;
	writer_init(&w, plain, BATCH_PLAIN_MAX);
	r = write_leaves(link, io, txn, &held, oplog->distance, &batch, &w);
	if (r)
		return r;
	if (!writer_ok(&w)) {
		oplog->aside_until_ms = UINT64_MAX; /* a store of ours that was tampered with */
		link->trouble = trouble_of(TROUBLE_FAR_HEADS, 0, "");
		return STORE_NOT_FOUND;
	}
	r = compressor_run(link->out, writer_span(&w), &batch.payload);
	if (r)
		return r;
	writer_init(&w, frame, MESSAGE_MAX);
	message_write_batch(&w, &batch);
	r = link_say(link, io, &w);
	if (r)
		return r;
	link->flights[link->n_flights++] = (struct link_flight){ oplog->held, batch.head.size, io->now_ms };
	link->out_sequence++;
	oplog->sent = batch.head.size;
	return 0;
}

/*
 * They hold more of an oplog than where it ended, and perhaps no head there: without it they cannot pass on what lies
 * before. Once they have the record that says so, the last leaf goes to them again with that head.
 */
static void tell_end(struct link *link, struct link_oplog *oplog) {
	const struct held_oplog *held = oplog->held;

	if (oplog->told_end || held->size == 0 || oplog->theirs <= held->size)
		return;
	for (size_t i = 0; i < link->n_oplogs && !oplog->told_end; i++) {
		const struct oplog_id *later = &link->oplogs[i].held->id;

		oplog->told_end = link->oplogs[i].acked > 0 && later->lane == LANE_URGENT &&
			later->epoch > held->id.epoch && id_eq(&later->office, &held->id.office);
	}
	if (oplog->told_end)
		oplog->sent = held->size - 1;
}

static bool in_flight(const struct link *link, const struct held_oplog *held) {
	for (size_t i = 0; i < link->n_flights; i++)
		if (link->flights[i].held == held)
			return true;
	return false;
}

static bool pushable(const struct link *link, const struct link_oplog *oplog, uint64_t now_ms) {
	return oplog->sent < oplog->held->size && now_ms >= oplog->aside_until_ms &&
		(!link->urgent || oplog->held->id.lane == LANE_URGENT) &&
		link->n_flights < (oplog->held->id.lane == LANE_URGENT ? LINK_WINDOW : link->window) &&
		!(oplog->probing && in_flight(link, oplog->held));
}

bool link_busy(const struct link *link, uint64_t now_ms) {
	if (link->state != LINK_STREAMING || link->blocked)
		return false;
	if (!link->urgent && disclose_busy(&link->disclosing, now_ms))
		return true;
	for (size_t i = 0; i < link->n_oplogs; i++)
		if (pushable(link, &link->oplogs[i], now_ms))
			return true;
	return false;
}

static int pump(struct link *link, struct link_io *io, struct txn *txn, uint8_t *frame) {
	uint8_t plain[BATCH_PLAIN_MAX];
	unsigned pushed = 0;
	bool urgent = true;

	for (size_t i = 0; i < link->n_oplogs; i++) {
		struct link_oplog *oplog = &link->oplogs[i];

		if (urgent && oplog->held->id.lane != LANE_URGENT) {
			int r = link->urgent ? 0 : disclose_pump(link, io, txn, frame);

			if (r || link->urgent)
				return r;
			urgent = false;
		}
		if (oplog->aside_until_ms && io->now_ms >= oplog->aside_until_ms) {
			oplog->aside_until_ms = 0;
			link->trouble = trouble_of(TROUBLE_NONE, 0, ""); /* they say it again if it lasts */
		}
		tell_end(link, oplog);
		while (pushable(link, oplog, io->now_ms) && !link->blocked &&
			pushed < LINK_PUMP_MAX && io->batches > 0) {
			int r = push_batch(link, io, txn, oplog, plain, frame);

			if (r == STORE_NOT_FOUND)
				break;
			if (r)
				return r;
			pushed++;
			io->batches--;
		}
	}
	return urgent && !link->urgent ? disclose_pump(link, io, txn, frame) : 0;
}

int link_flush(struct link *link, struct link_io *io, struct txn *txn) {
	const struct office *own = &io->reg->own->row.office;
	uint8_t frame[MESSAGE_MAX];
	struct writer w;
	int r = 0;

	if (link->state != LINK_DOWN && io->now_ms >= link->last_heard_ms + LINK_SILENCE_MAX_MS)
		link_down(link, io, &(struct trouble){ .code = TROUBLE_SILENT });
	if (!link->open)
		return 0;
	if (link->up && (link->state == LINK_DOWN ? io->now_ms >= link->greet_at_ms : link->urgent != io->urgent))
		link_greet(link, io);
	for (size_t i = 0; r == 0 && i < link->n_refusals; i++) {
		writer_init(&w, frame, sizeof(frame));
		message_write_refuse(&w, &link->refusals[i]);
		r = link_say(link, io, &w);
	}
	link->n_refusals = 0;
	if (r == 0 && link->say_hello) {
		writer_init(&w, frame, sizeof(frame));
		message_write_hello(&w, &(struct hello){ MESSAGE_VERSION, own->id, link->session,
			io->wall_ms, span_str("lienthong " LIENTHONG_VERSION), link->urgent });
		r = link_say(link, io, &w);
		link->say_hello = false;
	}
	if (r == 0 && link->say_heads) {
		r = say_heads(link, io, txn, frame);
		link->say_heads = false;
	}
	if (r == 0 && link->n_acks)
		r = say_acks(link, io, txn, frame);
	if (r == 0)
		r = disclose_say(link, io, frame);
	if (r == 0 && link->state == LINK_STREAMING)
		r = pump(link, io, txn, frame);
	if (r == 0 && link->state == LINK_STREAMING && io->now_ms >= link->last_said_ms + LINK_IDLE_MS) {
		writer_init(&w, frame, sizeof(frame));
		message_write_ack(&w, NULL, 0);
		r = link_say(link, io, &w);
	}
	return r;
}

/* True when it was written, and perhaps long ago: it only moves a cursor on, and in a session they say it themselves. */
int link_told(struct link *link, const struct link_io *io, struct txn *txn, struct message *message) {
	struct held said;
	int r = 0;

	if (link->state == LINK_STREAMING)
		return 0;
	while (r == 0 && message_held_next(message, &said)) {
		struct link_oplog *oplog = link_find(link, &said.oplog);

		if (!oplog)
			continue;
		said.size = held_by_both(io, oplog->held, said.size);
		if (said.size > oplog->acked)
			r = set_acked(link, io, txn, oplog, said.size);
		if (oplog->sent < oplog->acked)
			oplog->sent = oplog->acked;
	}
	return r;
}

int link_unpack_alone(struct link *link, const struct batch *batch, struct span *ret_plain) {
	int r;

	decompressor_reset(link->in);
	r = decompressor_run(link->in, batch->payload, ret_plain);
	return r > 0 ? REFUSAL_MALFORMED : r;
}

static int export_acks(struct link *link, const struct link_io *io, struct txn *txn, uint8_t *frame) {
	struct heads heads = { 0 };
	struct writer w;
	int r = list_heads(link, io, txn, &heads);

	for (size_t at = 0; r == 0 && at < heads.n && !link->blocked; at += MESSAGE_HELD_MAX) {
		size_t n = heads.n - at < MESSAGE_HELD_MAX ? heads.n - at : MESSAGE_HELD_MAX;

		writer_init(&w, frame, MESSAGE_MAX);
		message_write_ack(&w, heads.held + at, n);
		r = link_say(link, io, &w);
	}
	free(heads.held);
	return r;
}

static int export_oplog(struct link *link, const struct link_io *io, struct txn *txn, struct link_oplog *oplog,
	uint8_t *frame) {
	uint8_t plain[BATCH_PLAIN_MAX];
	int r = 0;

	while (r == 0 && oplog->sent < oplog->held->size && !link->blocked) {
		link->n_flights = 0;
		link->out_sequence = 0;
		compressor_reset(link->out);
		r = push_batch(link, io, txn, oplog, plain, frame);
	}
	return r < 0 ? r : 0;
}

static int export_oplogs(const struct link *link, struct link *stick, const struct link_io *io, struct txn *txn,
	const struct held *from, uint8_t *frame, struct link_bundled *ret_bundled) {
	bool begun = id_is_nil(&from->oplog.office);
	int r = 0;

	for (size_t i = 0; r == 0 && i < link->n_oplogs; i++) {
		struct link_oplog oplog = link->oplogs[i];
		bool here = !begun && oplog_id_eq(&oplog.held->id, &from->oplog);
		uint64_t first;

		begun |= here;
		if (!begun || id_eq(&oplog.held->id.office, &link->neighbour))
			continue;
		oplog.sent = first = here && from->size > oplog.acked ? from->size : oplog.acked;
		r = export_oplog(stick, io, txn, &oplog, frame);
		ret_bundled->records += oplog.sent - first;
		if (stick->blocked) {
			ret_bundled->next = (struct held){ oplog.held->id, oplog.sent };
			break;
		}
	}
	return r;
}

int link_export(const struct link *link, struct compress_work *work, const struct link_io *io, struct txn *txn,
	const struct held *from, struct link_bundled *ret_bundled) {
	struct link_io without = *io;
	uint8_t frame[MESSAGE_MAX];
	struct link *stick;
	int r;

	without.asks = false; /* what this office lost comes back over the line alone */
	r = link_new(&link->neighbour, link->up, work, io->wall_ms, &stick);
	if (r)
		return r;
	*ret_bundled = (struct link_bundled){ 0 };
	if (id_is_nil(&from->oplog.office))
		r = export_acks(stick, &without, txn, frame);
	if (r == 0)
		r = export_oplogs(link, stick, &without, txn, from, frame, ret_bundled);
	link_free(stick);
	return r;
}

uint64_t link_wakeup_ms(const struct link *link) {
	uint64_t at = UINT64_MAX;

	if (link->state == LINK_DOWN)
		return link->up && link->open ? link->greet_at_ms : UINT64_MAX;
	at = link->last_heard_ms + LINK_SILENCE_MAX_MS;
	if (!link->urgent && disclose_wakeup_ms(&link->disclosing) < at)
		at = disclose_wakeup_ms(&link->disclosing);
	if (link->state == LINK_STREAMING && link->last_said_ms + LINK_IDLE_MS < at)
		at = link->last_said_ms + LINK_IDLE_MS;
	for (size_t i = 0; i < link->n_oplogs; i++) {
		const struct link_oplog *oplog = &link->oplogs[i];

		if (link->urgent && oplog->held->id.lane != LANE_URGENT)
			break; /* they are not looked at */
		if (oplog->aside_until_ms && oplog->sent < oplog->held->size && oplog->aside_until_ms < at)
			at = oplog->aside_until_ms;
	}
	return at;
}
