/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * lives - for tests: what befalls an office in its life. Its key changes, its store is copied and put back, it forks.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>

#include "node/core_internal.h"
#include "tests/cores.h"

static inline enum control_result rotate(struct cores_node *node, uint8_t seed) {
	uint8_t buf[64];
	struct writer w;

	node->next_seed = seed;
	writer_init(&w, buf, sizeof(buf));
	control_write_rotate(&w, 1);
	return cores_ask(node, writer_span(&w)).result;
}

static inline const struct office_row *known(struct cores_node *node, const struct cores_node *of) {
	const struct register_entry *entry = register_find(&node->core->reg, &of->id);

	cr_assert_not_null(entry);
	return &entry->row;
}

/* Copies a file of a node that is down. */
static inline void copy_file(const char *from_dir, const char *to_dir, const char *name) {
	char from[PATH_MAX], to[PATH_MAX];
	int in, out;

	snprintf(from, sizeof(from), "%s/%s", from_dir, name);
	snprintf(to, sizeof(to), "%s/%s", to_dir, name);
	in = open(from, O_RDONLY);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	cr_assert(in >= 0 && out >= 0, "%s: %s", from, strerror(errno));
	while (sendfile(out, in, NULL, 1 << 20) > 0)
		;
	close(in);
	close(out);
}

/* The store as it is now, to be put back later: a directory of its own. */
static inline struct scratch keep_copy(struct cores_node *node) {
	struct scratch copy = scratch_new();

	cores_down(node);
	cr_assert_eq(mkdir(copy.path, 0700), 0);
	copy_file(node->home.path, copy.path, "data.mdb");
	copy_file(node->home.path, copy.path, "owner");
	cores_up(node);
	return copy;
}

/* From now on the node runs on the other store. */
static inline void exchange(struct cores_node *node, struct scratch *copy) {
	struct scratch other = node->home;

	cores_down(node);
	memcpy(node->home.path, copy->path, sizeof(copy->path));
	memcpy(copy->path, other.path, sizeof(other.path));
	cores_up(node);
}

static inline enum control_result unfork(struct cores_node *node, const struct cores_node *of) {
	uint8_t buf[64];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_decision(&w, 1, COMMAND_UNFORK, &of->id);
	return cores_ask(node, writer_span(&w)).result;
}

/* Sessions anew, as often as it takes to look back to where two histories part. */
static inline void reconnect(struct cores *cores, size_t child) {
	for (unsigned i = 0; i < 3; i++) {
		cores->now_ms += 2000;
		cores_connect(cores, child);
		cores_settle(cores);
	}
}

/* What `lienthong restore` does to a store. */
static inline void mark_restored(struct scratch *copy) {
	struct store *store;
	struct txn *txn;

	cr_assert_eq(store_open(copy->path, STORE_WRITE, SCRATCH_MAP, &store), 0);
	txn = scratch_txn(store);
	cr_assert_eq(meta_put(txn, recovery_name, span_str("")), 0);
	cr_assert_eq(store_commit(txn), 0);
	store_close(store);
}

static inline uint32_t epoch_of(struct cores_node *node) {
	return node->core->author.epoch;
}

/* Leaves of @of's normal lane of one epoch at @node. */
static inline uint64_t leaves_of(struct cores_node *node, const struct cores_node *of, uint32_t epoch) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	const struct oplog_id id = { of->id, epoch, LANE_NORMAL };
	struct oplog oplog;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	return oplog_load(txn, &id, &oplog) == 0 ? oplog.frontier.size : 0;
}

static inline int count_case(void *userdata, const struct id *id, const struct case_row *row) {
	size_t *n = userdata;

	++*n;
	return 0;
}

static inline size_t cases_at(struct cores_node *node) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	size_t n = 0;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(cases_each(txn, count_case, &n), 0);
	return n;
}

static inline void restart_restored(struct cores_node *node) {
	cores_down(node);
	mark_restored(&node->home);
	cores_up(node);
}

/* Every line anew, again and again: what was set aside has its time. */
static inline void reconnect_all(struct cores *cores) {
	for (unsigned i = 0; i < 6; i++) {
		cores->now_ms += 11000;
		cores_settle(cores);
		for (size_t child = 1; child < cores->n; child++)
			if (!cores->nodes[child].cut)
				cores_connect(cores, child);
		cores_settle(cores);
	}
}

static inline enum control_result step_to(struct cores_node *node, const struct id *petition, uint8_t action, const struct id *office) {
	struct step step = { .petition = *petition, .action = action, .date_ms = CORES_START_MS + 1000,
		.text = span_str("...") };
	struct draft draft = { .kind = KIND_STEP, .lane = LANE_NORMAL };
	uint8_t body[256];
	struct writer w;

	if (office)
		step.office = *office;
	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	draft.body = writer_span(&w);
	return cores_submit(node, &draft, 1).result;
}

static inline struct id take_one(struct cores_node *node) {
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct answer answer = cores_submit(node, &draft, 1);
	struct id id;

	read_array(&answer.values, 1, 1);
	read_array(&answer.values, 3, 3);
	(void)read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &id);
	return id;
}

/* What @node says of an office from now on; NULL: its name stays. */
static inline enum control_result change(struct cores_node *node, const struct cores_node *of, const char *name,
	enum office_state state) {
	struct office office = register_find(&node->core->reg, &of->id)->row.office;
	uint8_t buf[1024];
	struct writer w;

	if (name)
		office.name = span_str(name);
	office.state = state;
	writer_init(&w, buf, sizeof(buf));
	control_write_change_office(&w, 1, &office);
	return cores_ask(node, writer_span(&w)).result;
}

/* All that @of wrote is at @node, and every head of it that is kept there is signed by the key of its term. */
static inline void expect_all(struct cores_node *node, struct cores_node *of) {
	for (unsigned lane = 0; lane < LANE_N; lane++) {
		const struct oplog_id id = { of->id, 1, lane };
		_cleanup_(store_abortp) struct txn *txn = NULL;
		const struct register_entry *entry = register_find(&node->core->reg, &of->id);
		struct head head = { 0 };
		uint64_t withheld;
		struct oplog oplog;

		cr_expect_eq(cores_leaves(node, of, lane, &withheld), cores_leaves(of, of, lane, &withheld),
			"lane %u", lane);
		cr_assert_eq(store_begin_read(node->store, &txn), 0);
		if (oplog_load(txn, &id, &oplog))
			continue;
		while (oplog_next_head(txn, &oplog, head.size, &head) == 0) {
			enum refusal why;
			struct verifier *key = register_key(entry, &id, head.size, &why);

			cr_assert_not_null(key);
			cr_expect_eq(head_verify(key, &id, &head), 0, "lane %u, head %lu", lane, head.size);
		}
	}
}

static inline enum control_result move_office(struct cores_node *node, const struct cores_node *of, const struct cores_node *to) {
	uint8_t buf[128];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_move_office(&w, 1, &of->id, &to->id);
	return cores_ask(node, writer_span(&w)).result;
}

static inline void say_office(struct cores_node *node, const struct office *office) {
	struct record rec = { .kind = KIND_OFFICE, .time_ms = node->cores->now_ms, .id = { { 1, [15] = office->parent.b[15] } } };
	uint8_t body[1024];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	office_encode(office, &w);
	rec.body = writer_span(&w);
	cores_begin(node);
	cr_assert_eq(core_write(node->core, LANE_URGENT, &rec, NULL, 0), 0);
	cores_end(node);
}
