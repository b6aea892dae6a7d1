/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/faults/life.h"

#include "proto/keyfile.h"
#include "proto/kinds/private.h"
#include "store/private.h"

enum {
	RECEIPTS_MS = 700000, /* longer than receipts wait */
};

/* The one that is lived: what the cores call back knows only its node. */
static struct life *lived;

static struct home *home_of(const struct cores_node *node) {
	return lived->of[node - lived->cores->nodes];
}

static size_t steps_now(const struct home *home) {
	return home->disk ? home->disk->n_steps : 0;
}

static struct promise *add_promise(struct home *home, enum promise_kind kind) {
	if (home->n_promises == home->cap_promises) {
		home->cap_promises = home->cap_promises ? 2 * home->cap_promises : 256;
		home->promises = realloc(home->promises, home->cap_promises * sizeof(*home->promises));
		cr_assert_not_null(home->promises);
	}
	home->promises[home->n_promises] = (struct promise){ .kind = kind, .until = SIZE_MAX, .at = steps_now(home) };
	return &home->promises[home->n_promises++];
}

/* In a turn. */
static struct promise *promise(struct cores_node *node, enum promise_kind kind) {
	struct promise *promise = add_promise(home_of(node), kind);

	if (lived->promise_early)
		promise->at = lived->begun[node - lived->cores->nodes];
	return promise;
}

/* By an answer, which came before whoever asked looks at it. */
static struct promise *promised(struct cores_node *node, enum promise_kind kind) {
	struct promise *made = promise(node, kind);

	if (!lived->promise_early)
		made->at = lived->answered[node - lived->cores->nodes];
	return made;
}

static void promised_number(struct cores_node *node, enum promise_kind kind, uint64_t n) {
	promised(node, kind)->n = n;
}

static void promised_id(struct cores_node *node, enum promise_kind kind, const struct id *id) {
	promised(node, kind)->id = *id;
}

/* It asks for it to be taken back: from now on it need not hold. */
static void take_back(struct cores_node *node, enum promise_kind kind, const struct id *id) {
	struct home *home = home_of(node);

	for (size_t i = 0; i < home->n_promises; i++)
		if (home->promises[i].kind == kind && id_eq(&home->promises[i].id, id))
			home->promises[i].until = steps_now(home);
}

/* What the nodes call back. What is done here is the test's, and does not fail. */

static void note_frame(struct cores_node *node, struct span frame) {
	struct message message;
	struct held held;

	cr_assert_eq(message_decode(frame, &message), 0);
	if (message.type == MESSAGE_BATCH) {
		struct promise *sent = promise(node, PROMISE_SENT);

		sent->oplog = message.batch.oplog;
		sent->head = message.batch.head;
		if (id_eq(&sent->oplog.office, &node->id) && sent->oplog.epoch > 1)
			promise(node, PROMISE_EPOCH)->n = message.batch.oplog.epoch;
	}
	if (message.type != MESSAGE_ACK && message.type != MESSAGE_HEADS)
		return;
	while (message_held_next(&message, &held)) {
		struct promise *kept = held.size ? promise(node, PROMISE_HELD) : NULL;

		if (kept) {
			kept->oplog = held.oplog;
			kept->n = held.size;
		}
	}
}

static bool on_send(void *userdata, const struct id *neighbour, struct span frame) {
	struct cores_node *node = userdata;
	struct cores_node *to = cores_find(node->cores, neighbour);
	bool fails = calls_now(CALL_SEND), was = calls_disarm(), cut;
	struct cores_node *child = to > node ? to : node;

	note_frame(node, frame);
	cut = child->cut;
	child->cut |= fails;
	(void)cores_send(userdata, neighbour, frame);
	child->cut = cut;
	lived->line_lost |= fails;
	if (was)
		calls_arm();
	return !fails;
}

/* All that is committed when an answer is given may rest on it. */
static int note_own(void *userdata, const struct oplog *oplog) {
	struct promise *own = promise(userdata, PROMISE_SENT);

	own->oplog = oplog->id;
	own->head = oplog->head;
	return 0;
}

static void on_answer(void *userdata, struct span client, struct span frame) {
	struct cores_node *node = userdata;
	bool was = calls_disarm();
	struct txn *txn;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(oplog_each_of(txn, &node->id, note_own, node), 0);
	store_abort(txn);
	lived->answered[node - lived->cores->nodes] = steps_now(home_of(node));
	cores_answer(userdata, client, frame);
	if (was)
		calls_arm();
}

static void on_publish(void *userdata, uint64_t number, struct span row) {
	bool was = calls_disarm();

	promise(userdata, PROMISE_CHANGE)->n = number;
	if (was)
		calls_arm();
}

/* As the daemon does: the tool has put the next keys beside the present ones. */
static int on_next_key(void *userdata, struct signer **ret_signer) {
	struct cores_node *node = userdata;
	struct keyfile next;
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s/keys.next", node->home.dir);
	r = keyfile_read(path, &next);
	if (r == 0)
		r = signer_new(next.seed, ret_signer);
	return r < 0 && r != -ENOMEM ? KEYFILE_MALFORMED : r;
}

static void on_rotated(void *userdata) {
	struct cores_node *node = userdata;
	char path[PATH_MAX], next[PATH_MAX];

	snprintf(path, sizeof(path), "%s/keys", node->home.dir);
	snprintf(next, sizeof(next), "%s/keys.next", node->home.dir);
	(void)keyfile_replace(path, next); /* a start does it again */
}

static void on_begin(struct cores_node *node) {
	lived->begun[node - lived->cores->nodes] = steps_now(home_of(node));
	if (node == lived->victim)
		calls_arm();
}

static void take_hooks(struct cores_node *node) {
	node->io.send = on_send;
	node->io.answer = node->io.answer_guest = on_answer;
	node->io.publish = on_publish;
	node->io.next_key = on_next_key;
	node->io.rotated = on_rotated;
}

/* A node that ends is started again, as systemd does, by whoever it fails for; every line of it anew. */

static void read_keys(struct cores_node *node, const char *name) {
	struct keyfile keys;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", node->home.dir, name);
	signer_free(node->keys.signer);
	cr_assert_eq(keyfile_read(path, &keys), 0);
	cr_assert_eq(signer_new(keys.seed, &node->keys.signer), 0);
}

static bool has_own_key(struct cores_node *node) {
	uint8_t public[SIGN_PUBLIC_LEN];
	struct office_row own;
	struct txn *txn;
	uint32_t epoch;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(offices_own(txn, &own, &epoch), 0);
	store_abort(txn);
	signer_public(node->keys.signer, public);
	return memcmp(public, own.office.sign_key, sizeof(public)) == 0;
}

/* 0, an outcome or -errno; nothing is left where it is not 0. */
static int start(struct cores_node *node) {
	bool was;
	int r = keyring_open(node->home.dir, &node->keys.keyring);

	if (r == 0)
		r = store_open(node->home.path, STORE_WRITE, SCRATCH_MAP, &node->store);
	was = calls_disarm();
	if (r == 0) {
		read_keys(node, "keys");
		if (!has_own_key(node)) {
			read_keys(node, "keys.next");
			on_rotated(node);
		}
	}
	if (was)
		calls_arm();
	if (r == 0)
		r = core_new(node->store, &node->config, &node->keys, &node->io, node->cores->now_ms, &node->core);
	(void)calls_disarm();
	if (r)
		cores_down(node);
	return r;
}

static void lose_line(struct cores_node *node, const struct cores_node *to) {
	if (!node->core || !core_find_link(node->core, &to->id))
		return;
	cores_begin(node);
	core_link_lost(node->core, &to->id, &(struct trouble){ .code = TROUBLE_NOT_YET });
	cores_end(node);
}

static void connect(struct life *life, size_t child) {
	struct cores_node *node = &life->cores->nodes[child];

	lose_line(&life->cores->nodes[node->parent], node);
	cores_connect(life->cores, child);
}

static void start_again(struct life *life, struct cores_node *node) {
	const size_t at = (size_t)(node - life->cores->nodes);

	if (node == life->victim)
		calls_arm();
	if (start(node)) { /* it failed at the start: then again */
		life->n_deaths += 1;
		calls_mend();
		cr_assert_eq(start(node), 0);
	}
	if (at > 0)
		connect(life, at);
	if (at + 1 < life->cores->n && life->cores->nodes[at + 1].core)
		connect(life, at + 1);
}

static void find_line_lost(struct life *life, struct cores_node *node) {
	const size_t at = (size_t)(node - life->cores->nodes);

	if (!life->line_lost || node != life->victim)
		return;
	life->line_lost = false;
	connect(life, at);
	if (at + 1 < life->cores->n)
		connect(life, at + 1);
}

static void on_end(struct cores_node *node, int r) {
	bool was = calls_disarm();

	if (r == 0) {
		find_line_lost(lived, node);
		return;
	}
	cr_assert(was && node == lived->victim && calls_failed(), "a turn ended with %d", r);
	cr_assert(r < 0 && r > -4096, "no error of the system: %d", r);
	lived->n_deaths++;
	cores_down(node);
	calls_mend();
	(void)home_check(home_of(node), node->home.dir, SIZE_MAX - 1, node->cores->now_ms);
	start_again(lived, node);
}

/* What is done */

static void settle(struct life *life) {
	cores_settle(life->cores);
}

/* Asks until there is an answer and room: so long, whoever asks knows nothing. */
static struct answer ask(struct life *life, struct cores_node *node, struct span request) {
	struct answer answer = { .result = CONTROL_FAILED };

	for (unsigned i = 0; i < 4; i++) {
		uint8_t copy[8192]; /* the node wipes what it has read of somebody */

		cr_assert_leq(request.len, sizeof(copy));
		memcpy(copy, request.data, request.len);
		answer = cores_ask(node, (struct span){ copy, request.len });
		if (answer.result != CONTROL_FAILED && answer.result != CONTROL_FULL)
			return answer;
		life->n_full += answer.result == CONTROL_FULL;
		cr_assert(node == life->victim, "no answer, or no room");
		calls_mend();
		life->cores->now_ms += 11000; /* longer than it waits for room */
	}
	cr_assert_fail("no answer");
}

static struct id take(struct life *life, struct cores_node *node, unsigned n, bool urgent, bool private) {
	uint8_t body[512], part[256], request[4096];
	struct draft draft = cores_petition(body, sizeof(body), n, urgent);
	struct answer answer;
	struct writer w;
	struct id id;
	uint64_t reference;
	char name[64];

	if (private) {
		snprintf(name, sizeof(name), "Nguyễn Văn %u", n);
		writer_init(&w, part, sizeof(part));
		private_encode(&(struct private_part){ .name = span_str(name), .contact = span_str("0900 111 222") }, &w);
		draft.private = writer_span(&w);
	}
	writer_init(&w, request, sizeof(request));
	control_write_submit(&w, 7, false, 1);
	control_write_draft(&w, &draft);
	answer = ask(life, node, writer_span(&w));
	cr_assert_eq(answer.result, CONTROL_OK, "%d", (int)answer.result);
	read_array(&answer.values, 1, 1);
	read_array(&answer.values, 3, 3);
	(void)read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &id);
	reference = read_uint(&answer.values, UINT64_MAX);
	cr_assert(!answer.values.failed);
	promised_id(node, PROMISE_CASE, &id);
	promised_number(node, PROMISE_REFERENCE, reference);
	if (private)
		promised_id(node, PROMISE_PRIVATE, &id);
	return id;
}

/* 0: somebody was first, perhaps this office itself, which had not said so. */
static void take_step(struct life *life, struct cores_node *node, const struct id *petition, uint8_t action, uint64_t n) {
	struct step step = { .petition = *petition, .action = action, .date_ms = CORES_START_MS + 1000, .text = span_str("...") };
	struct draft draft = { .kind = KIND_STEP, .lane = LANE_NORMAL };
	uint8_t body[256], request[1024];
	struct promise *made;
	struct answer answer;
	struct writer w;

	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	draft.body = writer_span(&w);
	writer_init(&w, request, sizeof(request));
	control_write_submit(&w, 7, false, 1);
	control_write_draft(&w, &draft);
	answer = ask(life, node, writer_span(&w));
	cr_assert(answer.result == CONTROL_OK || (life->n_deaths && answer.result == CONTROL_WRONG_STATE), "%d",
		(int)answer.result);
	made = promised(node, PROMISE_CASE);
	made->id = *petition;
	made->n = n;
}

static void private(struct life *life, struct cores_node *node, enum command command, const struct id *id) {
	uint8_t request[512];
	struct answer answer;
	struct writer w;

	writer_init(&w, request, sizeof(request));
	control_write_private(&w, 9, command, id, span_str("lan"), span_str("Báo kết quả"));
	if (command == COMMAND_ERASE)
		take_back(node, PROMISE_PRIVATE, id);
	answer = ask(life, node, writer_span(&w));
	if (command == COMMAND_ERASE && answer.result == CONTROL_KEY_LEFT) { /* tried again each turn */
		calls_mend();
		settle(life);
		answer = ask(life, node, writer_span(&w));
	}
	cr_assert(answer.result == CONTROL_OK || (life->n_deaths + calls_failed() && answer.result == CONTROL_ERASED), "%d",
		(int)answer.result);
	if (command == COMMAND_ERASE)
		promised_id(node, PROMISE_ERASED, id);
}

static void change_key(struct life *life, struct cores_node *node, uint8_t seed, uint64_t n) {
	struct keyfile next = { .seed = { seed }, .curve_secret = { 1 } };
	uint8_t request[64];
	struct answer answer;
	char path[PATH_MAX];
	struct writer w;

	snprintf(path, sizeof(path), "%s/keys.next", node->home.dir);
	cr_assert_eq(keyfile_write(path, &next), 0);
	writer_init(&w, request, sizeof(request));
	control_write_rotate(&w, 1);
	answer = ask(life, node, writer_span(&w));
	if (answer.result == CONTROL_BAD_FILE && calls_failed()) /* it could not be read */
		answer = ask(life, node, writer_span(&w));
	cr_assert(answer.result == CONTROL_OK || (life->n_deaths && answer.result == CONTROL_BAD_FILE), "%d",
		(int)answer.result);
	promised_number(node, PROMISE_KEYS, n);
}

static void rename_office(struct life *life, struct cores_node *node, const struct cores_node *of, const char *name) {
	struct office office = known(node, of)->office;
	uint8_t request[1024];
	struct writer w;

	office.name = span_str(name);
	writer_init(&w, request, sizeof(request));
	control_write_change_office(&w, 1, &office);
	cr_assert_eq(ask(life, node, writer_span(&w)).result, CONTROL_OK);
	promised_id(node, PROMISE_OFFICE, &of->id);
}

static void invite(struct life *life, struct cores_node *node, uint32_t code) {
	struct office office = { .code = code, .code_digits = 5, .level = span_str("village"), .name = span_str("Thôn Đông") };
	uint8_t request[1024];
	struct answer answer;
	struct writer w;
	struct id id;

	writer_init(&w, request, sizeof(request));
	control_write_invite(&w, 1, &office, span_str("tcp://127.0.0.1:7400"), 3600000, false);
	answer = ask(life, node, writer_span(&w));
	cr_assert_eq(answer.result, CONTROL_OK);
	(void)read_str(&answer.values, 1, 2048);
	read_id(&answer.values, &id);
	promised_id(node, PROMISE_INVITED, &id);
}

/* The topmost asks for a case two levels below, and gets it. */
static void request_case(struct life *life, struct cores_node *node, struct cores_node *asked, const struct cores_node *of,
	uint64_t index) {
	const struct inquiry inquiry = { .asked = of->id, .oplog = { of->id, 1, LANE_NORMAL }, .index = index,
		.who = span_str("minh"), .reason = span_str("Dân hỏi tỉnh.") };
	uint8_t request[1024];
	struct answer answer;
	struct writer w;
	struct id id;

	writer_init(&w, request, sizeof(request));
	control_write_ask(&w, 9, &inquiry);
	answer = ask(life, node, writer_span(&w));
	if (answer.result != CONTROL_OK)
		return;
	(void)read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &id);
	settle(life);
	writer_init(&w, request, sizeof(request));
	control_write_reply(&w, 9, COMMAND_GRANT, &id, span_str("lan"), span_str("Đã trả lời dân."));
	(void)ask(life, asked, writer_span(&w));
	settle(life);
}

static void restart(struct life *life, size_t at) {
	cores_down(&life->cores->nodes[at]);
	start_again(life, &life->cores->nodes[at]);
	settle(life);
}

static struct home *add_home(struct life *life, const struct cores_node *node, const char *name) {
	struct home *home = &life->homes[life->n_homes++];

	snprintf(home->name, sizeof(home->name), "%s", name);
	home->disk = disk_of(node->home.dir);
	home->office = node->id;
	home->config = &node->config;
	return home;
}

/* Its disk is lost; an old copy of its store is put back on another one. */
static void put_back(struct life *life, size_t at, struct scratch *copy, bool notes) {
	struct cores_node *node = &life->cores->nodes[at];
	struct home *old = life->of[at];

	cores_down(node);
	if (old->disk)
		disk_close(old->disk);
	mark_restored(copy);
	copy_file(node->home.dir, copy->dir, "keys");
	scratch_done(&node->home);
	node->home = *copy;
	if (notes)
		(void)disk_new(copy->dir);
	life->of[at] = add_home(life, node, "put back");
	life->of[at]->put_back = true;
	add_promise(life->of[at], PROMISE_STORE);
	start_again(life, node);
	for (unsigned i = 0; i < 3 || (i < 10 && epoch_of(node) < 2); i++) {
		if (i == 3) /* somebody makes room */
			calls_mend();
		life->cores->now_ms += i < 3 ? 2000 : 11000;
		connect(life, at);
		settle(life);
	}
	cr_assert_eq(epoch_of(node), 2);
}

/* A store alone: nobody's yet, and nothing else is synced after it. */
static void make_store(struct life *life) {
	struct cores_node *node = &life->cores->nodes[0]; /* its place is free still */
	struct home *home;

	node->home = scratch_new();
	home = add_home(life, node, "nobody");
	cr_assert_eq(store_create(node->home.path, SCRATCH_MAP), 0);
	add_promise(home, PROMISE_MADE);
	if (home->disk)
		disk_close(home->disk);
	scratch_done(&node->home);
}

static void found(struct life *life, bool notes) {
	static const char *const names[] = { "province", "district", "commune" };
	struct cores *cores = calloc(1, sizeof(*cores));

	cr_assert_not_null(cores);
	life->cores = cores;
	cores->now_ms = CORES_START_MS;
	cores->seed = 42;
	disk_watch(notes);
	make_store(life);
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		struct keyfile keys = { .seed = { (uint8_t)(i + 1) }, .curve_secret = { 1 } };
		struct cores_node *node = &cores->nodes[i];
		char path[PATH_MAX];

		disk_watch(notes);
		cores_add(cores, i ? i - 1 : 0);
		disk_watch(false);
		take_hooks(node);
		life->of[i] = add_home(life, node, names[i]);
		snprintf(path, sizeof(path), "%s/keys", node->home.dir);
		cr_assert_eq(keyfile_write(path, &keys), 0);
		add_promise(life->of[i], PROMISE_STORE);
		if (i > 0)
			promised_id(&cores->nodes[i - 1], PROMISE_OFFICE, &node->id);
	}
	cores->nodes[1].config.rules[0] = (struct rule){ .name = "seen", .cause = CAUSE_PEOPLE, .scope = RULE_SEEN, .at_least = 3,
		.lane = LANE_NORMAL };
	cores->begins = on_begin;
	cores->ended = on_end;
	for (size_t i = 1; i < cores->n; i++)
		cores_connect(cores, i);
	settle(life);
}

/* A few days of three offices. */
static void live_round(struct life *life, unsigned round) {
	struct cores_node *province = &life->cores->nodes[0], *district = &life->cores->nodes[1],
			  *commune = &life->cores->nodes[2];
	struct id first = take(life, commune, round * 10, false, true);
	struct id second = take(life, commune, round * 10 + 1, round % 3 == 0, round % 2 == 0);

	take_step(life, commune, &first, ACTION_ACCEPTED, 1);
	settle(life);
	commune->cut = round % 2;
	take_step(life, commune, &first, ACTION_RESOLVED, 2);
	private(life, commune, COMMAND_READ, &first);
	if (round % 2 == 0)
		private(life, commune, COMMAND_ERASE, &first);
	(void)take(life, district, round * 10 + 2, false, round % 3 == 1);
	settle(life);
	if (commune->cut)
		connect(life, 2);
	take_step(life, commune, &second, ACTION_ACCEPTED, 1);
	if (round % 3 == 1) {
		char name[32];

		snprintf(name, sizeof(name), "Đại Đồng %u", round);
		rename_office(life, district, commune, name);
		invite(life, district, 9000 + round);
	}
	life->cores->now_ms += RECEIPTS_MS;
	settle(life);
	if (round % 4 == 2)
		request_case(life, province, district, commune, round);
	if (round % 4 == 3)
		restart(life, round / 4 % 3);
}

/* What was set aside for want of room has its time, and nothing fails any more. */
static void come_to_rest(struct life *life) {
	calls_mend();
	settle(life);
	for (unsigned i = 0; life->victim && i < 4; i++) {
		life->cores->now_ms += 11000;
		for (size_t child = 1; child < life->cores->n; child++)
			connect(life, child);
		settle(life);
	}
}

void life_live(struct life *life, const struct life_plan *plan) {
	struct scratch copy = { 0 };

	lived = life;
	life->promise_early = plan->early;
	found(life, plan->notes);
	life->victim = plan->victim ? &life->cores->nodes[plan->victim] : NULL;
	for (unsigned round = 0; round < plan->rounds; round++) {
		struct cores_node *commune = &life->cores->nodes[2];

		live_round(life, round);
		if (round == plan->rounds / 4)
			change_key(life, commune, 100, 1);
		if (round == plan->rounds / 3)
			change_key(life, &life->cores->nodes[1], 101, 1);
		if (round == plan->rounds / 2) {
			cores_down(commune);
			copy = scratch_new();
			cr_assert_eq(mkdir(copy.path, 0700), 0);
			copy_file(commune->home.path, copy.path, "data.mdb");
			copy_file(commune->home.path, copy.path, "owner");
			start_again(life, commune);
			settle(life);
		}
		if (copy.dir[0] && round == plan->rounds * 3 / 4)
			put_back(life, 2, &copy, plan->notes);
	}
	come_to_rest(life);
	for (size_t i = 0; i < life->cores->n; i++) {
		struct cores_node *node = &life->cores->nodes[i];

		expect_rebuilt(node);
		if (i > 0)
			cr_assert_eq(known(&life->cores->nodes[i - 1], node)->forks.found, 0);
		if (i > 0)
			cr_assert_eq(cores_count(&life->cores->nodes[i - 1], node, MEASURE_RECEIVED),
				cores_count(node, node, MEASURE_RECEIVED));
	}
	for (size_t i = 0; i < life->cores->n; i++)
		cores_down(&life->cores->nodes[i]);
	for (size_t i = 0; i < life->n_homes; i++)
		if (life->homes[i].disk)
			disk_close(life->homes[i].disk);
}

void life_done(struct life *life) {
	cores_freep(&life->cores);
	for (size_t i = 0; i < life->n_homes; i++) {
		free(life->homes[i].promises);
		if (life->homes[i].disk)
			disk_free(life->homes[i].disk);
	}
	*life = (struct life){ 0 };
}
