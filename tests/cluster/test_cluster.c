/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <fts.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/changes.h"
#include "tests/cluster/puppet.h"
#include "tests/cluster/tree.h"

enum {
	REST_MS = 60000,
};

static struct tree province_district_commune(void) {
	struct tree tree = { 0 };

	tree_add(&tree, "Bắc Ninh", 27, 2, -1, true);
	tree_add(&tree, "Tiên Du", 260, 3, 0, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 1, false);
	return tree;
}

Test(cluster, what_was_taken_in_while_the_parent_was_down_arrives_once, .timeout = 120) {
	_cleanup_(tree_done) struct tree tree = province_district_commune();

	proc_stop(tree.procs[1]);
	ctl_take_petitions(tree.procs[2], 2000, 10);
	proc_start(tree.procs[1]);
	tree_open(&tree);
	cr_assert(tree_wait(&tree, REST_MS));
	cr_assert_eq(tree_count(&tree, 0, 2, MEASURE_RECEIVED), 2000);
	cr_assert_eq(tree_count(&tree, 0, 2, MEASURE_PEOPLE), 6000);
	cr_assert_eq(tree_petitions(&tree, 1, 2), 2000);
	cr_assert_eq(tree_petitions(&tree, 0, 2), 0, "detail goes one level up");
	cr_assert_eq(tree_verify(&tree), 0);
}

/* Takes batches of the normal lane, acknowledging none, until @size leaves have come. */
static void collect(struct puppet *parent, uint64_t size, struct writer *leaves, struct head *ret_head) {
	struct message message;

	*ret_head = (struct head){ 0 };
	while (ret_head->size < size) {
		struct span plain;
		struct reader r;

		cr_assert(puppet_expect(parent, MESSAGE_BATCH, PUPPET_PATIENT_MS, &message),
			"%lu leaves came, and no more", (unsigned long)ret_head->size);
		plain = puppet_unpack(parent, &message.batch);
		if (message.batch.oplog.lane != LANE_NORMAL)
			continue;
		cr_assert_eq(message.batch.first, ret_head->size);
		*ret_head = message.batch.head;
		reader_init(&r, plain);
		read_array(&r, message.batch.n, message.batch.n);
		for (uint64_t i = 0; i < message.batch.n; i++) {
			struct leaf leaf;

			leaf_read(&r, &leaf);
			cr_assert_not(leaf.withheld);
			leaf_write(leaves, &leaf);
		}
		read_end(&r);
		cr_assert_eq(reader_done(&r), 0);
	}
}

Test(cluster, the_same_bytes_are_sent_again_after_kill_9, .timeout = 120) {
	_cleanup_(puppet_freep) struct puppet *parent = puppet_parent();
	_cleanup_(proc_freep) struct proc *commune = proc_new("Đại Đồng", 9163, 5, false);
	_cleanup_(writer_done) struct writer before, after;
	struct head head_before, head_after;

	writer_init_grow(&before);
	writer_init_grow(&after);
	proc_start(commune);
	puppet_adopt(parent, commune);
	ctl_take_petitions(commune, 300, 5); /* each request ends with a tally */
	puppet_greet(parent);
	collect(parent, 360, &before, &head_before);
	proc_kill9(commune);
	proc_start(commune);
	puppet_greet(parent);
	collect(parent, 360, &after, &head_after);
	cr_assert(span_eq(writer_span(&before), writer_span(&after)));
	cr_assert_eq(memcmp(&head_before, &head_after, sizeof(head_before)), 0);
}

Test(cluster, a_parent_killed_in_the_middle_of_a_transfer_goes_on_where_it_was, .timeout = 300) {
	_cleanup_(tree_done) struct tree tree = province_district_commune();
	unsigned n = 0, in_the_middle = 0;

	for (unsigned round = 0; round < 5 && in_the_middle < 2; round++) {
		uint64_t until_ms = proc_now_ms() + REST_MS, before, after, all;

		proc_stop(tree.procs[1]);
		ctl_take_petitions(tree.procs[2], 60000, 1000);
		n += 60000;
		tree_open(&tree);
		before = tree_size(&tree, 1, 2, LANE_NORMAL);
		all = tree_size(&tree, 2, 2, LANE_NORMAL);
		tree_close(&tree);
		proc_start(tree.procs[1]);
		tree_open(&tree);
		do {
			cr_assert_lt(proc_now_ms(), until_ms, "nothing arrives");
			tree_refresh(&tree);
			after = tree_size(&tree, 1, 2, LANE_NORMAL);
		} while (after == before);
		proc_kill9(tree.procs[1]);
		tree_refresh(&tree);
		in_the_middle += tree_size(&tree, 1, 2, LANE_NORMAL) < all;
		tree_close(&tree);
		proc_start(tree.procs[1]);
	}
	cr_assert_geq(in_the_middle, 1, "the parent was always too quick");
	tree_open(&tree);
	cr_assert(tree_wait(&tree, REST_MS));
	cr_assert_eq(tree_count(&tree, 0, 2, MEASURE_RECEIVED), n);
	cr_assert_eq(tree_verify(&tree), 0);
}

/* What a hostile office sends, and why it must be refused. */

static void altered_batch(struct puppet *puppet, const struct proc *sibling) {
	uint8_t plain[8192];
	struct batch batch;
	struct writer w;

	writer_init(&w, plain, sizeof(plain));
	batch = puppet_batch(puppet, 5, &w);
	plain[w.len - 1] ^= 1;
	puppet_send_batch(puppet, &batch, writer_span(&w));
}

static void another_key(struct puppet *puppet, const struct proc *sibling) {
	_cleanup_(signer_freep) struct signer *signer = NULL;
	uint8_t plain[8192];
	struct batch batch;
	struct writer w;

	cr_assert_eq(signer_new(sibling->keys.seed, &signer), 0);
	writer_init(&w, plain, sizeof(plain));
	batch = puppet_batch(puppet, 5, &w);
	cr_assert_eq(head_sign(signer, &batch.oplog, &batch.head), 0);
	puppet_send_batch(puppet, &batch, writer_span(&w));
}

static void gap(struct puppet *puppet, const struct proc *sibling) {
	uint8_t plain[8192];
	struct batch batch;
	struct writer w;

	writer_init(&w, plain, sizeof(plain));
	(void)puppet_batch(puppet, 5, &w);
	writer_init(&w, plain, sizeof(plain));
	batch = puppet_batch(puppet, 5, &w);
	puppet_send_batch(puppet, &batch, writer_span(&w));
}

static void other_leaves_under_old_numbers(struct puppet *puppet, const struct proc *sibling) {
	uint8_t plain[8192];
	struct batch batch;
	struct writer w;

	frontier_init(&puppet->frontier);
	writer_init(&w, plain, sizeof(plain));
	batch = puppet_batch(puppet, 5, &w);
	puppet_send_batch(puppet, &batch, writer_span(&w));
}

static void oplog_of_the_sibling(struct puppet *puppet, const struct proc *sibling) {
	uint8_t plain[8192];
	struct batch batch;
	struct writer w;

	writer_init(&w, plain, sizeof(plain));
	batch = puppet_batch(puppet, 5, &w);
	batch.oplog.office = sibling->office.id;
	puppet_send_batch(puppet, &batch, writer_span(&w));
}

static void oplog_of_nobody(struct puppet *puppet, const struct proc *sibling) {
	uint8_t plain[8192];
	struct batch batch;
	struct writer w;

	writer_init(&w, plain, sizeof(plain));
	batch = puppet_batch(puppet, 5, &w);
	batch.oplog.office.b[3] ^= 1;
	puppet_send_batch(puppet, &batch, writer_span(&w));
}

static void lost_batch(struct puppet *puppet, const struct proc *sibling) {
	uint8_t plain[8192];
	struct batch batch;
	struct writer w;

	puppet->out_sequence = 7;
	writer_init(&w, plain, sizeof(plain));
	batch = puppet_batch(puppet, 5, &w);
	puppet_send_batch(puppet, &batch, writer_span(&w));
}

static void batch_that_does_not_unpack(struct puppet *puppet, const struct proc *sibling) {
	uint8_t frame[1024];
	struct batch batch = { .oplog = { puppet->office.id, 1, LANE_NORMAL }, .n = 1,
		.payload = span_str("\x01this is not zstd") };
	struct writer w;

	writer_init(&w, frame, sizeof(frame));
	message_write_batch(&w, &batch);
	puppet_say(puppet, writer_span(&w));
}

static void truncated_frame(struct puppet *puppet, const struct proc *sibling) {
	uint8_t frame[1024];
	struct batch batch = { .oplog = { puppet->office.id, 1, LANE_NORMAL }, .n = 1,
		.payload = span_str("\x00nothing") };
	struct writer w;

	writer_init(&w, frame, sizeof(frame));
	message_write_batch(&w, &batch);
	for (size_t len = 0; len < w.len; len++)
		puppet_say(puppet, (struct span){ frame, len });
}

static void five_bytes_for_a_gigabyte(struct puppet *puppet, const struct proc *sibling) {
	puppet_say(puppet, (struct span){ (const uint8_t *)"\xdd\x04\x00\x00\x00", 5 });
}

static void garbage(struct puppet *puppet, const struct proc *sibling) {
	uint8_t frame[2000];

	for (size_t i = 0; i < 20; i++) {
		cr_assert_eq(random_bytes(frame, sizeof(frame)), 0);
		puppet_say(puppet, (struct span){ frame, 100 * i + 1 });
	}
}

static void frame_too_large_for_a_message(struct puppet *puppet, const struct proc *sibling) {
	static const uint8_t frame[MESSAGE_MAX + 1] = { 0x92, 0x04 };

	puppet_say(puppet, (struct span){ frame, sizeof(frame) });
}

static void hello_of_another(struct puppet *puppet, const struct proc *sibling) {
	uint8_t frame[256];
	struct writer w;

	writer_init(&w, frame, sizeof(frame));
	message_write_hello(&w, &(struct hello){ MESSAGE_VERSION, sibling->office.id, 1, proc_wall_ms(),
		span_str("puppet"), false });
	puppet_say(puppet, writer_span(&w));
}

static void hello_of_no_version(struct puppet *puppet, const struct proc *sibling) {
	uint8_t frame[256];
	struct writer w;

	writer_init(&w, frame, sizeof(frame));
	message_write_hello(&w, &(struct hello){ 0, puppet->office.id, 1, proc_wall_ms(),
		span_str("puppet"), false });
	puppet_say(puppet, writer_span(&w));
}

static const struct attack {
	const char *name;
	void (*make)(struct puppet *puppet, const struct proc *sibling);
	enum refusal why;
} attacks[] = {
	{ "an altered batch", altered_batch, REFUSAL_ROOT },
	{ "a signature by another key", another_key, REFUSAL_SIGNATURE },
	{ "a gap", gap, REFUSAL_GAP },
	{ "an oplog of the sibling", oplog_of_the_sibling, REFUSAL_NOT_YOURS },
	{ "an oplog of nobody", oplog_of_nobody, REFUSAL_UNKNOWN_OFFICE },
	{ "a batch out of its place", lost_batch, REFUSAL_OUT_OF_STEP },
	{ "a batch that does not unpack", batch_that_does_not_unpack, REFUSAL_OUT_OF_STEP },
	{ "a frame cut short", truncated_frame, REFUSAL_MALFORMED },
	{ "five bytes for a gigabyte", five_bytes_for_a_gigabyte, REFUSAL_MALFORMED },
	{ "garbage", garbage, REFUSAL_MALFORMED },
	{ "a frame too large for a message", frame_too_large_for_a_message, REFUSAL_MALFORMED },
	{ "a HELLO of another office", hello_of_another, REFUSAL_STRANGER },
	{ "a HELLO of no version", hello_of_no_version, REFUSAL_VERSION },
};

static const struct attack forks = { "other leaves under old numbers", other_leaves_under_old_numbers, REFUSAL_FORK };
static const struct attack goes_on = { "an office that forked", gap, REFUSAL_QUARANTINED };

/* In a session of its own, until the node has said why it refuses. */
static void attack_with(const struct attack *attack, struct puppet *puppet, const struct proc *sibling) {
	struct frontier frontier = puppet->frontier;
	struct message message;

	puppet_greet(puppet);
	attack->make(puppet, sibling);
	do {
		cr_assert(puppet_expect(puppet, MESSAGE_REFUSE, PUPPET_PATIENT_MS, &message),
			"not refused as %s: %s", refusal_name(attack->why), attack->name);
	} while (message.refuse.reason != attack->why);
	puppet->frontier = frontier;
}

static void attack_with_everything(struct puppet *puppet, const struct proc *sibling) {
	for (size_t i = 0; i < N_ELEMENTS(attacks); i++)
		attack_with(&attacks[i], puppet, sibling);
}

/* libzmq itself ends the connection; then the office may come back. */
static void send_what_no_socket_takes(struct puppet *puppet, const struct proc *parent) {
	static const uint8_t frame[4 << 20];

	puppet_say(puppet, (struct span){ frame, sizeof(frame) });
	puppet_reconnect(puppet, parent);
	puppet_greet(puppet);
}

Test(cluster, a_hostile_child_is_refused_and_harms_nobody, .timeout = 300) {
	struct tree tree = { 0 };
	_cleanup_(puppet_freep) struct puppet *puppet = NULL;
	struct proc *district, *sibling;
	uint8_t plain[8192];
	struct batch batch;
	struct writer w;
	struct message message;
	uint64_t rss, refused;

	tree_add(&tree, "Tiên Du", 260, 3, -1, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 0, false);
	district = tree.procs[0];
	sibling = tree.procs[1];
	puppet = puppet_child(district, "Phật Tích", 9164);
	puppet_greet(puppet);
	writer_init(&w, plain, sizeof(plain));
	batch = puppet_batch(puppet, 10, &w);
	puppet_send_batch(puppet, &batch, writer_span(&w)); /* it is not hostile from the beginning */
	cr_assert(puppet_expect(puppet, MESSAGE_ACK, PUPPET_PATIENT_MS, &message));

	for (unsigned i = 0; i < 3; i++) {
		attack_with_everything(puppet, sibling);
		puppet_replay(puppet);
		send_what_no_socket_takes(puppet, district);
	}
	rss = proc_rss(district);
	refused = ctl_refusals(district, 0);
	for (unsigned i = 0; i < 20; i++) {
		ctl_take_petitions(sibling, 10, 2);
		attack_with_everything(puppet, sibling);
		puppet_replay(puppet);
		send_what_no_socket_takes(puppet, district);
	}
	/* a sanitizer keeps what was freed */
	cr_assert(getenv("LIENTHONGD_SANITIZED") || proc_rss(district) < rss + (8 << 20), "from %lu to %lu KiB", (unsigned long)rss / 1024,
		(unsigned long)proc_rss(district) / 1024);
	cr_assert_gt(ctl_refusals(district, 0), refused + 200, "refusals are not counted");
	cr_assert_eq(ctl_link_state(district, &sibling->office.id), LINK_REPORT_STREAMING);

	/* and what the office does well is still taken */
	puppet_greet(puppet);
	writer_init(&w, plain, sizeof(plain));
	batch = puppet_batch(puppet, 10, &w);
	puppet_send_batch(puppet, &batch, writer_span(&w));
	cr_assert(puppet_expect(puppet, MESSAGE_ACK, PUPPET_PATIENT_MS, &message));

	/* until it has signed two histories */
	attack_with(&forks, puppet, sibling);
	attack_with(&goes_on, puppet, sibling);
	tree_open(&tree);
	cr_assert(tree_wait(&tree, REST_MS));
	cr_assert_eq(tree_count(&tree, 0, 1, MEASURE_RECEIVED), 200);
	cr_assert_eq(tree_verify(&tree), 0);
	tree_done(&tree);
}

/* Whether the log of @proc has a line with @text. */
static bool log_has(const struct proc *proc, const char *text) {
	char path[96], line[1024];
	bool found = false;
	FILE *file;

	proc_log_path(proc, path);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		found |= strstr(line, text) != NULL;
	if (file)
		(void)fclose(file);
	return found;
}

Test(cluster, a_strangers_key_is_refused_and_reaches_nothing, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *district = proc_new("Tiên Du", 260, 3, true);
	_cleanup_(puppet_freep) struct puppet *stranger = NULL;
	uint64_t until_ms = proc_now_ms() + PUPPET_PATIENT_MS;
	struct span frame;
	uint8_t buf[256];
	struct writer w;

	proc_start(district);
	stranger = puppet_stranger(district);
	writer_init(&w, buf, sizeof(buf));
	message_write_hello(&w, &(struct hello){ MESSAGE_VERSION, stranger->office.id, 1, proc_wall_ms(),
		span_str("puppet"), false });
	puppet_say(stranger, writer_span(&w));
	puppet_say(stranger, span_str("garbage"));
	while (!log_has(district, "a connection was refused")) {
		cr_assert_lt(proc_now_ms(), until_ms, "nobody refused it");
		cr_assert_not(puppet_hear(stranger, 20, &frame));
	}
	cr_assert_not(puppet_hear(stranger, 1000, &frame));
	cr_assert_eq(ctl_refusals(district, 0), 0, "what it said was read");
	cr_assert_eq(ctl_link_state(district, &stranger->office.id), -1);
}

/* What stands in a home: names, modes and contents. */

static int by_name(const FTSENT **a, const FTSENT **b) {
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void add_file(const FTSENT *entry, struct writer *w) {
	static uint8_t bytes[1 << 20];
	ssize_t n;
	int fd;

	write_str(w, span_str(entry->fts_path));
	write_uint(w, entry->fts_statp->st_mode);
	if (entry->fts_info != FTS_F || !S_ISREG(entry->fts_statp->st_mode))
		return;
	fd = open(entry->fts_accpath, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
		struct hash hash;

		sha256((struct span){ bytes, (size_t)n }, &hash);
		write_hash(w, &hash);
	}
	(void)close(fd);
}

static struct hash look_at(const struct proc *proc) {
	char *paths[] = { (char *)proc->home, NULL };
	_cleanup_(writer_done) struct writer w;
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	struct hash hash;
	FTSENT *entry;

	writer_init_grow(&w);
	cr_assert_not_null(fts);
	while ((entry = fts_read(fts)))
		if (entry->fts_info != FTS_DP && strcmp(entry->fts_name, "lock.mdb") != 0)
			add_file(entry, &w); /* LMDB's table of readers is for who is there, not data */
	(void)fts_close(fts);
	cr_assert(writer_ok(&w));
	sha256(writer_span(&w), &hash);
	return hash;
}

/* The daemon must end with @code and say only one sentence, with @text in it; nothing may change. */
static void must_not_start(struct proc *proc, int code, const char *text) {
	struct hash before = look_at(proc), after;
	char path[96], line[1024];
	unsigned n = 0;
	FILE *file;
	int status;

	proc_spawn(proc);
	status = proc_wait(proc, PROC_STARTS_MS);
	cr_assert(status != -1 && WIFEXITED(status), "it runs: %d", status);
	cr_assert_eq(WEXITSTATUS(status), code, "exit status %d", WEXITSTATUS(status));
	proc_log_path(proc, path);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		n++;
	cr_assert_eq(n, 1, "%u lines", n);
	cr_assert(strstr(line, text), "it says: %s", line);
	(void)fclose(file);
	after = look_at(proc);
	cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0, "its home has changed");
}

static struct proc *made_once(void) {
	struct proc *proc = proc_new("Tiên Du", 260, 3, true);

	proc_start(proc);
	ctl_take_petitions(proc, 20, 10);
	proc_stop(proc);
	return proc;
}

Test(cluster, a_second_node_in_one_home_does_not_start_and_the_first_goes_on, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *first = made_once();
	struct proc second;

	proc_start(first);
	second = *first;
	second.pid = 0;
	must_not_start(&second, 1, "another node is already running in");
	ctl_take_petitions(first, 20, 10);
	proc_stop(first);
}

/* What systemd would be told within so long; how often "WATCHDOG=1" was in it. */
static unsigned hear_watchdog(int fd, unsigned ms) {
	struct pollfd ready = { fd, POLLIN, 0 };
	uint64_t until = proc_now_ms() + ms;
	unsigned n = 0;

	for (uint64_t now; (now = proc_now_ms()) < until;) {
		char said[256];
		ssize_t len = poll(&ready, 1, (int)(until - now)) > 0 ? recv(fd, said, sizeof(said) - 1, 0) : 0;

		said[len > 0 ? len : 0] = '\0';
		n += strstr(said, "WATCHDOG=1") != NULL;
	}
	return n;
}

Test(cluster, systemd_hears_that_turns_go_on_as_long_as_they_do, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = made_once();
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", proc->home);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	setenv("WATCHDOG_USEC", "600000", 1);
	proc_start(proc);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	cr_expect_geq(hear_watchdog(fd, 2000), 3, "it has nothing to do");
	cr_assert_eq(kill(proc->pid, SIGSTOP), 0);
	(void)hear_watchdog(fd, 300);
	cr_expect_eq(hear_watchdog(fd, 1000), 0);
	cr_assert_eq(kill(proc->pid, SIGCONT), 0);
	cr_expect_geq(hear_watchdog(fd, 2000), 3);
	proc_stop(proc);
	close(fd);
}

Test(cluster, a_port_in_use_is_named, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *first = proc_new("Quế Võ", 259, 3, true);
	_cleanup_(proc_freep) struct proc *second = made_once();
	char text[128];

	proc_start(first);
	snprintf(text, sizeof(text), "listen: %s\n", first->listen);
	proc_configure(second, text);
	snprintf(text, sizeof(text), "%s is in use", first->listen);
	must_not_start(second, 1, text);
}

Test(cluster, a_bad_line_of_the_configuration_is_named, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = made_once();

	proc_configure(proc, "# of a district\n\nreconnect_ms: soon\n");
	must_not_start(proc, 1, "lienthong.yaml:3: ");
}

Test(cluster, keys_that_others_can_read_are_not_used, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = made_once();
	char path[96];

	snprintf(path, sizeof(path), "%s/keys", proc->home);
	cr_assert_eq(chmod(path, 0644), 0);
	must_not_start(proc, 1, "mode 0600");
	cr_assert_eq(unlink(path), 0);
	must_not_start(proc, 1, "is missing");
}

Test(cluster, a_home_that_others_can_change_is_not_used, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = made_once();

	cr_assert_eq(chmod(proc->home, 0770), 0);
	must_not_start(proc, 1, "others can write to it");
	cr_assert_eq(chmod(proc->home, 0755), 0);
	proc_start(proc);
}

Test(cluster, a_store_of_a_newer_version_is_left_alone, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = made_once();
	struct store *store = proc_store(proc, STORE_WRITE);
	uint8_t format[4];
	struct txn *txn;

	put_be32(format, 99);
	cr_assert_eq(store_begin_write(store, &txn), 0);
	cr_assert_eq(meta_put(txn, "format", (struct span){ format, sizeof(format) }), 0);
	cr_assert_eq(store_commit(txn), 0);
	store_close(store);
	must_not_start(proc, 1, "newer version");
}

Test(cluster, a_damaged_store_is_said_to_be_so, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = made_once();
	uint8_t noise[8192];
	char path[96];
	int fd;

	cr_assert_eq(random_bytes(noise, sizeof(noise)), 0);
	snprintf(path, sizeof(path), "%s/store/data.mdb", proc->home);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, noise, sizeof(noise), 0), sizeof(noise));
	(void)close(fd);
	must_not_start(proc, 76, "is damaged");
}

Test(cluster, sigterm_stops_a_node_whose_parent_is_silent_or_gone, .timeout = 120) {
	_cleanup_(puppet_freep) struct puppet *parent = puppet_parent();
	_cleanup_(proc_freep) struct proc *commune = proc_new("Đại Đồng", 9163, 5, false);

	proc_start(commune);
	puppet_adopt(parent, commune);
	puppet_greet(parent);
	ctl_take_petitions(commune, 20000, 1000); /* more than fits into the window and the sockets */
	proc_stop(commune);
	proc_start(commune);
	parent = puppet_free(parent);
	proc_stop(commune);
	proc_start(commune); /* nobody is there at all */
	proc_stop(commune);
}

Test(cluster, sigterm_stops_a_node_whose_child_hangs, .timeout = 120) {
	_cleanup_(tree_done) struct tree tree = province_district_commune();

	tree_open(&tree);
	cr_assert(tree_wait(&tree, REST_MS));
	tree_close(&tree);
	cr_assert_eq(kill(tree.procs[2]->pid, SIGSTOP), 0);
	ctl_take_petitions(tree.procs[1], 20000, 1000);
	proc_stop(tree.procs[1]);
	cr_assert_eq(kill(tree.procs[2]->pid, SIGCONT), 0);
}

/* A consumer of the change stream, as lienthongd(8) says that one should be. */
struct consumer {
	struct proc *proc;
	void *context;
	void *socket;
	struct hash *rows; /* of numbers from 1 to last */
	uint64_t last, cap;
	uint64_t n_live;
};

static void consume(struct consumer *consumer, uint64_t number, struct span row) {
	cr_assert_eq(number, consumer->last + 1);
	if (number > consumer->cap) {
		consumer->cap = 2 * consumer->cap + 256;
		consumer->rows = reallocarray(consumer->rows, consumer->cap, sizeof(*consumer->rows));
		cr_assert_not_null(consumer->rows);
	}
	sha256(row, &consumer->rows[number - 1]);
	consumer->last = number;
}

/* Everything since the last number that it has. */
static void catch_up(struct consumer *consumer) {
	_cleanup_(ctl_freep) struct ctl *ctl = ctl_new(consumer->proc);
	uint64_t newest;

	do {
		struct answer answer;
		uint64_t n;

		control_write_since(ctl_writer(ctl), ctl_number(ctl), consumer->last, 7);
		cr_assert_eq(ctl_ask(ctl, CTL_PATIENT_MS, NULL, NULL, &answer), 0);
		cr_assert_eq(answer.result, CONTROL_OK);
		n = read_array(&answer.values, 0, 7);
		for (uint64_t i = 0; i < n; i++) {
			uint64_t number;

			read_array(&answer.values, 2, 2);
			number = read_uint(&answer.values, UINT64_MAX);
			consume(consumer, number, read_raw(&answer.values));
			read_end(&answer.values);
		}
		read_end(&answer.values);
		newest = read_uint(&answer.values, UINT64_MAX);
		cr_assert_not(answer.values.failed);
	} while (consumer->last < newest);
	cr_assert_eq(consumer->last, newest);
}

/* What is published now; asks for what was missed. */
static void listen_for(struct consumer *consumer, unsigned timeout_ms) {
	zmq_pollitem_t item = { .socket = consumer->socket, .events = ZMQ_POLLIN };

	while (zmq_poll(&item, 1, (long)timeout_ms) > 0) {
		uint8_t topic[16], bytes[CHANGE_MAX + 16];
		uint64_t number;
		struct span row;
		struct reader r;
		int n;

		cr_assert_eq(zmq_recv(consumer->socket, topic, sizeof(topic), 0), 6);
		cr_assert_eq(memcmp(topic, "change", 6), 0);
		n = zmq_recv(consumer->socket, bytes, sizeof(bytes), 0);
		cr_assert(n > 0 && (size_t)n <= sizeof(bytes));
		reader_init(&r, (struct span){ bytes, (size_t)n });
		read_array(&r, 2, 2);
		number = read_uint(&r, UINT64_MAX);
		row = read_raw(&r);
		read_end(&r);
		cr_assert_eq(reader_done(&r), 0);
		timeout_ms = 0;
		if (number > consumer->last + 1)
			catch_up(consumer);
		if (number == consumer->last + 1) {
			consume(consumer, number, row);
			consumer->n_live++;
		}
	}
}

Test(cluster, the_change_stream_gives_every_number_once_also_across_a_restart, .timeout = 120) {
	_cleanup_(proc_freep) struct proc *proc = proc_new("Tiên Du", 260, 3, true);
	struct consumer consumer = { .proc = proc }, again = { .proc = proc };
	char address[96];

	consumer.context = zmq_ctx_new();
	consumer.socket = zmq_socket(consumer.context, ZMQ_SUB);
	snprintf(address, sizeof(address), "ipc://%s/stream.sock", proc->home);
	cr_assert_eq(zmq_setsockopt(consumer.socket, ZMQ_SUBSCRIBE, "change", 6), 0);
	proc_start(proc);
	ctl_take_petitions(proc, 20, 2); /* nobody listens yet */
	cr_assert_eq(zmq_connect(consumer.socket, address), 0);
	for (unsigned life = 0; life < 3; life++) {
		uint64_t until_ms = proc_now_ms() + PUPPET_PATIENT_MS, live = consumer.n_live;

		catch_up(&consumer);
		while (consumer.n_live < live + 50) { /* it is heard again */
			cr_assert_lt(proc_now_ms(), until_ms, "nothing is published");
			ctl_take_petitions(proc, 4, 2);
			listen_for(&consumer, 20);
		}
		ctl_take_petitions(proc, 100, 2); /* some of it published, some lost with the node */
		proc_kill9(proc);
		proc_start(proc);
	}
	catch_up(&consumer);
	catch_up(&again);
	cr_assert_eq(again.last, consumer.last);
	cr_assert_eq(memcmp(again.rows, consumer.rows, again.last * sizeof(*again.rows)), 0,
		"a row was published that is not the one that is kept");
	(void)zmq_close(consumer.socket);
	(void)zmq_ctx_term(consumer.context);
	free(consumer.rows);
	free(again.rows);
}
