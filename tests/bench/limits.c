/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What this machine does without us: the figures beside which ours stand.
 */
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "proto/message.h"
#include "proto/record.h"
#include "proto/sign.h"
#include "tests/bench/bench.h"

enum {
	VALUE_LEN = 289,
	LMDB_RUNS = 3,
	LMDB_RECORDS = 400000, /* a larger file is slower; ours are not larger either */
	HASHED_LEN = 300,
	ZSTD_LEVEL = 3, /* as links have it */
	ZSTD_RECORDS = 20000,
	PING_LEN = 300,
};

static const unsigned commit_sizes[COMMIT_N] = { 1, 100, 1000, 4000 };

static int append(MDB_env *env, MDB_dbi dbi, uint64_t *number, unsigned count) {
	uint8_t value[VALUE_LEN] = { 0 };
	uint8_t key[8];
	MDB_txn *txn;

	if (mdb_txn_begin(env, NULL, 0, &txn))
		return -1;
	for (unsigned i = 0; i < count; i++) {
		MDB_val k = { sizeof(key), key };
		MDB_val v = { sizeof(value), value };

		put_be64(key, ++*number);
		put_be64(value, *number);
		if (mdb_put(txn, dbi, &k, &v, MDB_APPEND)) {
			mdb_txn_abort(txn);
			return -1;
		}
	}
	return mdb_txn_commit(txn) ? -1 : 0;
}

/* Keeps the best: a limit is what the disk does when nothing else uses it. */
static int lmdb_rate(MDB_env *env, MDB_dbi dbi, double seconds, unsigned per_commit,
	double *ret_rate, uint64_t *ret_number) {
	double begun = clock_s(), rate;
	uint64_t number = 0;

	while (clock_s() < begun + seconds && number < LMDB_RECORDS)
		if (append(env, dbi, &number, per_commit))
			return fail("raw LMDB cannot write");
	rate = (double)number / (clock_s() - begun);
	if (rate > *ret_rate)
		*ret_rate = rate;
	*ret_number = number;
	return 0;
}

static int limit_lmdb(struct bench *bench, enum commit_size size) {
	char path[BENCH_PATH_MAX];
	MDB_env *env = NULL;
	MDB_txn *txn;
	MDB_dbi dbi = 0;
	uint64_t number = 0;
	struct stat st;
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s/raw.mdb", bench->dir);
	if (mdb_env_create(&env) || mdb_env_set_mapsize(env, (size_t)1 << 30) ||
		mdb_env_open(env, path, MDB_NOSUBDIR, 0600) || mdb_txn_begin(env, NULL, 0, &txn) ||
		mdb_dbi_open(txn, NULL, 0, &dbi) || mdb_txn_commit(txn))
		r = fail("raw LMDB cannot be opened");
	if (r == 0)
		r = lmdb_rate(env, dbi, bench->quick ? 0.3 : 1, commit_sizes[size],
			&bench->limits.lmdb[size], &number);
	if (r == 0 && stat(path, &st) == 0)
		bench->limits.lmdb_bytes = (double)st.st_size / (double)number;
	mdb_env_close(env);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/raw.mdb-lock", bench->dir);
	(void)unlink(path);
	return r;
}

static int limit_crypto(struct bench *bench) {
	static const uint8_t seed[SIGN_SEED_LEN] = { 7 };
	uint8_t bytes[HASHED_LEN] = { 0 };
	uint8_t key[SIGN_PUBLIC_LEN], signature[SIGN_SIGNATURE_LEN];
	struct span text = { bytes, 150 }; /* a head's length */
	struct signer *signer = NULL;
	struct verifier *verifier = NULL;
	double begun, until = bench->quick ? 0.2 : 1;
	uint64_t n;
	struct hash hash;
	int r;

	r = signer_new(seed, &signer);
	if (r == 0) {
		signer_public(signer, key);
		r = signer_sign(signer, text, signature);
	}
	if (r == 0)
		r = verifier_new(key, &verifier);
	for (n = 0, begun = clock_s(); r == 0 && clock_s() < begun + until; n++)
		r = verifier_check(verifier, text, signature);
	bench->limits.verifies = (double)n / (clock_s() - begun);
	for (n = 0, begun = clock_s(); clock_s() < begun + until;)
		for (unsigned i = 0; i < 100; i++, n++) {
			put_be64(bytes, n);
			sha256((struct span){ bytes, sizeof(bytes) }, &hash);
		}
	bench->limits.hashes = (double)n / (clock_s() - begun);
	verifier_free(verifier);
	signer_free(signer);
	return r ? fail("signatures do not work") : 0;
}

static int write_record(const struct bench *bench, uint64_t i, struct writer *w) {
	uint8_t body[RECORD_MAX], random[10];
	char number[24];
	struct petition petition = sample(bench, i, number);
	struct record rec = { .kind = KIND_PETITION, .organisation = ORGANISATION_FRONT,
		.time_ms = petition.received_ms + i };
	struct writer b;

	if (random_bytes(random, sizeof(random)))
		return -1;
	record_make_id(rec.time_ms, random, &rec.id);
	petition.reference = UINT64_C(91632400000000) + i;
	writer_init(&b, body, sizeof(body));
	petition_encode(&petition, &b);
	rec.body = writer_span(&b);
	return record_encode(&rec, NULL, 0, w);
}

/* Records as batches would hold them: each batch compressed with the one before as prefix. */
static int limit_zstd(struct bench *bench) {
	size_t bound = ZSTD_compressBound(2 * BATCH_BYTES_MAX), len = 0;
	uint64_t plain_bytes = 0, zstd_bytes = 0, n = bench->quick ? ZSTD_RECORDS / 10 : ZSTD_RECORDS;
	uint8_t *plain[2] = { malloc(2 * BATCH_BYTES_MAX), malloc(2 * BATCH_BYTES_MAX) };
	uint8_t *packed = malloc(bound);
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	unsigned at = 0;
	struct writer w;
	int r = plain[0] && plain[1] && packed && zstd ? 0 : -1;

	if (r == 0)
		(void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	for (uint64_t i = 0; r == 0 && i < n;) {
		size_t before = len, n_packed;

		writer_init(&w, plain[at], 2 * BATCH_BYTES_MAX);
		while (r == 0 && i < n && w.len < BATCH_BYTES_MAX - 500)
			r = write_record(bench, i++, &w);
		len = w.len;
		(void)ZSTD_CCtx_refPrefix(zstd, plain[!at], before);
		n_packed = ZSTD_compress2(zstd, packed, bound, plain[at], len);
		if (ZSTD_isError(n_packed))
			r = -1;
		plain_bytes += len;
		zstd_bytes += n_packed;
		at = !at;
	}
	bench->limits.plain_bytes = (double)plain_bytes / (double)n;
	bench->limits.zstd_bytes = (double)zstd_bytes / (double)n;
	(void)ZSTD_freeCCtx(zstd);
	free(packed);
	free(plain[0]);
	free(plain[1]);
	return r ? fail("zstd does not work") : 0;
}

static void *echo(void *userdata) {
	void *socket = userdata;
	char bytes[PING_LEN];
	int n;

	while ((n = zmq_recv(socket, bytes, sizeof(bytes), 0)) > 0)
		(void)zmq_send(socket, bytes, (size_t)n, 0);
	return NULL;
}

/* The best of some: it depends on where the threads happen to run. */
static int ping(struct bench *bench, const char *address, double *ret_rate) {
	void *near = zmq_socket(bench->context, ZMQ_PAIR);
	void *far = zmq_socket(bench->context, ZMQ_PAIR);
	char bytes[PING_LEN] = { 0 };
	int linger = 0, patience = 5000, r = 0;
	pthread_t thread;

	(void)zmq_setsockopt(near, ZMQ_LINGER, &linger, sizeof(linger));
	(void)zmq_setsockopt(far, ZMQ_LINGER, &linger, sizeof(linger));
	(void)zmq_setsockopt(near, ZMQ_RCVTIMEO, &patience, sizeof(patience));
	(void)zmq_setsockopt(far, ZMQ_RCVTIMEO, &patience, sizeof(patience));
	if (zmq_bind(far, address) || zmq_connect(near, address) ||
		pthread_create(&thread, NULL, echo, far)) {
		(void)zmq_close(near);
		(void)zmq_close(far);
		return fail("cannot listen on %s", address);
	}
	for (unsigned i = 0; r == 0 && i < RUNS_MAX; i++) {
		double begun = clock_s(), rate;
		unsigned n;

		for (n = 0; r == 0 && clock_s() < begun + 0.2; n++)
			if (zmq_send(near, bytes, sizeof(bytes), 0) < 0 ||
				zmq_recv(near, bytes, sizeof(bytes), 0) < 0)
				r = fail("no echo over %s", address);
		rate = n / (clock_s() - begun);
		if (rate > *ret_rate)
			*ret_rate = rate;
	}
	(void)zmq_send(near, bytes, 0, 0); /* the echo ends */
	(void)pthread_join(thread, NULL);
	(void)zmq_close(near);
	(void)zmq_close(far);
	return r;
}

static int limit_exec(struct bench *bench) {
	double times[RUNS_MAX];

	for (unsigned i = 0; i < RUNS_MAX; i++) {
		double begun = clock_s();
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			(void)!freopen("/dev/null", "w", stdout);
			(void)execl(bench->daemon, bench->daemon, "--version", NULL);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
			return fail("%s does not start", bench->daemon);
		times[i] = (clock_s() - begun) * 1e3;
	}
	bench->limits.exec_ms = median(times, RUNS_MAX);
	return 0;
}

int bench_limits(struct bench *bench) {
	struct limits *limits = &bench->limits;
	char address[BENCH_PATH_MAX];
	int r;

	progress("the machine's limits");
	r = limit_exec(bench);
	sync(); /* what a build left behind */
	for (unsigned i = 0; r == 0 && i < LMDB_RUNS * COMMIT_N; i++)
		r = limit_lmdb(bench, i % COMMIT_N);
	if (r == 0)
		r = limit_crypto(bench);
	if (r == 0)
		r = limit_zstd(bench);
	if (r == 0) {
		(void)snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", free_port(bench));
		r = ping(bench, address, &limits->tcp);
	}
	if (r == 0) {
		(void)snprintf(address, sizeof(address), "ipc://%s/ping.sock", bench->dir);
		r = ping(bench, address, &limits->ipc);
	}
	if (r)
		return r;
	for (unsigned i = 0; i < COMMIT_N; i++) {
		char figure[64];

		(void)snprintf(figure, sizeof(figure), "limit: raw LMDB, 289 bytes, %u a synced commit",
			commit_sizes[i]);
		report(bench, figure, limits->lmdb[i], "records/s", "", 0);
	}
	report(bench, "limit: raw LMDB's file", limits->lmdb_bytes, "bytes/record", "the value", VALUE_LEN);
	report(bench, "limit: Ed25519, verify", limits->verifies, "/s", "", 0);
	report(bench, "limit: SHA-256 of 300 bytes", limits->hashes, "/s", "", 0);
	report(bench, "limit: zstd 3, 32,000 bytes with the 32,000 before", limits->zstd_bytes,
		"bytes/record", "plain records", limits->plain_bytes);
	report(bench, "limit: ZeroMQ round trip of 300 bytes, tcp", limits->tcp, "/s", "", 0);
	report(bench, "limit: ZeroMQ round trip of 300 bytes, ipc", limits->ipc, "/s", "", 0);
	report(bench, "limit: start of the daemon's program", limits->exec_ms, "ms", "", 0);
	return 0;
}
