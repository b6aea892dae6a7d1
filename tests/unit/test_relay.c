/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * relay - what a district can do to the records of its communes on their way to the province
 *
 * Between district and province sits a liar that reads every batch, as the district itself could, and passes
 * it on unpacked, one of them altered. Whatever it does is refused with a reason, nothing of it is kept, nobody
 * looks forked by it, and all arrives once it stops.
 */
#include <time.h>

#include "node/core_internal.h"
#include "proto/kinds/receipt.h"
#include "tests/cores.h"

enum {
	LEAVES_MAX = 1024,
	FRAME_MAX = MESSAGE_MAX,
};

/* The leaves of the batch that is lied about, on the way. */
struct load {
	struct batch batch;
	struct leaf leaves[LEAVES_MAX];
	uint8_t altered[RECORD_MAX];
};

static struct {
	struct id from, to;
	struct oplog_id about;
	void (*lie)(struct load *load);
	unsigned n_lies;
	struct compress_work *work;
	struct decompressor *unpack;
	struct load load;
	uint8_t plain[BATCH_PLAIN_MAX], frame[FRAME_MAX + 1];
} liar;

static void read_leaves(struct load *load, struct span plain) {
	struct reader r;

	cr_assert_leq(load->batch.n, LEAVES_MAX - 1);
	reader_init(&r, plain);
	read_array(&r, load->batch.n, load->batch.n);
	for (uint64_t i = 0; i < load->batch.n; i++)
		leaf_read(&r, &load->leaves[i]);
	read_end(&r);
	cr_assert_eq(reader_done(&r), 0);
}

static void pass_on(struct cores *cores, struct cores_frame *frame) {
	struct load *load = &liar.load;
	uint8_t payload[BATCH_PLAIN_MAX + 1] = { 0 };
	struct message message;
	struct writer w;
	struct span plain;

	if (!id_eq(&frame->from, &liar.from) || !id_eq(&frame->to, &liar.to) ||
		message_decode((struct span){ frame->data, frame->len }, &message))
		return;
	if (message.type == MESSAGE_HELLO)
		decompressor_reset(liar.unpack);
	if (message.type != MESSAGE_BATCH)
		return;
	load->batch = message.batch;
	cr_assert_eq(decompressor_run(liar.unpack, message.batch.payload, &plain), 0);
	read_leaves(load, plain);
	if (liar.lie && oplog_id_eq(&liar.about, &load->batch.oplog) && load->batch.n >= 4) {
		liar.lie(load);
		liar.n_lies++;
	}
	writer_init(&w, payload + 1, sizeof(payload) - 1);
	write_array(&w, load->batch.n);
	for (uint64_t i = 0; i < load->batch.n; i++)
		leaf_write(&w, &load->leaves[i]);
	cr_assert(writer_ok(&w));
	load->batch.payload = (struct span){ payload, w.len + 1 };
	writer_init(&w, liar.frame, sizeof(liar.frame));
	message_write_batch(&w, &load->batch);
	cr_assert(writer_ok(&w));
	free(frame->data);
	frame->data = malloc(w.len);
	memcpy(frame->data, liar.frame, w.len);
	frame->len = w.len;
}

static void drop(struct load *load) {
	load->batch.n--;
	load->batch.head.size--;
	memmove(load->leaves + 1, load->leaves + 2, (load->batch.n - 1) * sizeof(*load->leaves));
}

static void drop_the_last(struct load *load) {
	load->batch.n--;
	load->batch.head.size--;
}

static void reorder(struct load *load) {
	struct leaf leaf = load->leaves[1];

	load->leaves[1] = load->leaves[2];
	load->leaves[2] = leaf;
}

static void replace(struct load *load) {
	load->leaves[1] = load->leaves[2];
}

static void alter(struct load *load) {
	struct leaf *leaf = &load->leaves[1];

	if (leaf->withheld) {
		leaf->hash.b[7] ^= 1;
		return;
	}
	memcpy(load->altered, leaf->bytes.data, leaf->bytes.len);
	load->altered[leaf->bytes.len - 1] ^= 1;
	leaf->bytes.data = load->altered;
}

static void invent(struct load *load) {
	load->leaves[load->batch.n] = load->leaves[0];
	load->batch.n++;
	load->batch.head.size++;
}

static void give_other_bytes_for_a_hash(struct load *load) {
	for (uint64_t i = 0; i < load->batch.n; i++) {
		if (!load->leaves[i].withheld)
			continue;
		load->leaves[i] = (struct leaf){ .bytes = span_str("\x96 what was not asked") };
		return;
	}
}

static void call_it_anothers(struct load *load) {
	load->batch.oplog.office = liar.from;
}

static void call_it_another_life(struct load *load) {
	load->batch.oplog.epoch++;
}

static void call_it_another_lane(struct load *load) {
	load->batch.oplog.lane = LANE_BULK;
}

static void sign_anew(struct load *load) {
	load->batch.head.signature[5] ^= 1;
}

static void hide(struct load *load) {
	for (uint64_t i = 0; i < load->batch.n; i++)
		if (!load->leaves[i].withheld)
			leaf_withhold(&load->leaves[i]);
}

static void call_it_private(struct load *load) {
	for (uint64_t i = 0; i < load->batch.n; i++) {
		if (!load->leaves[i].withheld)
			leaf_withhold(&load->leaves[i]);
		load->leaves[i].reach = REACH_RULE;
	}
}

static const struct {
	const char *what;
	void (*lie)(struct load *load);
} lies[] = {
	{ "drops one", drop }, { "drops the last", drop_the_last }, { "changes the order", reorder },
	{ "puts one in the place of another", replace }, { "alters one", alter }, { "invents one", invent },
	{ "gives other bytes for a hash", give_other_bytes_for_a_hash }, { "calls it its own", call_it_anothers },
	{ "calls it another life's", call_it_another_life }, { "calls it another lane's", call_it_another_lane },
	{ "has no signature", sign_anew }, { "gives hashes for counts", hide },
	{ "gives hashes, and says that they are of petitions", call_it_private },
};

static uint64_t refusals(const struct cores_node *node) {
	uint64_t n = 0;

	for (size_t i = 0; i < REFUSAL_N; i++)
		n += node->core->refusals[i];
	return n;
}

Test(relay, whatever_a_district_does_to_its_communes_records_is_refused, .timeout = 300) {
	for (size_t i = 0; i < N_ELEMENTS(lies); i++) {
		_cleanup_(cores_freep) struct cores *cores = cores_new(3);
		struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
				  *commune = &cores->nodes[2];
		uint64_t before, withheld;

		cr_assert_eq(compress_work_new(3, &liar.work), 0);
		cr_assert_eq(decompressor_new(liar.work, BATCH_PLAIN_MAX, &liar.unpack), 0);
		liar.from = district->id;
		liar.to = province->id;
		liar.about = (struct oplog_id){ commune->id, 1, LANE_NORMAL };
		liar.lie = NULL;
		liar.n_lies = 0;
		cores->on_frame = pass_on;
		cores->now_ms += 2000;
		cores_connect(cores, 1); /* a session of which it sees the beginning */
		cores_take_petitions(commune, 0, 10);
		cores_settle(cores);
		before = cores_leaves(province, commune, LANE_NORMAL, &withheld);
		cr_assert_eq(before, 20);

		commune->cut = true;
		cores_take_petitions(commune, 100, 20); /* one batch */
		liar.lie = lies[i].lie;
		for (unsigned k = 0; k < 3; k++) {
			cores->now_ms += 2000;
			cores_connect(cores, 1);
			cores_connect(cores, 2);
			cores_settle(cores);
		}
		cr_expect_gt(liar.n_lies, 0, "%s", lies[i].what);
		cr_expect_eq(cores_leaves(province, commune, LANE_NORMAL, &withheld), before, "%s: it was kept",
			lies[i].what);
		cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 10, "%s", lies[i].what);
		cr_expect_gt(refusals(province), 0, "%s: nobody minded", lies[i].what);
		cr_expect_eq(register_find(&province->core->reg, &commune->id)->row.forks.found, 0,
			"%s: and an honest office is accused", lies[i].what);
		cr_expect_eq(register_find(&province->core->reg, &district->id)->row.forks.found, 0, "%s", lies[i].what);

		liar.lie = NULL;
		cores->now_ms += 2000;
		cores_connect(cores, 1);
		cores_settle(cores);
		cr_expect_eq(cores_leaves(province, commune, LANE_NORMAL, &withheld), 60, "%s", lies[i].what);
		cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 30, "%s", lies[i].what);
		decompressor_free(liar.unpack);
		compress_work_free(liar.work);
	}
}

static void rename_office(struct cores_node *by, const struct cores_node *node, unsigned n) {
	struct office office = register_find(&by->core->reg, &node->id)->row.office;
	char name[32];
	uint8_t frame[256];
	struct writer w;

	snprintf(name, sizeof(name), "Huyện %u", n);
	office.name = span_str(name);
	writer_init(&w, frame, sizeof(frame));
	control_write_change_office(&w, 1, &office);
	cr_assert_eq(cores_ask(by, writer_span(&w)).result, CONTROL_OK);
}

/* Counts of a commune are for the province, and a change of an office for those below: neither can be hidden. */
Test(relay, what_an_office_above_says_to_all_cannot_be_hidden_from_those_below, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
			  *commune = &cores->nodes[2];
	uint64_t before, withheld;

	cr_assert_eq(compress_work_new(3, &liar.work), 0);
	cr_assert_eq(decompressor_new(liar.work, BATCH_PLAIN_MAX, &liar.unpack), 0);
	liar.from = district->id;
	liar.to = commune->id;
	liar.about = (struct oplog_id){ province->id, 1, LANE_URGENT };
	liar.lie = hide;
	liar.n_lies = 0;
	cores->on_frame = pass_on;
	before = cores_leaves(commune, province, LANE_URGENT, &withheld);
	for (unsigned i = 0; i < 4; i++)
		rename_office(province, district, i);
	for (unsigned k = 0; k < 2; k++) {
		cores->now_ms += 2000;
		cores_connect(cores, 1);
		cores_connect(cores, 2);
		cores_settle(cores);
	}
	cr_expect_gt(liar.n_lies, 0);
	cr_expect_eq(cores_leaves(commune, province, LANE_URGENT, &withheld), before);
	cr_expect_gt(commune->core->refusals[REFUSAL_WITHHELD], 0);
	liar.lie = NULL;
	cores->now_ms += 2000;
	cores_connect(cores, 2);
	cores_settle(cores);
	cr_expect_eq(cores_leaves(commune, province, LANE_URGENT, &withheld), before + 4);
	cr_expect_eq(withheld, 0);
	decompressor_free(liar.unpack);
	compress_work_free(liar.work);
}

/*
 * A district that says one thing to the province and another to its commune: two nodes with its id and keys hear
 * both, and each is heard by one of them.
 */
static bool to_province(void *userdata, const struct id *neighbour, struct span frame) {
	const struct cores_node *node = userdata;

	return !id_eq(neighbour, &node->cores->nodes[0].id) || cores_send(userdata, neighbour, frame);
}

static bool to_commune(void *userdata, const struct id *neighbour, struct span frame) {
	const struct cores_node *node = userdata;

	return !id_eq(neighbour, &node->cores->nodes[2].id) || cores_send(userdata, neighbour, frame);
}

static void become_two_faced(struct cores *cores) {
	struct cores_node *face = &cores->nodes[1], *other = &cores->nodes[3];
	const uint8_t seed[SIGN_SEED_LEN] = { 2 };

	*other = (struct cores_node){ .cores = cores, .parent = face->parent, .home = scratch_new(), .id = face->id,
		.config = face->config, .io = face->io };
	other->io.userdata = other;
	cr_assert_eq(signer_new(seed, &other->keys.signer), 0);
	cr_assert_eq(store_copy(face->store, other->home.path), 0);
	face->io.send = to_province;
	other->io.send = to_commune;
	cores->n++;
	cores_up(other);
}

static void pass_ten_minutes(struct cores *cores) {
	for (unsigned i = 0; i < 7; i++) {
		cores->now_ms += 100000;
		cores_connect(cores, 1);
		cores_connect(cores, 2);
		cores_settle(cores);
	}
}

static bool is_found(struct cores_node *node, const struct cores_node *of) {
	return register_find(&node->core->reg, &of->id)->row.forks.found > 0;
}

/* What the province's status says of its only link. */
static struct trouble told(struct cores_node *node) {
	struct control_status status;
	struct link_report link;
	struct answer answer;
	uint8_t buf[64];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_status(&w, 1);
	answer = cores_ask(node, writer_span(&w));
	cr_assert_eq(control_status_read(&answer, &status), 0);
	cr_assert(control_link_next(&status, &link));
	return link.trouble;
}

static bool is_told(struct cores_node *node) {
	return told(node).code == TROUBLE_SHOWN_BELOW;
}

/* A district with two faces after ten minutes, in which nothing is wrong yet. */
static struct cores *two_faced(void) {
	struct cores *cores = cores_new(3);

	cores_take_petitions(&cores->nodes[1], 0, 3);
	cores_settle(cores);
	become_two_faced(cores);
	pass_ten_minutes(cores);
	cr_assert_not(is_found(&cores->nodes[0], &cores->nodes[1]));
	cr_assert_not(is_told(&cores->nodes[0]));
	return cores;
}

Test(relay, a_district_with_two_histories_is_found_by_what_its_commune_was_shown, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_faced();
	struct cores_node *province = &cores->nodes[0], *face = &cores->nodes[1], *commune = &cores->nodes[2],
			  *other = &cores->nodes[3];
	uint64_t withheld;

	cores_take_petitions(other, 100, 5); /* what it tells the commune runs ahead of what it tells the province */
	pass_ten_minutes(cores);
	cr_expect_eq(cores_leaves(commune, face, LANE_NORMAL, &withheld), 16);
	cr_expect_eq(cores_leaves(province, face, LANE_NORMAL, &withheld), 6);
	cr_expect_not(is_found(province, face), "the province may only be late");
	cores_take_petitions(other, 200, 5);
	cores_take_petitions(face, 300, 8);
	cores_settle(cores);
	pass_ten_minutes(cores);
	cr_expect(is_found(province, face));
	cr_expect(is_found(face, face), "and it hears of it");
	cr_expect_not(is_found(province, commune));
	cores_take_petitions(commune, 400, 1);
	cores_settle(cores);
	cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 1, "what it passes on counts all the same");
	pass_ten_minutes(cores);
	cr_expect_not(is_told(province), "it is known by now");
}

/* What the commune was shown last is not here, and what it was shown before is. */
Test(relay, it_is_found_by_what_came_before_what_is_still_to_come, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_faced();
	struct cores_node *province = &cores->nodes[0], *face = &cores->nodes[1], *other = &cores->nodes[3];

	cores_take_petitions(other, 100, 5);
	pass_ten_minutes(cores);
	cores_take_petitions(other, 200, 100);
	pass_ten_minutes(cores);
	cr_expect_not(is_told(province), "it may still come");
	pass_ten_minutes(cores);
	cr_expect(is_told(province));
	cores_take_petitions(face, 500, 8);
	pass_ten_minutes(cores);
	cr_expect(is_found(province, face));
}

Test(relay, a_district_that_pads_what_it_shows_its_commune_is_named, .timeout = 100) {
	_cleanup_(cores_freep) struct cores *cores = two_faced();
	struct cores_node *province = &cores->nodes[0], *face = &cores->nodes[1], *other = &cores->nodes[3];

	cores_take_petitions(other, 100, 300);
	pass_ten_minutes(cores);
	for (unsigned i = 0; i < 2; i++) {
		cores_take_petitions(face, 1000 + 10 * i, 5);
		pass_ten_minutes(cores);
	}
	cr_expect_not(is_found(province, face), "nothing is proved");
	cr_assert(is_told(province));
	cr_expect_str_eq(told(province).detail, "260 Tiên Du \u2192 09302");
	cores_take_petitions(face, 2000, 300); /* as many, of another content */
	pass_ten_minutes(cores);
	pass_ten_minutes(cores);
	cr_expect(is_found(province, face));
	cr_expect_not(is_told(province));
}

static void change_key(struct cores_node *node, uint8_t seed) {
	uint8_t buf[64];
	struct writer w;

	node->next_seed = seed;
	writer_init(&w, buf, sizeof(buf));
	control_write_rotate(&w, 1);
	cr_assert_eq(cores_ask(node, writer_span(&w)).result, CONTROL_OK);
}

/* Nobody above can verify what the commune was shown since. */
Test(relay, a_district_that_shows_its_commune_another_key_is_named, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_faced();
	struct cores_node *province = &cores->nodes[0], *face = &cores->nodes[1], *other = &cores->nodes[3];

	change_key(other, 77);
	change_key(face, 78);
	cores_take_petitions(other, 100, 5);
	cores_take_petitions(face, 200, 50);
	for (unsigned i = 0; i < 3; i++)
		pass_ten_minutes(cores);
	cr_expect_not(is_found(province, face));
	cr_expect(is_told(province));
}

Test(relay, what_a_commune_was_shown_outlasts_a_restart, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_faced();
	struct cores_node *province = &cores->nodes[0], *face = &cores->nodes[1], *other = &cores->nodes[3];

	cores_take_petitions(other, 100, 5);
	pass_ten_minutes(cores);
	cores_down(province);
	cores_up(province);
	cores_take_petitions(face, 300, 8);
	pass_ten_minutes(cores);
	pass_ten_minutes(cores);
	cr_expect(is_found(province, face));
}

/* A slow line is no fault: what is between sends all of its own before the receipts of those below. */
Test(relay, a_district_that_is_only_late_is_not_named, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];

	district->cut = true;
	cores_take_petitions(district, 0, 500);
	for (unsigned i = 0; i < 40; i++) {
		cores->now_ms += 100000;
		cores_connect(cores, 2);
		cores_settle(cores);
	}
	cr_assert_not(is_told(province));
	for (unsigned i = 0; i < 4; i++) {
		pass_ten_minutes(cores);
		cr_expect_not(is_told(province));
	}
}

static void write_receipt(struct cores_node *by, const struct receipt_entry *entries, size_t n) {
	struct record rec = { .kind = KIND_RECEIPT, .time_ms = CORES_START_MS };
	uint8_t body[RECORD_MAX];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	receipt_encode(entries, n, &w);
	rec.body = writer_span(&w);
	cores_begin(by);
	cr_assert_eq(author_make_id(&by->core->author, by->cores->now_ms, &rec.id), 0);
	cr_assert_eq(core_write(by->core, LANE_BULK, &rec, NULL, 0), 0);
	cores_end(by);
}

/* A commune cannot accuse its district of what the district did not sign. */
Test(relay, what_a_commune_says_that_it_was_shown_must_be_signed, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct receipt_entry entry = { { district->id, 1, LANE_NORMAL }, { .size = 1 } };

	cores_take_petitions(district, 0, 3);
	cores_settle(cores);
	write_receipt(commune, &entry, 1);
	pass_ten_minutes(cores);
	pass_ten_minutes(cores);
	cr_expect_not(is_found(province, district));
	cr_expect_not(is_found(commune, district));
	cr_expect_not(is_told(province), "what it says since is true");
}

/* An office has a word only of those between it and whoever reads it; and its word keeps nobody else's out. */
Test(relay, what_an_office_says_of_others_than_those_above_it_is_not_looked_at, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = two_faced();
	struct cores_node *province = &cores->nodes[0], *face = &cores->nodes[1], *commune = &cores->nodes[2],
			  *other = &cores->nodes[3];
	struct receipt_entry entries[RECEIPT_MAX];

	for (unsigned i = 0; i < 8; i++) { /* of itself, of the province, of offices that are not; and lives that are not */
		for (unsigned k = 0; k < N_ELEMENTS(entries); k++)
			entries[k] = (struct receipt_entry){ { i == 0 ? commune->id : i == 1 ? province->id :
				i == 2 ? face->id : scratch_id(i), 200 - k, LANE_NORMAL }, { .size = 1u << 30 } };
		write_receipt(face, entries, N_ELEMENTS(entries));
	}
	cores_take_petitions(other, 100, 5);
	cores_take_petitions(face, 300, 8);
	pass_ten_minutes(cores);
	pass_ten_minutes(cores);
	cr_expect(is_found(province, face));
	cr_expect_not(is_told(province));
}

static uint64_t cpu_ms(void) {
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Hundreds of receipts, each of many oplogs, with heads that nobody signed. */
Test(relay, what_is_looked_at_in_one_turn_is_little, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct receipt_entry entries[RECEIPT_MAX];
	uint64_t before;

	cores_take_petitions(district, 0, 510);
	for (unsigned k = 0; k < N_ELEMENTS(entries); k++)
		entries[k] = (struct receipt_entry){ { district->id, 1, LANE_NORMAL }, { .size = 1019 - k } };
	for (unsigned i = 0; i < 500; i++)
		write_receipt(commune, entries, N_ELEMENTS(entries));
	cores_settle(cores);
	cores->now_ms += 700000;
	cores_begin(province);
	before = cpu_ms();
	cores_end(province);
	cr_expect_lt(cpu_ms() - before, 500);
}
