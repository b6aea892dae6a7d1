/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * format_page - store/FORMAT.md tells the truth: a store that the code makes has exactly the rows
 * that are its examples, and no others
 */
#include <ctype.h>
#include <fcntl.h>

#include "proto/kinds/petition.h"
#include "proto/record.h"
#include "store/cases.h"
#include "store/changes.h"
#include "store/cursor.h"
#include "store/disclosures.h"
#include "store/offices.h"
#include "store/oplog.h"
#include "store/invites.h"
#include "store/private.h"
#include "store/requests.h"
#include "store/tallies.h"
#include "tests/unit/scratch.h"

enum {
	EXAMPLES_MAX = 64,
};

struct bytes {
	uint8_t data[1024];
	size_t len;
};

struct example {
	enum table table;
	struct bytes key;
	struct bytes value;
};

static const char *const headings[TABLE_N] = {
	"meta", "offices", "words", "oplogs", "records", "runs", "heads", "subtrees", "cursors", "cases", "steps",
	"escalations", "waiting", "tallies", "changes", "invites", "private", "disclosures", "requests",
	"grants",
};

static const struct id office_id = { "\x01\x8f\x3a\0\0\0\x70\0\x80\0\0\0\0\0\0\x01" };
static const struct id parent_id = { "\x01\x8f\x39\0\0\0\x70\0\x80\0\0\0\0\0\0\x02" };
static const struct id petition_id = { "\x01\x8f\x3b\0\0\0\x70\0\x80\0\0\0\0\0\0\x03" };
static const struct id step_id = { "\x01\x8f\x3c\0\0\0\x70\0\x80\0\0\0\0\0\0\x04" };
static const struct id escalation_id = { "\x01\x8f\x3d\0\0\0\x70\0\x80\0\0\0\0\0\0\x05" };

static const struct id request_id = { "\x01\x8f\x3e\0\0\0\x70\0\x80\0\0\0\0\0\0\x06" };
static const struct id reply_id = { "\x01\x8f\x3f\0\0\0\x70\0\x80\0\0\0\0\0\0\x07" };

static const uint64_t received_ms = 1714545600000;  /* 2024-05-01 06:40 UTC */
static const uint64_t reference = 91632400042;

static void write_register(struct txn *txn, const struct signer *signer) {
	struct office office = {
		.id = office_id, .parent = parent_id, .code = 9163, .code_digits = 5,
		.state = OFFICE_ACTIVE, .valid_from_ms = received_ms - 86400000,
		.level = span_str("commune"), .name = span_str("Hòa Vang"),
	};
	uint8_t state[16 + 4 + 1 + 4 + 3 * 8] = { [19] = 1 };
	uint8_t body[OFFICE_BODY_MAX];
	struct writer w;
	uint32_t number;

	signer_public(signer, office.sign_key);
	memset(office.curve_key, 0xcc, sizeof(office.curve_key));
	cr_assert_eq(offices_put(txn, &office, &(struct office_former){ 0 }, &number), 0);
	writer_init(&w, body, sizeof(body));
	office_encode(&office, &w);
	cr_assert_eq(offices_put_word(txn, &(struct office_word){ office_id, parent_id, 0, false }, writer_span(&w)), 0);
	cr_assert_eq(offices_set_own(txn, &office_id, 1), 0);
	cr_assert_eq(offices_set_parent_address(txn, span_str("tcp://10.1.2.3:7250")), 0);
	memcpy(state, parent_id.b, sizeof(parent_id.b));
	cr_assert_eq(meta_put(txn, "disclosed-to", (struct span){ state, sizeof(state) }), 0);
}

static void sign_here(struct txn *txn, struct signer *signer, struct oplog *oplog) {
	struct head head = { .size = oplog->frontier.size };

	frontier_root(&oplog->frontier, &head.root);
	cr_assert_eq(head_sign(signer, &oplog->id, &head), 0);
	cr_assert_eq(oplog_put_head(txn, oplog, &head, false), 0);
}

static void append_withheld(struct txn *txn, struct oplog *oplog, const char *text) {
	struct leaf leaf = { .bytes = span_str(text) };
	struct hash hash;
	uint64_t arrival;

	leaf_withhold(&leaf);
	leaf_hash(&leaf, &hash);
	cr_assert_eq(oplog_append(txn, oplog, &leaf, &hash, &arrival), 0);
}

/* As if there had been one leaf less than a subtree of it. */
static void append_the_last_of_a_subtree(struct txn *txn, const struct oplog_id *id) {
	struct oplog oplog;

	cr_assert_eq(oplog_load(txn, id, &oplog), 0);
	memset(&oplog.frontier, 0, sizeof(oplog.frontier));
	oplog.frontier.size = (1 << OPLOG_SUBTREE_LEVEL) - 1;
	append_withheld(txn, &oplog, "nor that");
}

/* Two oplogs by turns, so that a run ends; and so much of one that a head must stay. */
static void write_oplogs(struct txn *txn, struct signer *signer) {
	const struct oplog_id above_id = { parent_id, 1, LANE_URGENT };
	const struct oplog_id id = { office_id, 1, LANE_NORMAL };
	const struct petition petition = {
		.legal_kind = LEGAL_PETITION, .category = CATEGORY_FACILITIES,
		.channel = CHANNEL_IN_PERSON, .people = 120, .received_ms = received_ms,
		.reference = reference, .village = span_str("Túy Loan"),
		.text = span_str("The bridge is out."),
	};
	struct leaf leaf = { .withheld = false };
	uint8_t body[256], bytes[512];
	struct writer body_w, w;
	struct record rec = {
		.kind = KIND_PETITION, .organisation = ORGANISATION_FRONT, .id = petition_id,
		.time_ms = received_ms + 60000,
	};
	struct oplog oplog, above;
	struct hash hash;
	uint64_t arrival;

	writer_init(&body_w, body, sizeof(body));
	petition_encode(&petition, &body_w);
	rec.body = writer_span(&body_w);
	writer_init(&w, bytes, sizeof(bytes));
	cr_assert_eq(record_encode(&rec, NULL, 0, &w), 0);
	cr_assert(writer_ok(&w));
	leaf.bytes = writer_span(&w);
	leaf_hash(&leaf, &hash);

	cr_assert_eq(oplog_load_or_create(txn, &id, &oplog), 0);
	cr_assert_eq(oplog_append(txn, &oplog, &leaf, &hash, &arrival), 0);
	append_withheld(txn, &oplog, "what this office may not read");
	sign_here(txn, signer, &oplog);
	oplog.bytes += BATCH_BYTES_MAX; /* as if these leaves were as long as they can be */
	oplog.head_bytes = oplog.bytes;
	cr_assert_eq(oplog_load_or_create(txn, &above_id, &above), 0);
	append_withheld(txn, &above, "what its parent may not read");
	cr_assert_eq(oplog_flush(txn, &above), 0);
	append_withheld(txn, &oplog, "nor this");
	sign_here(txn, signer, &oplog);
	cr_assert_eq(oplog_flush(txn, &oplog), 0);
	cr_assert_eq(cursor_put(txn, &parent_id, &id, 1), 0);
	append_the_last_of_a_subtree(txn, &above_id);
	cr_assert_eq(oplog_disclose(txn, 3, span_str("what its parent may not read")), 0);
	cr_assert_eq(disclosures_put(txn, &parent_id, &(struct disclosure){ oplog.number, 2 }), 0);
}

static void write_case(struct txn *txn) {
	const struct case_row row = {
		.kind = KIND_PETITION, .legal_kind = LEGAL_PETITION, .state = CASE_FORWARDED, .category = CATEGORY_FACILITIES,
		.organisation = ORGANISATION_FRONT, .escalated = true, .origin = 1, .handed_to = parent_id,
		.people = 120, .n_steps = 2, .clock_step = 2, .arrival = 1, .last = 2, .reference = reference,
		.received_ms = received_ms, .recorded_ms = received_ms + 60000,
		.since_ms = received_ms + 172800000, .due_ms = received_ms + 864000000,
		.accepted_ms = received_ms + 86400000, .forwarded_ms = received_ms + 172800000,
	};

	cr_assert_eq(cases_put(txn, &petition_id, &row), 0);
	cr_assert_eq(steps_put(txn, &petition_id, &(struct step_row){ 2, 1, { { 0x33, 0xdc } }, step_id, 2 }), 0);
	cr_assert_eq(escalations_put(txn, &petition_id,
		&(struct escalation_row){ 1, CAUSE_OVERDUE, 2, escalation_id, 3 }), 0);
	cr_assert_eq(clock_put(txn, &(struct clock){ true, LEGAL_PETITION, true, CASE_FORWARDED, row.due_ms }, &petition_id), 0);
	cr_assert_eq(requests_put(txn, &(struct request_row){ request_id, 1, reply_id, 4 }), 0);
	cr_assert_eq(grants_put(txn, &petition_id, 1, &reply_id, 4), 0);
}

static void append_change(struct txn *txn, const struct change *change) {
	uint8_t buf[CHANGE_MAX];
	struct writer w;
	uint64_t number;

	writer_init(&w, buf, sizeof(buf));
	change_encode(change, &w);
	cr_assert(writer_ok(&w));
	cr_assert_eq(changes_append(txn, writer_span(&w), &number), 0);
}

static void write_counts(struct txn *txn) {
	const struct tally_entry entry = {
		1, 1, { 202405, CATEGORY_FACILITIES, ORGANISATION_FRONT, MEASURE_RECEIVED, 42 }, 0,
	};
	const struct change tally = {
		.type = CHANGE_TALLY, .time_ms = received_ms + 60001, .office = office_id,
		.tally = entry.row,
	};
	const struct change escalation = {
		.type = CHANGE_ESCALATION, .time_ms = received_ms + 60001, .office = office_id,
		.escalation = {
			.petition = petition_id, .reference = reference, .cause = CAUSE_PEOPLE,
			.rule = span_str("many-people"), .state = CASE_RECEIVED, .measured = 120,
			.threshold = 100, .people = 120, .category = CATEGORY_FACILITIES,
		},
	};

	cr_assert_eq(tallies_put(txn, &entry), 0);
	append_change(txn, &tally);
	append_change(txn, &escalation);
}

/* What is sealed is never the same twice: the page shows what an erasure leaves. */
static void write_invite(struct txn *txn) {
	struct invite_row row = {
		.office = office_id, .state = INVITE_ASKED, .code = 9163, .code_digits = 5,
		.level = span_str("commune"), .name = span_str("Xã Tân Lập"),
		.address = span_str("tcp://127.0.0.1:5555"), .expires_ms = received_ms,
		.request = span_str("its request"),
	};

	memset(row.guest_key, 0xb3, sizeof(row.guest_key));
	cr_assert_eq(invites_put(txn, &row), 0);
}

static void write_private(struct txn *txn, const struct scratch *scratch) {
	_cleanup_(keyring_closep) struct keyring *keyring = NULL;
	const uint8_t salt[PRIVATE_SALT_LEN] = { 1 };
	static const uint8_t file[32] = "lienthong keyring 1\n\0\0\0\0\x01\x23\x45\x67\x89\xab\xcd\xef";
	static const uint8_t next[12] = "\x01\x23\x45\x67\x89\xab\xcd\xef";
	struct keyring_key key;
	char path[PATH_MAX];
	int fd;

	/* the number that a file is called after is drawn: not here */
	snprintf(path, sizeof(path), "%s/private-0123456789abcdef.keys", scratch->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	cr_assert(fd >= 0 && write(fd, file, sizeof(file)) == sizeof(file) && close(fd) == 0);
	cr_assert_eq(meta_put(txn, "private-next", (struct span){ next, sizeof(next) }), 0);
	cr_assert_eq(keyring_open(scratch->dir, &keyring), 0);
	cr_assert_eq(private_put(txn, keyring, &petition_id, salt, span_str("somebody")), 0);
	cr_assert_eq(private_erase(txn, &petition_id, &key), 0);
}

static void add_hex(struct bytes *bytes, const char *text) {
	for (; *text; text++) {
		const char pair[3] = { text[0], text[1], 0 };

		if (isspace((unsigned char)*text))
			continue;
		cr_assert(isxdigit((unsigned char)pair[0]) && isxdigit((unsigned char)pair[1]), "%s",
			text);
		cr_assert_lt(bytes->len, sizeof(bytes->data));
		bytes->data[bytes->len++] = strtoul(pair, NULL, 16);
		text++;
	}
}

/* "## table" begins a table; in its fenced blocks "key" and "value" begin their bytes, in hex. */
static size_t read_page(struct example *ret_examples) {
	const char *root = getenv("SOURCE_ROOT");
	int table = -1;
	struct bytes *bytes = NULL;
	bool fenced = false;
	char path[PATH_MAX], line[512];
	size_t n = 0;
	FILE *f;

	cr_assert_not_null(root, "SOURCE_ROOT says where store/FORMAT.md is");
	snprintf(path, sizeof(path), "%s/store/FORMAT.md", root);
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "```", 3) == 0) {
			fenced = !fenced;
			bytes = NULL;
		} else if (!fenced && strncmp(line, "## ", 3) == 0) {
			for (table = TABLE_N - 1; table >= 0; table--)
				if (strcmp(line + 3, headings[table]) == 0)
					break;
		} else if (fenced && table >= 0 && strncmp(line, "key ", 4) == 0) {
			cr_assert_lt(n, EXAMPLES_MAX);
			ret_examples[n] = (struct example){ .table = table };
			bytes = &ret_examples[n++].key;
			add_hex(bytes, line + 4);
		} else if (fenced && bytes && strncmp(line, "value", 5) == 0) {
			bytes = &ret_examples[n - 1].value;
			add_hex(bytes, line + 5);
		} else if (fenced && bytes) {
			add_hex(bytes, line);
		}
	}
	fclose(f);
	return n;
}

static void print_hex(const char *what, struct span bytes) {
	fprintf(stderr, "%-6s", what);
	for (size_t i = 0; i < bytes.len; i++)
		fprintf(stderr, "%s%02x", i > 0 && i % 40 == 0 ? "\n      " : "", bytes.data[i]);
	fprintf(stderr, "\n");
}

Test(format_page, shows_exactly_the_rows_that_the_code_writes) {
	_cleanup_(scratch_done) struct scratch scratch = scratch_new();
	_cleanup_(store_closep) struct store *store = scratch_store(&scratch);
	_cleanup_(store_abortp) struct txn *txn = scratch_txn(store);
	_cleanup_(signer_freep) struct signer *signer = NULL;
	const uint8_t seed[SIGN_SEED_LEN] = { 1 };
	struct example *examples = calloc(EXAMPLES_MAX, sizeof(*examples));
	size_t n, n_found = 0;

	cr_assert_not_null(examples);
	cr_assert_eq(signer_new(seed, &signer), 0);
	write_register(txn, signer);
	write_oplogs(txn, signer);
	write_case(txn);
	write_counts(txn);
	write_invite(txn);
	write_private(txn, &scratch);

	n = read_page(examples);
	for (enum table table = 0; table < TABLE_N; table++) {
		_cleanup_(scan_closep) struct scan *scan = NULL;
		struct span key, value;

		cr_assert_eq(scan_open(txn, table, (struct span){ 0 }, &scan), 0);
		while (scan_next(scan, &key, &value) == 0) {
			bool found = false;

			for (size_t i = 0; i < n && !found; i++) {
				const struct example *ex = &examples[i];

				found = ex->table == table &&
					span_eq(key, (struct span){ ex->key.data, ex->key.len }) &&
					span_eq(value, (struct span){ ex->value.data, ex->value.len });
			}
			n_found += found;
			cr_expect(found, "%s has a row that is not on the page", headings[table]);
			if (!found) {
				print_hex("key", key);
				print_hex("value", value);
			}
		}
	}
	cr_expect_eq(n_found, n, "the page has %zu examples, %zu of them true", n, n_found);
	free(examples);
}
