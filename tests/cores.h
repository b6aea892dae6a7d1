/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * cores - for tests: a few whole nodes in one process, without sockets, under one virtual clock
 *
 * Frames go into a queue and are delivered in order. A test may cut a link, take a node down and
 * up again, and look at or change a frame on its way.
 */
#include <string.h>

#include "node/core.h"
#include "proto/enrol.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/step.h"
#include "store/fold.h"
#include "store/oplog.h"
#include "tests/unit/scratch.h"

#define CORES_START_MS 1717200000000 /* 1 June 2024 */

enum {
	CORES_NODES = 5,
	CORES_FRAMES = 4096,
};

struct cores;

struct cores_node {
	struct cores *cores;
	struct scratch home;
	struct store *store;
	struct config config;
	struct core_keys keys;
	struct core_io io;
	struct core *core; /* NULL: down */
	struct id id;
	size_t parent;     /* its place */
	bool cut;          /* from it */
	uint64_t store_size; /* of the next cores_up(); 0: plenty */
	uint8_t answer[1 << 20];
	size_t answer_len;
	size_t n_published;
	size_t n_misused;
	uint8_t next_seed; /* of the key that it is to sign with next; 0: there is none */
};

struct cores_frame {
	struct id from, to;
	size_t len;
	uint8_t *data;
};

struct cores {
	struct cores_node nodes[CORES_NODES]; /* 0 the topmost, each the parent of the next */
	size_t n;
	struct cores_frame frames[CORES_FRAMES];
	size_t n_frames;
	uint64_t now_ms;
	uint64_t seed;
	void (*on_frame)(struct cores *cores, struct cores_frame *frame); /* on its way */
	void (*begins)(struct cores_node *node);       /* a turn */
	void (*ended)(struct cores_node *node, int r); /* and how; NULL: well */
	size_t n_sent;
};

static inline struct cores_node *cores_find(struct cores *cores, const struct id *id) {
	for (size_t i = 0; i < cores->n; i++)
		if (id_eq(&cores->nodes[i].id, id))
			return &cores->nodes[i];
	return NULL;
}

/* An acknowledgement means on disk: what a node says it holds must be committed when it says so. */
static inline void cores_check_ack(struct cores_node *node, struct span frame) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct message message;
	struct oplog oplog;
	struct held held;

	if (message_decode(frame, &message) ||
		(message.type != MESSAGE_ACK && message.type != MESSAGE_HEADS))
		return;
	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	while (message_held_next(&message, &held)) {
		if (held.size == 0) /* whoever asks for what it lost */
			continue;
		cr_assert_eq(oplog_load(txn, &held.oplog, &oplog), 0);
		cr_assert_leq(held.size, oplog.frontier.size, "acknowledged and not on disk");
		cr_assert_eq(oplog.head.size, oplog.frontier.size, "acknowledged and not signed");
	}
}

static inline bool cores_send(void *userdata, const struct id *neighbour, struct span frame) {
	struct cores_node *node = userdata;
	struct cores *cores = node->cores;
	struct cores_node *to = cores_find(cores, neighbour);
	struct cores_node *child = to > node ? to : node;
	struct cores_frame *queued;

	cores->n_sent++;
	cores_check_ack(node, frame);
	if (!to || child->cut)
		return true; /* lost, as on a broken line */
	cr_assert_lt(cores->n_frames, CORES_FRAMES);
	queued = &cores->frames[cores->n_frames++];
	*queued = (struct cores_frame){ node->id, *neighbour, frame.len, malloc(frame.len) };
	memcpy(queued->data, frame.data, frame.len);
	return true;
}

static inline void cores_answer(void *userdata, struct span client, struct span frame) {
	struct cores_node *node = userdata;

	cr_assert_leq(frame.len, sizeof(node->answer));
	memcpy(node->answer, frame.data, frame.len);
	node->answer_len = frame.len;
}

/* As an answer: a test has one asker at a time. */
static inline void cores_answer_guest(void *userdata, struct span client, struct span frame) {
	cores_answer(userdata, client, frame);
}

static inline void cores_publish(void *userdata, uint64_t number, struct span row) {
	((struct cores_node *)userdata)->n_published++;
}

static inline void cores_joined(void *userdata) {
}

static inline int cores_random(void *userdata, void *ret, size_t len) {
	struct cores *cores = ((struct cores_node *)userdata)->cores;

	for (size_t i = 0; i < len; i++) {
		cores->seed = cores->seed * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)ret)[i] = cores->seed >> 56;
	}
	return 0;
}

static inline int cores_next_key(void *userdata, struct signer **ret_signer) {
	const struct cores_node *node = userdata;
	const uint8_t seed[SIGN_SEED_LEN] = { node->next_seed };

	return node->next_seed ? signer_new(seed, ret_signer) : 1;
}

static inline void cores_rotated(void *userdata) {
	struct cores_node *node = userdata;
	const uint8_t seed[SIGN_SEED_LEN] = { node->next_seed };

	signer_free(node->keys.signer);
	cr_assert_eq(signer_new(seed, &node->keys.signer), 0);
}

static inline void cores_misused(void *userdata, struct span office, enum enrol_outcome outcome) {
	((struct cores_node *)userdata)->n_misused++;
}

static inline void cores_up(struct cores_node *node) {
	cr_assert_eq(keyring_open(node->home.dir, &node->keys.keyring), 0);
	cr_assert_eq(store_open(node->home.path, STORE_WRITE,
			node->store_size ? node->store_size : SCRATCH_MAP, &node->store), 0);
	cr_assert_eq(core_new(node->store, &node->config, &node->keys, &node->io, node->cores->now_ms,
			&node->core), 0);
}

static inline void cores_down(struct cores_node *node) {
	node->core = core_free(node->core);
	node->store = store_close(node->store);
	node->keys.keyring = keyring_close(node->keys.keyring);
}

static inline void cores_begin(struct cores_node *node) {
	if (node->cores->begins)
		node->cores->begins(node);
	core_turn_begin(node->core, node->cores->now_ms, node->cores->now_ms - CORES_START_MS + 1000);
}

static inline void cores_end(struct cores_node *node) {
	int r = core_turn_end(node->core);

	if (node->cores->ended)
		node->cores->ended(node, r);
	else
		cr_assert_eq(r, 0);
}

/* One turn of every node that is up, then the frames that were sent, until nothing moves. */
static inline void cores_settle(struct cores *cores) {
	for (unsigned round = 0; round < 10000; round++) {
		struct cores_frame frames[CORES_FRAMES];
		size_t n = cores->n_frames;
		bool busy = n > 0;

		memcpy(frames, cores->frames, n * sizeof(*frames));
		cores->n_frames = 0;
		cores->now_ms += 1;
		for (size_t i = 0; i < cores->n; i++) {
			struct cores_node *node = &cores->nodes[i];

			if (!node->core)
				continue;
			cores_begin(node);
			for (size_t k = 0; k < n; k++) {
				if (!id_eq(&frames[k].to, &node->id))
					continue;
				if (cores->on_frame)
					cores->on_frame(cores, &frames[k]);
				core_message(node->core, &frames[k].from,
					(struct span){ frames[k].data, frames[k].len });
			}
			cores_end(node);
			busy |= core_busy(node->core);
		}
		for (size_t k = 0; k < n; k++)
			free(frames[k].data);
		if (!busy && cores->n_frames == 0)
			return;
	}
	cr_assert_fail("the nodes never come to rest");
}

static inline void cores_connect(struct cores *cores, size_t child) {
	struct cores_node *node = &cores->nodes[child];

	node->cut = false;
	cores_begin(node);
	core_link_open(node->core, &cores->nodes[node->parent].id);
	cores_end(node);
}

/* A request and its answer, for a node that is up. */
static inline struct answer cores_ask(struct cores_node *node, struct span request) {
	struct answer answer;

	node->answer_len = 0;
	cores_begin(node);
	core_request(node->core, span_str("tester"), request);
	cores_end(node);
	if (node->answer_len == 0 && node->cores->ended)
		return (struct answer){ .result = CONTROL_FAILED };
	cr_assert_gt(node->answer_len, 0, "the node did not answer");
	cr_assert_eq(control_answer_decode((struct span){ node->answer, node->answer_len }, &answer), 0);
	return answer;
}

static inline struct answer cores_submit(struct cores_node *node, const struct draft *drafts, size_t n) {
	static uint8_t buf[1 << 20];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_submit(&w, 7, false, n);
	for (size_t i = 0; i < n; i++)
		control_write_draft(&w, &drafts[i]);
	cr_assert(writer_ok(&w));
	return cores_ask(node, writer_span(&w));
}

static inline struct office cores_office(struct cores *cores, size_t i) {
	static const char *const levels[CORES_NODES] = { "province", "district", "commune", "village", "village" };
	static const char *const names[CORES_NODES] = { "Bắc Ninh", "Tiên Du", "Đại Đồng", "Dương Húc", "Núi Móng" };
	struct office office = {
		.id = { { 0x01, 0x8f, [6] = 0x70, [8] = 0x80, [15] = (uint8_t)(i + 1) } },
		.code = i == 0 ? 27 : i == 1 ? 260 : 9300 + (uint32_t)i,
		.code_digits = i == 0 ? 2 : i == 1 ? 3 : 5,
		.state = OFFICE_ACTIVE,
		.valid_from_ms = CORES_START_MS,
		.level = span_str(levels[i]),
		.name = span_str(names[i]),
	};

	memset(office.curve_key, (int)i + 1, sizeof(office.curve_key));
	signer_public(cores->nodes[i].keys.signer, office.sign_key);
	return office;
}

/* Enrols a node below another one, with the request that it was made with. */
static inline struct answer cores_enrol(struct cores *cores, size_t child, size_t parent) {
	const uint8_t seed[SIGN_SEED_LEN] = { (uint8_t)(child + 1) };
	uint8_t request[4096], command[8192];
	struct office office = cores_office(cores, child);
	struct signer *signer;
	struct writer w, f;

	cr_assert_eq(signer_new(seed, &signer), 0);
	signer_public(signer, office.sign_key);
	writer_init(&f, request, sizeof(request));
	cr_assert_eq(enrol_request_write(&office, signer, &f), 0);
	signer_free(signer);
	writer_init(&w, command, sizeof(command));
	control_write_add_office(&w, 1, writer_span(&f), span_str("tcp://127.0.0.1:7400"));
	return cores_ask(&cores->nodes[parent], writer_span(&w));
}

static inline void cores_join(struct cores *cores, size_t child, size_t parent) {
	struct cores_node *node = &cores->nodes[child];
	struct answer answer = cores_enrol(cores, child, parent);
	uint8_t command[8192], file[8192];
	struct writer w;
	struct span bytes;

	cr_assert_eq(answer.result, CONTROL_OK, "add: %d", (int)answer.result);
	bytes = read_bin(&answer.values, 1, sizeof(file));
	memcpy(file, bytes.data, bytes.len);
	writer_init(&w, command, sizeof(command));
	control_write_join(&w, 2, (struct span){ file, bytes.len });
	answer = cores_ask(node, writer_span(&w));
	cr_assert_eq(answer.result, CONTROL_OK, "join: %d", (int)answer.result);
	node->parent = parent;
}

/* Makes the next node with a store of its own, and enrols it below @parent. */
static inline void cores_add(struct cores *cores, size_t parent) {
	struct cores_node *node = &cores->nodes[cores->n];
	uint8_t seed[SIGN_SEED_LEN] = { (uint8_t)(cores->n + 1) };
	struct office office;
	struct txn *txn;
	uint32_t number;

	node->cores = cores;
	node->parent = parent;
	node->home = scratch_new();
	config_init(&node->config);
	cr_assert_eq(signer_new(seed, &node->keys.signer), 0);
	node->io = (struct core_io){ node, cores_send, cores_answer, cores_answer_guest, cores_publish,
		cores_joined, cores_random, cores_next_key, cores_rotated, cores_misused };
	office = cores_office(cores, cores->n);
	node->id = office.id;
	node->store = scratch_store(&node->home);
	txn = scratch_txn(node->store);
	cr_assert_eq(offices_put(txn, &office, &(struct office_former){ 0 }, &number), 0);
	cr_assert_eq(offices_set_own(txn, &office.id, 1), 0);
	cr_assert_eq(store_commit(txn), 0);
	node->store = store_close(node->store);
	cores_up(node);
	if (cores->n++ > 0)
		cores_join(cores, cores->n - 1, parent);
}

static inline struct cores *cores_new(size_t n) {
	struct cores *cores = calloc(1, sizeof(*cores));

	cores->now_ms = CORES_START_MS;
	cores->seed = 42;
	for (size_t i = 0; i < n; i++)
		cores_add(cores, i ? i - 1 : 0);
	for (size_t i = 1; i < n; i++)
		cores_connect(cores, i);
	cores_settle(cores);
	return cores;
}

static inline void cores_freep(struct cores **cores) {
	for (size_t i = 0; i < (*cores)->n; i++) {
		struct cores_node *node = &(*cores)->nodes[i];

		cores_down(node);
		signer_free(node->keys.signer);
		scratch_done(&node->home);
	}
	for (size_t i = 0; i < (*cores)->n_frames; i++)
		free((*cores)->frames[i].data);
	free(*cores);
}

/* A petition's draft; @buf holds its body. */
static inline struct draft cores_petition(uint8_t *buf, size_t len, unsigned n, bool urgent) {
	char text[64];
	struct petition petition = {
		.legal_kind = LEGAL_PETITION,
		.category = CATEGORY_LAND,
		.channel = CHANNEL_LETTER,
		.people = 3,
		.urgent = urgent,
		.received_ms = CORES_START_MS,
		.village = span_str("Dương Húc"),
		.asked_of = span_str("UBND xã"),
	};
	struct writer w;

	snprintf(text, sizeof(text), "Đường thôn hư hỏng, đoạn số %u", n);
	petition.text = span_str(text);
	writer_init(&w, buf, len);
	petition_encode(&petition, &w);
	cr_assert(writer_ok(&w));
	return (struct draft){ .kind = KIND_PETITION, .organisation = ORGANISATION_FRONT,
		.lane = urgent ? LANE_URGENT : LANE_NORMAL, .body = writer_span(&w) };
}

static inline void cores_take_petitions(struct cores_node *node, unsigned first, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		uint8_t body[512];
		struct draft draft = cores_petition(body, sizeof(body), first + i, false);

		cr_assert_eq(cores_submit(node, &draft, 1).result, CONTROL_OK);
	}
}

/* What @node counts for office @of, over all periods. */
struct cores_sum {
	struct cores_node *node;
	uint32_t office;
	uint8_t measure;
	uint64_t n;
};

static inline int cores_sum_entry(void *userdata, const struct tally_entry *entry) {
	struct cores_sum *sum = userdata;

	if (entry->office == sum->office && entry->row.measure == sum->measure)
		sum->n += entry->row.n;
	return 0;
}

static inline uint64_t cores_count(struct cores_node *node, const struct cores_node *of, uint8_t measure) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct cores_sum sum = { .node = node, .measure = measure };
	struct office_row row;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(offices_get(txn, &of->id, &row), 0);
	sum.office = row.number;
	cr_assert_eq(tallies_each(txn, cores_sum_entry, &sum), 0);
	return sum.n;
}

/* How many leaves of @of's oplog @node holds, and how many of them withheld. */
static inline uint64_t cores_leaves(struct cores_node *node, const struct cores_node *of, enum lane lane,
	uint64_t *ret_withheld) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct oplog_id id = { of->id, 1, lane };
	struct oplog oplog;
	struct leaf leaf;
	uint64_t index, arrival, n = 0;

	*ret_withheld = 0;
	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	if (oplog_load(txn, &id, &oplog))
		return 0;
	cr_assert_eq(oplog_walk_open(txn, &oplog, 0, &walk), 0);
	while (oplog_walk_next(walk, &index, &leaf, &arrival) == 0) {
		n++;
		*ret_withheld += leaf.withheld;
	}
	cr_assert_eq(n, oplog.frontier.size);
	return n;
}

/* The derived tables of @node are those that its oplogs make. */
static inline void expect_rebuilt(struct cores_node *node) {
	static const enum table derived[] = { TABLE_CASES, TABLE_STEPS, TABLE_ESCALATIONS, TABLE_WAITING,
		TABLE_TALLIES, TABLE_REQUESTS, TABLE_GRANTS };
	_cleanup_(store_abortp) struct txn *from = NULL, *made = NULL;
	struct scratch home = scratch_new();
	struct store *into = scratch_store(&home);

	cr_assert_eq(store_begin_read(node->store, &from), 0);
	cr_assert_eq(fold_rebuild(from, into), 0);
	cr_assert_eq(store_begin_read(into, &made), 0);
	for (size_t i = 0; i < N_ELEMENTS(derived); i++) {
		struct span key, value, other_key, other_value;
		struct scan *scan, *other;
		int r;

		cr_assert_eq(scan_open(from, derived[i], (struct span){ 0 }, &scan), 0);
		cr_assert_eq(scan_open(made, derived[i], (struct span){ 0 }, &other), 0);
		do {
			r = scan_next(scan, &key, &value);
			cr_assert_eq(scan_next(other, &other_key, &other_value), r, "table %u", derived[i]);
			if (r == 0)
				cr_expect(span_eq(key, other_key) && span_eq(value, other_value), "table %u",
					derived[i]);
		} while (r == 0);
		scan_close(scan);
		scan_close(other);
	}
	made = store_abort(made);
	store_close(into);
	scratch_done(&home);
}
