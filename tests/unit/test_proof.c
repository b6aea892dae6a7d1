/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Which chains of offices prove a record, and which do not. Each is also given to a program that shares
 * nothing with ours, which must come to the same: tests/independent/verify.py.
 */
#include "proto/proof.h"
#include "proto/record.h"
#include "tests/kinds.h"
#include "tests/unit/scratch.h"

enum {
	STEPS_MAX = 8,
	RECORD_MAX_HERE = 1024,
	FINGERPRINT_LEN = 10, /* bytes of a hash */
	SAID_MAX = 1024,
};

enum who {
	NOBODY,
	PROVINCE,
	DISTRICT,
	COMMUNE,
	NEIGHBOUR, /* another commune of the district */
};

/* A link, from the root down; the keys are numbers: each office's first is that of its name. */
struct stated {
	enum who writer;
	uint8_t signed_with;
	uint8_t size;    /* of the oplog, whose last leaf it is; 0: 1 */
	uint8_t epoch;   /* 0: 1 */
	enum who about;  /* NOBODY: it is a petition */
	enum who parent;
	uint8_t key;     /* that it says; 0: the office's first */
	uint8_t end;     /* of epoch 1, in each lane; 0: none */
	enum office_state state; /* 0: active, or revoked where another one says an end */
	bool withheld;
};

#define BY(office, key) .writer = office, .signed_with = key
#define ENROL_DISTRICT { BY(PROVINCE, PROVINCE), .about = DISTRICT, .parent = PROVINCE }
#define ENROL_COMMUNE { BY(DISTRICT, DISTRICT), .about = COMMUNE, .parent = DISTRICT }
#define ENROL_NEIGHBOUR { BY(DISTRICT, DISTRICT), .about = NEIGHBOUR, .parent = DISTRICT }
#define END_COMMUNE { BY(DISTRICT, DISTRICT), .about = COMMUNE, .parent = DISTRICT, .end = 3 }

static const struct chain {
	const char *what;
	int want;
	struct stated steps[STEPS_MAX];
} chains[] = {
	{ "the topmost's own", 0, { { BY(PROVINCE, PROVINCE) } } },
	{ "a hash", 0, { ENROL_DISTRICT, { BY(DISTRICT, DISTRICT), .withheld = true } } },
	{ "two levels", 0, { ENROL_DISTRICT, ENROL_COMMUNE, { BY(COMMUNE, COMMUNE) } } },
	{ "the key of another", PROOF_BAD_SIGNATURE, { ENROL_DISTRICT, ENROL_COMMUNE, { BY(COMMUNE, NEIGHBOUR) } } },
	{ "nobody enrolled it", PROOF_BAD_CHAIN, { ENROL_DISTRICT, { BY(COMMUNE, COMMUNE) } } },
	{ "another than the parent enrols", PROOF_BAD_CHAIN,
		{ ENROL_DISTRICT, { BY(DISTRICT, DISTRICT), .about = COMMUNE, .parent = PROVINCE }, { BY(COMMUNE, COMMUNE) } } },
	{ "a hash where a key is said", PROOF_BAD_CHAIN,
		{ { BY(PROVINCE, PROVINCE), .about = DISTRICT, .parent = PROVINCE, .withheld = true }, { BY(DISTRICT, DISTRICT) } } },
	{ "a petition where a key is said", PROOF_BAD_CHAIN, { { BY(PROVINCE, PROVINCE) }, { BY(PROVINCE, PROVINCE) } } },

	/* an office that is enrolled says who is above it */
	{ "forged: its parent", PROOF_BAD_CHAIN,
		{ ENROL_DISTRICT, ENROL_COMMUNE, { BY(COMMUNE, COMMUNE), .about = DISTRICT, .parent = COMMUNE, .key = 9 },
			{ BY(DISTRICT, 9) } } },
	{ "forged: the topmost", PROOF_BAD_CHAIN,
		{ ENROL_DISTRICT, { BY(DISTRICT, DISTRICT), .about = PROVINCE, .parent = DISTRICT, .key = 9 }, { BY(PROVINCE, 9) } } },
	{ "forged: whom its parent enrols", PROOF_BAD_CHAIN,
		{ ENROL_DISTRICT, ENROL_COMMUNE, { BY(COMMUNE, COMMUNE), .about = DISTRICT, .parent = COMMUNE, .key = 9 },
			{ BY(DISTRICT, 9), .about = NEIGHBOUR, .parent = DISTRICT }, { BY(NEIGHBOUR, NEIGHBOUR) } } },

	/* what goes before must be about what follows */
	{ "two are enrolled", PROOF_BAD_CHAIN, { ENROL_DISTRICT, ENROL_NEIGHBOUR, ENROL_COMMUNE, { BY(COMMUNE, COMMUNE) } } },
	{ "the parent's own, after it enrolled", PROOF_BAD_CHAIN, { ENROL_DISTRICT, ENROL_COMMUNE, { BY(DISTRICT, DISTRICT) } } },

	/* ends */
	{ "at the end", 0, { ENROL_DISTRICT, ENROL_COMMUNE, END_COMMUNE, { BY(COMMUNE, COMMUNE), .size = 3 } } },
	{ "beyond it", PROOF_ENDED, { ENROL_DISTRICT, ENROL_COMMUNE, END_COMMUNE, { BY(COMMUNE, COMMUNE), .size = 4 } } },
	{ "in another life", PROOF_ENDED,
		{ ENROL_DISTRICT, ENROL_COMMUNE, END_COMMUNE, { BY(COMMUNE, COMMUNE), .epoch = 2 } } },
	{ "only the end is said", 0, { ENROL_DISTRICT, END_COMMUNE, { BY(COMMUNE, COMMUNE), .size = 3 } } },
	{ "only the end is said, beyond it", PROOF_ENDED, { ENROL_DISTRICT, END_COMMUNE, { BY(COMMUNE, COMMUNE), .size = 4 } } },
	{ "taken back", PROOF_BAD_CHAIN, { ENROL_DISTRICT, END_COMMUNE, ENROL_COMMUNE, { BY(COMMUNE, COMMUNE), .size = 4 } } },
	{ "of one that is not revoked", PROOF_BAD_CHAIN,
		{ ENROL_DISTRICT, { BY(DISTRICT, DISTRICT), .about = COMMUNE, .parent = DISTRICT, .end = 3, .state = OFFICE_CLOSED },
			{ BY(COMMUNE, COMMUNE) } } },
	{ "revoked without one", PROOF_BAD_CHAIN,
		{ ENROL_DISTRICT, { BY(DISTRICT, DISTRICT), .about = COMMUNE, .parent = DISTRICT, .state = OFFICE_REVOKED },
			{ BY(COMMUNE, COMMUNE) } } },
	{ "it cannot enrol beyond it", PROOF_ENDED,
		{ ENROL_DISTRICT, { BY(PROVINCE, PROVINCE), .about = DISTRICT, .parent = PROVINCE, .end = 2 },
			{ BY(DISTRICT, DISTRICT), .size = 3, .about = COMMUNE, .parent = DISTRICT }, { BY(COMMUNE, COMMUNE) } } },

	/* keys */
	{ "a key is changed", 0,
		{ ENROL_DISTRICT, ENROL_COMMUNE, { BY(COMMUNE, COMMUNE), .about = COMMUNE, .parent = DISTRICT, .key = 9, .end = 2, .size = 2 },
			{ BY(COMMUNE, 9), .size = 5 } } },
	{ "by the key itself", PROOF_BAD_SIGNATURE,
		{ ENROL_DISTRICT, ENROL_COMMUNE, { BY(COMMUNE, 9), .about = COMMUNE, .parent = DISTRICT, .key = 9, .end = 2, .size = 2 },
			{ BY(COMMUNE, 9) } } },
	{ "before it says so", PROOF_BAD_CHAIN,
		{ ENROL_DISTRICT, ENROL_COMMUNE, { BY(COMMUNE, COMMUNE), .about = COMMUNE, .parent = DISTRICT, .key = 9, .end = 1, .size = 2 },
			{ BY(COMMUNE, 9), .size = 5 } } },
	{ "with another life", PROOF_BAD_CHAIN,
		{ ENROL_DISTRICT, ENROL_COMMUNE, { BY(COMMUNE, COMMUNE), .about = COMMUNE, .parent = DISTRICT, .key = 9, .end = 1, .epoch = 2 },
			{ BY(COMMUNE, 9), .size = 5, .epoch = 2 } } },
	{ "without an end of the one before", PROOF_BAD_CHAIN,
		{ ENROL_DISTRICT, ENROL_COMMUNE, { BY(COMMUNE, COMMUNE), .about = COMMUNE, .parent = DISTRICT, .key = 9 },
			{ BY(COMMUNE, 9) } } },
	{ "changed, then ended", 0,
		{ ENROL_DISTRICT, ENROL_COMMUNE, END_COMMUNE,
			{ BY(COMMUNE, COMMUNE), .about = COMMUNE, .parent = DISTRICT, .key = 9, .end = 2, .size = 2 },
			{ BY(COMMUNE, 9), .size = 3 } } },
	{ "changed, and beyond the end", PROOF_ENDED,
		{ ENROL_DISTRICT, ENROL_COMMUNE, END_COMMUNE,
			{ BY(COMMUNE, COMMUNE), .about = COMMUNE, .parent = DISTRICT, .key = 9, .end = 2, .size = 2 },
			{ BY(COMMUNE, 9), .size = 4 } } },
	{ "the parent changes its own in between", 0,
		{ ENROL_DISTRICT, ENROL_COMMUNE, { BY(DISTRICT, DISTRICT), .about = DISTRICT, .parent = PROVINCE, .key = 9, .end = 2, .size = 2 },
			{ BY(DISTRICT, 9), .about = COMMUNE, .parent = DISTRICT, .end = 3 }, { BY(COMMUNE, COMMUNE), .size = 3 } } },
	{ "who ends it changes no key", 0,
		{ ENROL_DISTRICT, ENROL_COMMUNE, { BY(DISTRICT, DISTRICT), .about = COMMUNE, .parent = DISTRICT, .key = 9, .end = 3 },
			{ BY(COMMUNE, COMMUNE) } } },
	{ "nor gives one", PROOF_BAD_SIGNATURE,
		{ ENROL_DISTRICT, ENROL_COMMUNE, { BY(DISTRICT, DISTRICT), .about = COMMUNE, .parent = DISTRICT, .key = 9, .end = 3 },
			{ BY(COMMUNE, 9) } } },
};

static struct signer *signer_of(uint8_t key) {
	struct signer *signer;

	cr_assert_eq(signer_new((const uint8_t[SIGN_SEED_LEN]){ key }, &signer), 0);
	return signer;
}

static void public_of(uint8_t key, uint8_t ret_key[SIGN_PUBLIC_LEN]) {
	struct signer *signer = signer_of(key);

	signer_public(signer, ret_key);
	signer_free(signer);
}

static struct id id_of(enum who who) {
	return who == NOBODY ? (struct id){ { 0 } } : scratch_id(who);
}

static void write_said(const struct stated *step, struct writer *w) {
	struct office office = {
		.id = id_of(step->about),
		.parent = id_of(step->parent),
		.level = span_str("xã"),
		.code = step->about,
		.code_digits = 5,
		.name = span_str("Đại Đồng"),
		.state = step->state ? step->state :
			step->end && step->writer != step->about ? OFFICE_REVOKED : OFFICE_ACTIVE,
		.has_end = step->end > 0,
		.end = { 1, { step->end, step->end, step->end } },
	};

	public_of(step->key ? step->key : step->about, office.sign_key);
	office_encode(&office, w);
}

/* The record of a step; @ret_bytes keeps it. */
static struct span record_of(const struct stated *step, uint8_t ret_bytes[RECORD_MAX_HERE]) {
	struct petition petition = sample_petition();
	struct record rec = { .kind = step->about ? KIND_OFFICE : KIND_PETITION, .id = scratch_id(99), .time_ms = 1 };
	uint8_t body[512];
	struct writer w;
	size_t len;

	writer_init(&w, body, sizeof(body));
	if (step->about)
		write_said(step, &w);
	else
		petition_encode(&petition, &w);
	rec.body = writer_span(&w);
	writer_init(&w, ret_bytes, RECORD_MAX_HERE);
	cr_assert_eq(record_encode(&rec, NULL, 0, &w), 0);
	len = w.len;
	return (struct span){ ret_bytes, len };
}

/* The leaves before the last are made up. */
static int leaf_at(void *userdata, uint64_t index, struct hash *ret_leaf) {
	const struct proof_link *link = userdata;

	if (index == link->index)
		leaf_hash(&link->leaf, ret_leaf);
	else
		*ret_leaf = (struct hash){ { (uint8_t)index } };
	return 0;
}

static void make_link(const struct stated *step, uint8_t bytes[RECORD_MAX_HERE], struct proof_link *ret_link) {
	struct signer *signer = signer_of(step->signed_with);
	struct proof_link *link = ret_link;
	struct frontier frontier;
	struct hash leaf;

	link->oplog = (struct oplog_id){ id_of(step->writer), step->epoch ? step->epoch : 1, LANE_URGENT };
	link->leaf.bytes = record_of(step, bytes);
	if (step->withheld)
		leaf_withhold(&link->leaf);
	link->head.size = step->size ? step->size : 1;
	link->index = link->head.size - 1;
	frontier_init(&frontier);
	for (uint64_t i = 0; i < link->head.size; i++) {
		leaf_at(link, i, &leaf);
		frontier_append(&frontier, &leaf);
	}
	frontier_root(&frontier, &link->head.root);
	cr_assert_eq(merkle_inclusion_prove(link->index, link->head.size, leaf_at, link, &link->path), 0);
	cr_assert_eq(head_sign(signer, &link->oplog, &link->head), 0);
	signer_free(signer);
}

static size_t count_steps(const struct chain *chain) {
	size_t n = 0;

	while (n < STEPS_MAX && chain->steps[n].writer != NOBODY)
		n++;
	return n;
}

static void make_proof(const struct chain *chain, uint8_t bytes[STEPS_MAX][RECORD_MAX_HERE], struct proof *ret_proof) {
	ret_proof->n_links = count_steps(chain);
	for (size_t i = 0; i < ret_proof->n_links; i++)
		make_link(&chain->steps[i], bytes[i], &ret_proof->links[ret_proof->n_links - 1 - i]);
	ret_proof->root.id = id_of(PROVINCE);
	public_of(PROVINCE, ret_proof->root.sign_key);
}

/* What the other program says of a file; "" if it does not even end in order. */
static bool other_verifies(const struct scratch *scratch, struct span file, char ret_said[SAID_MAX]) {
	char path[PATH_MAX], command[3 * PATH_MAX], fingerprint[2 * FINGERPRINT_LEN + 1];
	uint8_t root[sizeof(struct id) + SIGN_PUBLIC_LEN + OFFICE_CURVE_LEN] = { 0 };
	const struct id id = id_of(PROVINCE);
	struct hash hash;
	size_t n;
	FILE *f;
	int r;

	snprintf(path, sizeof(path), "%s/proof", scratch->dir);
	f = fopen(path, "w");
	cr_assert(f && fwrite(file.data, 1, file.len, f) == file.len && fclose(f) == 0);
	memcpy(root, id.b, sizeof(id.b));
	public_of(PROVINCE, root + sizeof(id.b));
	sha256((struct span){ root, sizeof(root) }, &hash);
	for (size_t i = 0; i < FINGERPRINT_LEN; i++)
		snprintf(fingerprint + 2 * i, 3, "%02x", hash.b[i]);
	snprintf(command, sizeof(command), "PYTHONUTF8=1 python3 '%s/tests/independent/verify.py' proof '%s' %s 2>&1",
		getenv("SOURCE_ROOT"), path, fingerprint);
	f = popen(command, "r");
	cr_assert(f);
	n = fread(ret_said, 1, SAID_MAX - 1, f);
	ret_said[n] = '\0';
	r = pclose(f);
	cr_expect(r == 0 || strncmp(ret_said, "not verified: ", 14) == 0, "%s", ret_said);
	return r == 0;
}

Test(proof, an_office_speaks_for_those_below_it_up_to_their_end_and_for_nobody_else) {
	struct scratch scratch = scratch_new();

	for (size_t i = 0; i < N_ELEMENTS(chains); i++) {
		_cleanup_(writer_done) struct writer w;
		struct proof *proof = calloc(1, sizeof(*proof)), *read = calloc(1, sizeof(*read));
		struct office offices[PROOF_LINKS_MAX];
		uint8_t bytes[STEPS_MAX][RECORD_MAX_HERE];
		char said[SAID_MAX];
		size_t at;
		bool ok;

		cr_assert(proof && read);
		make_proof(&chains[i], bytes, proof);
		writer_init_grow(&w);
		proof_write(proof, &w);
		cr_assert_eq(proof_read(writer_span(&w), read), 0, "%s", chains[i].what);
		cr_expect_eq(proof_check(read, offices, &at), chains[i].want, "%s", chains[i].what);
		ok = other_verifies(&scratch, writer_span(&w), said);
		cr_expect_eq(ok, chains[i].want == 0, "%s: %s", chains[i].what, said);
		cr_expect_eq(ok, strncmp(said, "leaf hash ", 10) == 0, "%s: %s", chains[i].what, said);
		free(proof);
		free(read);
	}
	scratch_done(&scratch);
}

Test(proof, whoever_checks_it_learns_who_vouches_for_it) {
	static const struct chain chain = { "", 0,
		{ ENROL_DISTRICT, ENROL_COMMUNE, END_COMMUNE, { BY(COMMUNE, COMMUNE), .size = 3 } } };
	struct scratch scratch = scratch_new();
	struct proof *proof = calloc(1, sizeof(*proof));
	struct office offices[PROOF_LINKS_MAX];
	uint8_t bytes[STEPS_MAX][RECORD_MAX_HERE];
	struct writer w;
	char said[SAID_MAX];
	size_t at;

	cr_assert(proof);
	make_proof(&chain, bytes, proof);
	cr_assert_eq(proof_check(proof, offices, &at), 0);
	cr_expect(id_eq(&offices[0].id, &proof->links[0].oplog.office));
	cr_expect_eq(offices[0].state, OFFICE_REVOKED);
	cr_expect_eq(offices[1].code, DISTRICT);
	writer_init_grow(&w);
	proof_write(proof, &w);
	cr_expect(other_verifies(&scratch, writer_span(&w), said));
	cr_expect_not_null(strstr(said, "\nkept by 00003 Đại Đồng ("), "%s", said);
	cr_expect_not_null(strstr(said, "), revoked\nenrolled by 00002 Đại Đồng ("), "%s", said);
	cr_expect_not_null(strstr(said, ")\nenrolled by the topmost office ("), "%s", said);
	writer_done(&w);
	free(proof);
	scratch_done(&scratch);
}

Test(proof, what_is_not_even_a_proof_is_told_apart_from_one) {
	struct scratch scratch = scratch_new();
	struct proof *proof = calloc(1, sizeof(*proof));
	uint8_t deep[5000];
	char said[SAID_MAX];

	memset(deep, 0x91, sizeof(deep));
	cr_expect_eq(proof_read((struct span){ deep, sizeof(deep) }, proof), PROOF_MALFORMED);
	cr_expect_not(other_verifies(&scratch, (struct span){ deep, sizeof(deep) }, said));
	free(proof);
	scratch_done(&scratch);
}
