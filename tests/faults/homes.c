/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <dirent.h>

#include "proto/keyfile.h"
#include "proto/kinds/private.h"
#include "store/changes.h"
#include "store/invites.h"
#include "store/private.h"
#include "tests/faults/life.h"

/* A home that is looked at: one node, alone. */
struct look {
	const struct home *home;
	size_t at;
	struct cores *cores;
	struct cores_node *node;
	struct txn *txn;
	struct office_row own;
	uint32_t epoch;
	bool restoring;
};

static bool is_due(const struct look *look, const struct promise *promise) {
	return promise->at <= look->at && look->at <= promise->until;
}

static const struct promise *newest(const struct look *look, enum promise_kind kind) {
	for (size_t i = look->home->n_promises; i-- > 0;)
		if (look->home->promises[i].kind == kind && is_due(look, &look->home->promises[i]))
			return &look->home->promises[i];
	return NULL;
}

/* What may lie in a home, and nothing else. */
static void look_at_names(const char *dir) {
	static const char *const names[] = { "keys", "keys.next", "store", "private.keys.part" };
	DIR *entries = opendir(dir);
	struct dirent *entry;

	while (entries && (entry = readdir(entries))) {
		uint64_t file;
		bool known = entry->d_name[0] == '.' || keyring_name_parse(entry->d_name, &file) ||
			strncmp(entry->d_name, "store.", 6) == 0;

		for (size_t i = 0; i < N_ELEMENTS(names); i++)
			known |= strcmp(entry->d_name, names[i]) == 0;
		cr_assert(known, "%s", entry->d_name);
	}
	closedir(entries);
}

/* A start ends where one of them cannot be used. */
static int look_at_keyring(void *userdata, uint64_t file) {
	uint32_t n;

	cr_assert_eq(keyring_size(userdata, file, &n), 0, "keys %016llx", (unsigned long long)file);
	return 0;
}

static bool are_own_keys(struct look *look, const char *name) {
	uint8_t public[SIGN_PUBLIC_LEN];
	struct keyfile keys;
	struct signer *signer;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", look->node->home.dir, name);
	if (keyfile_read(path, &keys))
		return false;
	cr_assert_eq(signer_new(keys.seed, &signer), 0);
	signer_public(signer, public);
	if (memcmp(public, look->own.office.sign_key, sizeof(public)) != 0) {
		signer_free(signer);
		return false;
	}
	look->node->keys.signer = signer;
	return true;
}

/* As the daemon finds them; false: there is no office yet. */
static bool take_keys(struct look *look) {
	struct keyfile keys;
	char path[PATH_MAX];
	int r;

	cr_assert_eq(store_begin_read(look->node->store, &look->txn), 0);
	r = offices_own(look->txn, &look->own, &look->epoch);
	look->txn = store_abort(look->txn);
	cr_assert(r == 0 || (r == STORE_NOT_FOUND && !newest(look, PROMISE_STORE)), "whose store it is: %d", r);
	if (r)
		return false;
	if (are_own_keys(look, "keys"))
		return true;
	snprintf(path, sizeof(path), "%s/keys", look->node->home.dir);
	if (!newest(look, PROMISE_STORE) && keyfile_read(path, &keys) == KEYFILE_MISSING)
		return false;
	cr_assert(are_own_keys(look, "keys.next"), "the keys are another office's");
	return true;
}

/* Promises */

static bool is_in(struct look *look, const struct id *id, struct case_row *ret_row) {
	int r = cases_get(look->txn, id, ret_row);

	cr_assert_geq(r, 0);
	return r == 0;
}

/* Who brought it, or PRIVATE_ERASED. */
static int read_private(struct look *look, const struct id *id) {
	uint8_t salt[PRIVATE_SALT_LEN], part[PRIVATE_MAX];
	struct private_part read;
	size_t len;
	int r = private_get(look->txn, look->node->keys.keyring, id, salt, part, &len);

	if (r == 0)
		cr_assert(private_decode((struct span){ part, len }, &read) == 0 && memcmp(read.name.data, "Nguyễn", 8) == 0);
	return r;
}

static void look_at_erased(struct look *look, const struct id *id) {
	struct keyring_key key = { 0 };

	cr_assert_eq(private_state(look->txn, id, &key), PRIVATE_ERASED);
	cr_assert(!private_key_is_left(look->node->keys.keyring, &key), "the key is left");
}

static int has_invited(void *userdata, const struct invite_row *row) {
	return id_eq(&row->office, userdata);
}

/* What was said to be erased is, before a start destroys what it finds. */
static void look_at_all_erased(struct look *look) {
	cr_assert_eq(store_begin_read(look->node->store, &look->txn), 0);
	for (size_t i = 0; i < look->home->n_promises; i++) {
		const struct promise *promise = &look->home->promises[i];

		if (promise->kind == PROMISE_ERASED && is_due(look, promise))
			look_at_erased(look, &promise->id);
	}
	look->txn = store_abort(look->txn);
}

/* Of each oplog only what was promised last. */
static bool is_older(const struct look *look, size_t i) {
	const struct promise *promises = look->home->promises;

	for (size_t k = i + 1; k < look->home->n_promises && promises[k].at <= look->at; k++)
		if (promises[k].kind == promises[i].kind && oplog_id_eq(&promises[k].oplog, &promises[i].oplog) &&
			promises[k].n >= promises[i].n && promises[k].head.size >= promises[i].head.size)
			return true;
	return false;
}

static void look_at_oplog_promise(struct look *look, const struct promise *promise) {
	struct oplog oplog;

	cr_assert_eq(oplog_load(look->txn, &promise->oplog, &oplog), 0, "an oplog is gone");
	if (promise->kind == PROMISE_HELD)
		cr_assert_leq(promise->n, oplog.frontier.size, "acknowledged, and lost");
	else
		cr_assert_eq(oplog_compare(look->txn, &oplog, &promise->head), 0, "life %u, lane %u: sent, and lost: %llu of %llu",
			promise->oplog.epoch, promise->oplog.lane, (unsigned long long)oplog.frontier.size,
			(unsigned long long)promise->head.size);
}

static void look_at_promise(struct look *look, size_t i) {
	const struct promise *promise = &look->home->promises[i];
	struct case_row row;
	struct office_row office;
	uint64_t last;

	switch (promise->kind) {
	case PROMISE_MADE:
	case PROMISE_STORE:     /* it opened */
	case PROMISE_ERASED:    /* before the start, which would erase it */
	case PROMISE_REFERENCE: /* when another one is given out */
		break;
	case PROMISE_HELD:
	case PROMISE_SENT:
		if (!is_older(look, i))
			look_at_oplog_promise(look, promise);
		break;
	case PROMISE_CASE:
		cr_assert(is_in(look, &promise->id, &row), "a petition is lost");
		cr_assert_leq(promise->n, row.n_steps, "a step is lost");
		break;
	case PROMISE_PRIVATE:
		cr_assert_eq(read_private(look, &promise->id), 0, "who brought it is lost");
		break;
	case PROMISE_KEYS:
		cr_assert_leq(promise->n, look->own.former.n, "a change of key is lost");
		break;
	case PROMISE_CHANGE:
		if (newest(look, PROMISE_CHANGE) != promise)
			break;
		cr_assert_eq(changes_last(look->txn, &last), 0);
		cr_assert_leq(promise->n, last, "a change was published, and is lost");
		break;
	case PROMISE_OFFICE:
		cr_assert_eq(offices_get(look->txn, &promise->id, &office), 0, "an office is lost");
		break;
	case PROMISE_INVITED:
		cr_assert_eq(invites_each(look->txn, has_invited, (void *)&promise->id), 1, "an invitation is lost");
		break;
	case PROMISE_EPOCH:
		cr_assert_leq(promise->n, look->epoch, "a life is lost");
		break;
	}
}

/* What needs no promise */

/* A part that is kept can be read: its key was on the disk before. An old copy is put back without keys. */
static void look_at_parts(struct look *look) {
	struct span key, value;
	struct scan *scan;
	struct id id;

	cr_assert_eq(scan_open(look->txn, TABLE_PRIVATE, (struct span){ 0 }, &scan), 0);
	while (scan_next(scan, &key, &value) == 0) {
		memcpy(id.b, key.data, sizeof(id.b));
		if (private_state(look->txn, &id, NULL) == 0)
			cr_assert(read_private(look, &id) == 0 || look->home->put_back, "kept without its key");
		else
			look_at_erased(look, &id); /* the start destroyed what it found */
	}
	scan_close(scan);
}

static int look_at_oplog(void *userdata, const struct oplog *oplog) {
	struct look *look = userdata;
	const struct register_entry *origin = register_find(&look->node->core->reg, &oplog->id.office);
	struct oplog_walk *walk;
	struct frontier frontier;
	struct head head = { 0 };
	uint64_t index, arrival;
	enum refusal why;
	struct leaf leaf;
	struct hash hash;

	frontier_init(&frontier);
	cr_assert_eq(oplog_walk_open(look->txn, oplog, 0, &walk), 0);
	while (oplog_walk_next(walk, &index, &leaf, &arrival) == 0) {
		if (frontier.size == head.size)
			cr_assert_eq(oplog_next_head(look->txn, oplog, head.size, &head), 0, "no head");
		cr_assert_eq(index, frontier.size, "a gap");
		leaf_hash(&leaf, &hash);
		frontier_append(&frontier, &hash);
		if (frontier.size != head.size)
			continue;
		frontier_root(&frontier, &hash);
		cr_assert(memcmp(hash.b, head.root.b, sizeof(hash.b)) == 0, "a head that its leaves do not give");
	}
	oplog_walk_close(walk);
	cr_assert(frontier.size == oplog->frontier.size && head.size == frontier.size && oplog->head.size == head.size,
		"the end of an oplog");
	if (frontier.size > 0 && register_key(origin, &oplog->id, head.size, &why))
		cr_assert_eq(head_verify(register_key(origin, &oplog->id, head.size, &why), &oplog->id, &head), 0, "a signature");
	return 0;
}

static void mix(uint64_t *hash, const void *bytes, size_t len) {
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		*hash = (*hash ^ at[i]) * 0x100000001b3;
}

static uint64_t hash_tables(struct look *look) {
	uint64_t hash = 0xcbf29ce484222325;

	for (unsigned table = 0; table < TABLE_N; table++) {
		struct span key, value;
		struct scan *scan;
		int r;

		cr_assert_eq(scan_open(look->txn, table, (struct span){ 0 }, &scan), 0);
		while ((r = scan_next(scan, &key, &value)) == 0) {
			mix(&hash, key.data, key.len);
			mix(&hash, value.data, value.len);
		}
		cr_assert_eq(r, STORE_NOT_FOUND);
		scan_close(scan);
		mix(&hash, &table, sizeof(table));
	}
	return hash;
}

/* Whether tables like these were looked at before by this process: then they are in order. */
static bool is_known(uint64_t hash) {
	static uint64_t known[1 << 16];

	for (size_t i = hash % N_ELEMENTS(known), n = 0; n < 64; n++, i = (i + 1) % N_ELEMENTS(known)) {
		if (known[i] == hash)
			return true;
		if (known[i] == 0) {
			known[i] = hash;
			return false;
		}
	}
	return false;
}

/* It takes in another petition, and has that after a restart. */
static void go_on(struct look *look) {
	struct cores_node *node = look->node;
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 12345, false);
	uint64_t reference;
	struct answer answer;
	struct case_row row;
	struct id id;

	answer = cores_submit(node, &draft, 1);
	if (look->restoring) {
		cr_assert_eq(answer.result, CONTROL_RESTORING);
		return;
	}
	cr_assert_eq(answer.result, CONTROL_OK, "%d", (int)answer.result);
	read_array(&answer.values, 1, 1);
	read_array(&answer.values, 3, 3);
	(void)read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &id);
	reference = read_uint(&answer.values, UINT64_MAX);
	for (size_t i = 0; i < look->home->n_promises; i++) {
		const struct promise *promise = &look->home->promises[i];

		cr_assert(promise->kind != PROMISE_REFERENCE || !is_due(look, promise) || promise->n != reference,
			"a reference is given out twice");
	}
	cores_down(node);
	cores_up(node);
	cr_assert_eq(store_begin_read(node->store, &look->txn), 0);
	cr_assert(is_in(look, &id, &row), "it does not go on");
	look->txn = store_abort(look->txn);
}

static void look_at_all(struct look *look, uint64_t *ret_hash) {
	struct span value;

	cr_assert_eq(store_begin_read(look->node->store, &look->txn), 0);
	*ret_hash = hash_tables(look);
	look->restoring = meta_get(look->txn, recovery_name, &value) == 0;
	cr_assert(!look->restoring || look->home->put_back, "it takes itself for one that was put back");
	for (size_t i = 0; i < look->home->n_promises; i++)
		if (is_due(look, &look->home->promises[i]))
			look_at_promise(look, i);
	look_at_parts(look);
	if (!is_known(*ret_hash)) {
		cr_assert_eq(oplog_each(look->txn, look_at_oplog, look), 0);
		expect_rebuilt(look->node);
	}
	look->txn = store_abort(look->txn);
}

struct verdict home_check(const struct home *home, const char *dir, size_t at, uint64_t now_ms) {
	static uint64_t n_checks; /* what goes on in one home twice makes no id twice */
	struct cores *cores = calloc(1, sizeof(*cores));
	struct look look = { .home = home, .at = at, .cores = cores, .node = &cores->nodes[0] };
	struct cores_node *node = look.node;
	struct verdict verdict = { .no_office = true };
	char data[PATH_MAX];
	int r;

	cores->n = 1;
	cores->now_ms = now_ms;
	cores->seed = 4711 + ++n_checks;
	node->cores = cores;
	snprintf(node->home.dir, sizeof(node->home.dir), "%s", dir);
	snprintf(node->home.path, sizeof(node->home.path), "%s/store", dir);
	node->config = *home->config;
	node->id = home->office;
	node->io = (struct core_io){ node, cores_send, cores_answer, cores_answer_guest, cores_publish,
		cores_joined, cores_random, cores_next_key, cores_rotated, cores_misused };
	look_at_names(dir);
	cr_assert_eq(keyring_open(dir, &node->keys.keyring), 0);
	cr_assert_eq(keyring_each(node->keys.keyring, look_at_keyring, node->keys.keyring), 0);
	r = store_open(node->home.path, STORE_WRITE, SCRATCH_MAP, &node->store);
	cr_assert(r == 0 || (r == STORE_NOT_FOUND && !newest(&look, PROMISE_STORE) && !newest(&look, PROMISE_MADE)),
		"the store does not open: %d", r);
	if (r == 0 && take_keys(&look)) {
		verdict.no_office = false;
		snprintf(data, sizeof(data), "%s/data.mdb", node->home.path);
		pages_check(data);
		look_at_all_erased(&look);
		cr_assert_eq(core_new(node->store, &node->config, &node->keys, &node->io, now_ms, &node->core), 0);
		look_at_all(&look, &verdict.what);
		go_on(&look);
	}
	cores_down(node);
	signer_free(node->keys.signer);
	free(cores);
	return verdict;
}
