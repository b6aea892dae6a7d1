/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/receive.h"

#include <errno.h>
#include <stdlib.h>

#include "node/evidence.h"

/* A batch whose root fits, waiting for its signature. */
struct waiting {
	struct waiting *next;
	struct head head;
	uint64_t first;    /* of the leaves that are new here */
	uint64_t n;
	struct hash *hashes;
	struct leaf *leaves;
	uint8_t bytes[]; /* the plain payload, into which the leaves point */
};

struct incoming {
	struct incoming *next;
	struct link *link;
	struct oplog oplog;        /* as it is in the store */
	struct frontier frontier;  /* with everything that waits */
	struct waiting *first;
	struct waiting *last;
	bool given_up;             /* a batch of this turn was refused: what follows it is too */
};

enum {
	LEAF_LEN = 512, /* bytes that count as one leaf for the work of a turn: few records are longer */
};

struct receive {
	const struct office_register *reg;
	const struct receive_sink *sink;
	struct incoming *oplogs; /* in the order in which they began to come */
	struct incoming *oplogs_last;
	size_t work;
	bool own_wanted;
};

void receive_own(struct receive *receive, bool wanted) {
	receive->own_wanted = wanted;
}

int receive_new(const struct office_register *reg, const struct receive_sink *sink,
	struct receive **ret_receive) {
	struct receive *receive = calloc(1, sizeof(*receive));

	if (!receive)
		return -ENOMEM;
	receive->reg = reg;
	receive->sink = sink;
	*ret_receive = receive;
	return 0;
}

static void waiting_free(struct waiting *waiting) {
	while (waiting) {
		struct waiting *next = waiting->next;

		free(waiting->hashes);
		free(waiting->leaves);
		free(waiting);
		waiting = next;
	}
}

void receive_clear(struct receive *receive) {
	if (!receive)
		return;
	for (struct incoming *in = receive->oplogs, *next; in; in = next) {
		next = in->next;
		waiting_free(in->first);
		free(in);
	}
	receive->oplogs = receive->oplogs_last = NULL;
	receive->work = 0;
}

struct receive *receive_free(struct receive *receive) {
	receive_clear(receive);
	free(receive);
	return NULL;
}

size_t receive_waiting(const struct receive *receive) {
	return receive->work;
}

static int refuse(struct incoming *in, uint64_t size, enum refusal why,
	uint64_t refusals[REFUSAL_N]) {
	refusals[why]++;
	in->given_up = true;
	return link_refuse(in->link, &in->oplog.id, size, why);
}

static int incoming_get(struct receive *receive, struct txn *txn, struct link *link,
	const struct oplog_id *id, uint64_t refusals[REFUSAL_N], struct incoming **ret_in) {
	struct incoming *in;
	int r;

	for (in = receive->oplogs; in; in = in->next)
		if (oplog_id_eq(&in->oplog.id, id))
			break;
	if (in && in->link != link) {
		/* the same oplog by two ways in one turn: one after the other */
		r = receive_finish(receive, txn, refusals);
		if (r)
			return r;
		in = NULL;
	}
	if (!in) {
		in = calloc(1, sizeof(*in));
		if (!in)
			return -ENOMEM;
		in->link = link;
		r = oplog_load(txn, id, &in->oplog);
		if (r < 0) {
			free(in);
			return r;
		}
		if (r == STORE_NOT_FOUND) {
			memset(&in->oplog, 0, sizeof(in->oplog));
			in->oplog.id = *id;
			frontier_init(&in->oplog.frontier);
		}
		in->frontier = in->oplog.frontier;
		if (receive->oplogs)
			receive->oplogs_last->next = in;
		else
			receive->oplogs = in;
		receive->oplogs_last = in;
	}
	*ret_in = in;
	return 0;
}

enum refusal receive_permitted(const struct receive *receive, const struct link *link,
	const struct id *origin) {
	const struct id *own = &receive->reg->own->row.office.id;

	if (!register_find(receive->reg, origin))
		return REFUSAL_UNKNOWN_OFFICE;
	if (id_eq(origin, own))
		return link->up && receive->own_wanted ? 0 : REFUSAL_NOT_YOURS;
	if (!(link->up ? register_is_within(receive->reg, own, origin)
					      : register_is_within(receive->reg, origin, &link->neighbour)))
		return REFUSAL_NOT_YOURS;
	return 0;
}

/* Whether the sender may have withheld it: what it got in full, which is all that reaches so far, it has. */
static bool may_withhold(const struct link *link, const struct leaf *leaf) {
	return leaf->reach < (link->up ? REACH_ALL : REACH_UP);
}

/* A leaf that we hold already must be the same one. 0, REFUSAL_FORK or -errno. */
static int same_leaf(struct txn *txn, const struct oplog *oplog, uint64_t index,
	const struct hash *hash) {
	struct leaf held;
	struct hash held_hash;
	uint64_t arrival;
	int r;

	r = oplog_leaf(txn, oplog, index, &held, &arrival);
	if (r)
		return r < 0 ? r : -EIO;
	leaf_hash(&held, &held_hash);
	return memcmp(held_hash.b, hash->b, sizeof(hash->b)) == 0 ? 0 : REFUSAL_FORK;
}

/* Reads and hashes the leaves; those that are new move @frontier. 0, a refusal, or -errno. */
static int hash_leaves(struct txn *txn, const struct incoming *in, const struct batch *batch,
	struct span plain, struct frontier *frontier, struct waiting *waiting) {
	size_t bytes = 0;
	struct reader r;
	int err;

	reader_init(&r, plain);
	read_array(&r, batch->n, batch->n);
	for (uint64_t i = batch->first; i < batch->head.size; i++) {
		struct leaf leaf;
		struct hash hash;

		leaf_read(&r, &leaf);
		bytes += leaf_weight(&leaf);
		if (r.failed || bytes > BATCH_BYTES_MAX)
			return REFUSAL_MALFORMED;
		if (leaf.withheld && !may_withhold(in->link, &leaf))
			return REFUSAL_WITHHELD;
		leaf_hash(&leaf, &hash);
		if (i < in->oplog.frontier.size) {
			err = same_leaf(txn, &in->oplog, i, &hash);
			if (err)
				return err;
		} else if (i >= in->frontier.size) {
			frontier_append(frontier, &hash);
			waiting->hashes[waiting->n] = hash;
			waiting->leaves[waiting->n++] = leaf;
		}
	}
	read_end(&r);
	return reader_done(&r) ? REFUSAL_MALFORMED : 0;
}

int receive_verify(const struct receive *receive, const struct oplog_id *oplog, const struct head *head) {
	const struct register_entry *origin = register_find(receive->reg, &oplog->office);
	enum refusal why = REFUSAL_UNKNOWN_OFFICE;
	struct verifier *key = origin ? register_key(origin, oplog, head->size, &why) : NULL;
	int r;

	if (!key)
		return why;
	r = head_verify(key, oplog, head);
	return r > 0 ? REFUSAL_SIGNATURE : r;
}

/* 0 or EVIDENCE_NONE: they cannot be read. */
static int read_hashes(struct span plain, uint64_t n, struct hash *ret_leaves) {
	struct reader r;

	reader_init(&r, plain);
	read_array(&r, n, n);
	for (uint64_t i = 0; i < n; i++) {
		struct leaf leaf;

		leaf_read(&r, &leaf);
		if (r.failed)
			return EVIDENCE_NONE;
		leaf_hash(&leaf, &ret_leaves[i]);
	}
	return 0;
}

static int take_batch(struct txn *txn, struct incoming *in, const struct batch *batch,
	struct span plain, struct waiting **ret_waiting) {
	struct frontier frontier = in->frontier;
	struct waiting *waiting;
	struct hash root;
	int r;

	waiting = calloc(1, sizeof(*waiting) + plain.len);
	if (!waiting)
		return -ENOMEM;
	waiting->hashes = calloc(batch->n, sizeof(*waiting->hashes));
	waiting->leaves = calloc(batch->n, sizeof(*waiting->leaves));
	if (!waiting->hashes || !waiting->leaves) {
		waiting_free(waiting);
		return -ENOMEM;
	}
	memcpy(waiting->bytes, plain.data, plain.len);
	waiting->first = in->frontier.size;
	waiting->head = batch->head;
	r = hash_leaves(txn, in, batch, (struct span){ waiting->bytes, plain.len }, &frontier, waiting);
	if (r == 0 && waiting->n) {
		frontier_root(&frontier, &root);
		if (memcmp(root.b, batch->head.root.b, sizeof(root.b)) != 0)
			r = REFUSAL_ROOT;
	}
	if (r || waiting->n == 0) {
		waiting_free(waiting);
		return r;
	}
	in->frontier = frontier;
	*ret_waiting = waiting;
	return 0;
}

/*
 * A batch that does not fit. Where its head is the origin's all the same, the origin may have signed two
 * histories: that is proved, or looked for in what comes before, which is asked for. Of this office's own, which
 * comes back, it is where they part that counts.
 */
static int suspect(struct receive *receive, struct txn *txn, struct incoming *in, const struct batch *batch,
	struct span plain, enum refusal why, uint64_t refusals[REFUSAL_N]) {
	const bool own = id_eq(&in->oplog.id.office, &receive->reg->own->row.office.id);
	struct hash *leaves;
	struct fork fork;
	uint64_t at;
	int r;

	if ((why != REFUSAL_FORK && why != REFUSAL_ROOT) || in->first || in->oplog.number == 0 ||
		batch->head.size <= batch->first || (!own && !register_would_prove(receive->reg, &in->oplog, batch->head.size)) ||
		receive_verify(receive, &in->oplog.id, &batch->head) != 0)
		return refuse(in, in->frontier.size, why, refusals);
	leaves = calloc(batch->n, sizeof(*leaves));
	if (!leaves)
		return -ENOMEM;
	r = read_hashes(plain, batch->n, leaves);
	if (r == 0)
		r = evidence_find(txn, &in->oplog, own ? UINT64_MAX : register_limit(receive->reg, &in->oplog.id), batch->first, leaves, &batch->head, &fork, &at);
	free(leaves);
	if (r < 0)
		return r;
	if (r == EVIDENCE_EARLIER) {
		in->link->suspect = in->oplog.id;
		in->link->suspect_from = at;
		return refuse(in, at, why, refusals);
	}
	if (r == 0)
		r = receive->sink->forked(receive->sink->userdata, &fork, at);
	return r < 0 ? r : refuse(in, in->frontier.size, why, refusals);
}

/* Whether anything is accepted of an oplog from this neighbour. 0 or a refusal. */
static enum refusal admit(const struct receive *receive, const struct link *link, const struct oplog_id *id) {
	enum refusal why = receive_permitted(receive, link, &id->office);

	if (why || id_eq(&id->office, &receive->reg->own->row.office.id))
		return why;
	return register_is_quarantined(receive->reg, id) ? REFUSAL_QUARANTINED : 0;
}

static bool anything_waits(const struct receive *receive) {
	for (const struct incoming *in = receive->oplogs; in; in = in->next)
		if (in->first)
			return true;
	return false;
}

/*
 * Keeps the head where an oplog ended, which came after what lies beyond that: who passes the oplog on ends there.
 * 0, a refusal or -errno.
 */
static int keep_end(struct receive *receive, struct txn *txn, const struct incoming *in, const struct head *head) {
	const struct register_entry *origin = register_find(receive->reg, &in->oplog.id.office);
	struct head next;
	int r;

	if (!origin || head->size >= in->oplog.head.size ||
		office_next_end(&origin->row.former, &in->oplog.id, head->size - 1) != head->size)
		return 0;
	r = oplog_next_head(txn, &in->oplog, head->size - 1, &next);
	if (r || next.size == head->size)
		return r > 0 ? -EIO : r;
	r = receive_verify(receive, &in->oplog.id, head);
	if (r)
		return r;
	r = oplog_compare(txn, &in->oplog, head);
	if (r)
		return r < 0 ? r : REFUSAL_ROOT;
	return oplog_insert_head(txn, &in->oplog, head);
}

int receive_batch(struct receive *receive, struct txn *txn, struct link *link,
	const struct batch *batch, struct span plain, uint64_t refusals[REFUSAL_N]) {
	struct waiting *waiting = NULL;
	struct incoming *in;
	enum refusal why;
	int r;

	why = admit(receive, link, &batch->oplog);
	if ((why == REFUSAL_UNKNOWN_OFFICE || why == REFUSAL_NOT_YOURS || why == REFUSAL_QUARANTINED) &&
		anything_waits(receive)) {
		/* its enrolment may be among what waits, or a move, or what settles its fork */
		r = receive_finish(receive, txn, refusals);
		if (r)
			return r;
		why = admit(receive, link, &batch->oplog);
	}
	if (why && why != REFUSAL_QUARANTINED) {
		refusals[why]++;
		return link_refuse(link, &batch->oplog, 0, why);
	}
	receive->work += batch->n > plain.len / LEAF_LEN ? batch->n : plain.len / LEAF_LEN;
	r = incoming_get(receive, txn, link, &batch->oplog, refusals, &in);
	if (r)
		return r;
	if (in->given_up)
		return 0; /* told once already in this turn */
	if (link->suspect_from < batch->first && oplog_id_eq(&link->suspect, &batch->oplog))
		return 0; /* sent before we asked for what comes before it */
	if (oplog_id_eq(&link->suspect, &batch->oplog))
		link->suspect_from = UINT64_MAX;
	if (why)
		return refuse(in, in->frontier.size, why, refusals);
	if (batch->first > in->frontier.size)
		return refuse(in, in->frontier.size, REFUSAL_GAP, refusals);
	r = take_batch(txn, in, batch, plain, &waiting);
	if (r < 0)
		return r;
	if (r > 0)
		return suspect(receive, txn, in, batch, plain, r, refusals);
	r = waiting ? 0 : keep_end(receive, txn, in, &batch->head);
	if (r)
		return r < 0 ? r : refuse(in, in->frontier.size, r, refusals);
	r = link_ack(link, &batch->oplog);
	receive->sink->seen(receive->sink->userdata, &batch->oplog, batch->head.size);
	if (r || !waiting)
		return r; /* all of it is held already: the acknowledgement says so again */
	if (in->first)
		in->last->next = waiting;
	else
		in->first = waiting;
	in->last = waiting;
	return 0;
}

static int keep(struct receive *receive, struct txn *txn, struct incoming *in, const struct waiting *batch) {
	uint64_t arrival;
	int r = in->oplog.number ? 0 : oplog_load_or_create(txn, &in->oplog.id, &in->oplog);

	for (uint64_t i = 0; r == 0 && i < batch->n; i++) {
		r = oplog_append(txn, &in->oplog, &batch->leaves[i], &batch->hashes[i], &arrival);
		if (r == 0)
			r = receive->sink->kept(receive->sink->userdata, &in->oplog.id, in->oplog.frontier.size - 1,
				arrival, &batch->leaves[i]);
	}
	return r ? r : oplog_put_head(txn, &in->oplog, &batch->head, register_head_stays(receive->reg, &in->oplog));
}

/* Up to the first batch that is not signed. One by one: a record may name the key of what follows it. */
static int finish_oplog(struct receive *receive, struct txn *txn, struct incoming *in,
	uint64_t refusals[REFUSAL_N]) {
	int r = 0;

	for (const struct waiting *at = in->first; r == 0 && at; at = at->next) {
		r = receive_verify(receive, &in->oplog.id, &at->head);
		if (r == 0)
			r = keep(receive, txn, in, at);
	}
	if (r > 0)
		r = refuse(in, in->oplog.frontier.size, r, refusals);
	if (r == 0 && in->oplog.number)
		r = oplog_flush(txn, &in->oplog);
	return r || in->oplog.number == 0 ? r : receive->sink->grown(receive->sink->userdata, &in->oplog);
}

int receive_finish(struct receive *receive, struct txn *txn, uint64_t refusals[REFUSAL_N]) {
	int r = 0;

	/* urgent first: what it says of an office's key holds for the other lanes too */
	for (uint8_t lane = 0; r == 0 && lane < LANE_N; lane++)
		for (struct incoming *in = receive->oplogs; r == 0 && in; in = in->next)
			if (in->oplog.id.lane == lane)
				r = finish_oplog(receive, txn, in, refusals);
	receive_clear(receive);
	return r;
}
