/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * nth [--seed N] [--each N] [--jobs N] [--only WHAT.CALL.N]
 *
 * The first call fails, then the second, until none is left to fail: of each kind of call, with each error that it may
 * have, in a store that is used as store.h says and in a node that lives on among others (life.h). No process ends by a
 * signal; what was promised holds after each failure and after all of it; under a sanitizer nothing is lost of memory.
 * Of each kind in a node at most --each are tried, spread over all; 0: all. Ends with 1, the fault and the command that repeats it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "store/private.h"
#include "tests/faults/life.h"

enum {
	JOBS_MAX = 64,
	ROUNDS = 4,
	LIVES = 30, /* of the store: transactions */
	NOT_REACHED = 3, /* exit code */
};

enum what {
	WHAT_STORE,
	WHAT_DISTRICT,
	WHAT_COMMUNE,
	WHAT_N,
};

static const char *const whats[WHAT_N] = { "store", "district", "commune" };

struct result {
	uint64_t n_calls; /* that there are to fail */
	unsigned n_tried, n_deaths, n_full;
};

/* Shared by all processes: what a child says of itself. */
struct shared {
	struct {
		uint64_t seen;
		unsigned n_deaths, n_full;
	} child[JOBS_MAX];
};

static struct nth {
	uint64_t seed;
	unsigned n_each, n_jobs;
	bool only;
	enum what what; /* of this process, as the next three */
	size_t kind;
	uint64_t n;
	unsigned job;
	struct shared *shared;
	char dir[64];
} nth = { .n_each = 12, .n_jobs = 2 };

void faults_found(const char *file, int line, const char *what, const char *format, ...) {
	va_list args;

	(void)calls_disarm();
	printf("FAULT at %s:%d: %s: ", file, line, what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nAgain: nth --only %s.%s.%llu\n", whats[nth.what], calls_kinds[nth.kind].name, (unsigned long long)nth.n);
	fflush(stdout);
	_exit(1);
}

/* A store that is used as store.h says */

struct used {
	struct scratch scratch;
	struct store *store;
	struct keyring *keyring;
	uint64_t committed; /* the last transaction of which it was said so */
	uint64_t tried;     /* the last one: what is on the disk is one of the two */
	unsigned n_deaths, n_full;
};

static struct span number(uint64_t n, uint8_t buf[8]) {
	put_be64(buf, n);
	return (struct span){ buf, 8 };
}

static int write_rows(struct used *used, struct txn *txn, uint64_t n) {
	static const uint8_t salt[PRIVATE_SALT_LEN], large[3000];
	struct id id = scratch_id(n);
	uint8_t buf[8], value[8];
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < 10; i++)
		r = txn_put(txn, TABLE_CASES, number(n * 100 + i, buf), (struct span){ large, 100 + 280 * i });
	for (uint64_t i = 0; r == 0 && n > 2 && i < 10; i += 2)
		r = txn_delete(txn, TABLE_CASES, number((n - 2) * 100 + i, buf));
	if (r == 0)
		r = private_put(txn, used->keyring, &id, salt, span_str("Nguyễn Văn A"));
	return r ? r : meta_put(txn, "number", number(n, value));
}

/* The last transaction that is there, all of it and nothing else. */
static uint64_t read_rows(struct used *used) {
	uint8_t salt[PRIVATE_SALT_LEN], part[PRIVATE_MAX], buf[8];
	struct span value;
	struct txn *txn;
	struct id id;
	uint64_t n = 0, rows;
	size_t len;

	cr_assert_eq(store_begin_read(used->store, &txn), 0);
	if (meta_get(txn, "number", &value) == 0)
		n = get_be64(value.data);
	for (uint64_t k = 1; k <= n; k++) {
		for (uint64_t i = 0; i < 10; i++)
			cr_assert_eq(txn_get(txn, TABLE_CASES, number(k * 100 + i, buf), &value),
				i % 2 == 0 && k + 2 <= n ? STORE_NOT_FOUND : 0, "row %llu of %llu", (unsigned long long)i,
				(unsigned long long)k);
		id = scratch_id(k);
		cr_assert_eq(private_get(txn, used->keyring, &id, salt, part, &len), 0);
	}
	cr_assert_eq(txn_count(txn, TABLE_CASES, &rows), 0);
	cr_assert_eq(rows, n * 10 - (n > 2 ? (n - 2) * 5 : 0));
	store_abort(txn);
	return n;
}

static void open_used(struct used *used) {
	bool was;
	int r;

	for (;;) {
		calls_arm();
		r = keyring_open(used->scratch.dir, &used->keyring);
		if (r == 0)
			r = store_open(used->scratch.path, STORE_WRITE, SCRATCH_MAP, &used->store);
		was = calls_disarm();
		if (r == 0)
			return;
		cr_assert(was && r < 0 && calls_failed(), "%d", r);
		used->keyring = keyring_close(used->keyring);
		used->n_deaths++;
		calls_mend();
	}
}

/* 0, or the error that ended it. */
static int use_once(struct used *used) {
	struct txn *txn;
	int r;

	calls_arm();
	r = store_begin_write(used->store, &txn);
	if (r == 0) {
		r = write_rows(used, txn, used->committed + 1);
		if (r)
			store_abort(txn);
		else
			used->tried = used->committed + 1;
		r = r ? r : store_commit(txn);
	}
	(void)calls_disarm();
	return r;
}

static void make_used(struct used *used) {
	int r;

	used->scratch = scratch_new();
	calls_arm();
	r = store_create(used->scratch.path, SCRATCH_MAP);
	(void)calls_disarm();
	if (r == 0)
		return;
	cr_assert(r < 0 && calls_failed(), "%d", r);
	used->n_deaths++;
	calls_mend();
	r = store_create(used->scratch.path, SCRATCH_MAP);
	cr_assert(r == 0 || r == STORE_EXISTS, "again: %d", r); /* it had its name, which may not have been on the disk */
}

static void use_store(struct used *used) {
	char data[PATH_MAX];

	make_used(used);
	open_used(used);
	while (used->committed < LIVES) {
		int r = use_once(used);

		if (r == 0) {
			used->committed++;
			continue;
		}
		cr_assert(r < 0 && calls_failed(), "%d", r);
		calls_mend();
		if (r == -ENOSPC) { /* nothing was kept, and it goes on */
			used->n_full++;
			cr_assert_eq(read_rows(used), used->committed, "no room, and something was kept");
			continue;
		}
		used->n_deaths++;
		used->store = store_close(used->store);
		used->keyring = keyring_close(used->keyring);
		open_used(used);
		used->committed = read_rows(used) == used->tried ? used->tried : used->committed;
		cr_assert_eq(read_rows(used), used->committed);
	}
	cr_assert_eq(read_rows(used), LIVES);
	store_close(used->store);
	keyring_close(used->keyring);
	snprintf(data, sizeof(data), "%s/data.mdb", used->scratch.path);
	pages_check(data);
	scratch_done(&used->scratch);
}

/* One try */

static void live(unsigned *ret_deaths, unsigned *ret_full) {
	struct life life = { 0 };

	life_live(&life, &(struct life_plan){ .rounds = ROUNDS, .victim = nth.what == WHAT_DISTRICT ? 1 : 2 });
	for (size_t i = 0; i < life.cores->n; i++)
		(void)home_check(life.of[i], life.cores->nodes[i].home.dir, SIZE_MAX - 1, life.cores->now_ms);
	*ret_deaths = life.n_deaths;
	*ret_full = life.n_full;
	life_done(&life);
}

__attribute__((noreturn)) static void try(void) {
	unsigned *deaths = &nth.shared->child[nth.job].n_deaths, *full = &nth.shared->child[nth.job].n_full;
	struct used used = { 0 };

	calls_seed((nth.seed ^ nth.n) * 0x9e3779b97f4a7c15 | 1);
	calls_fail(calls_kinds[nth.kind].call, nth.n, calls_kinds[nth.kind].error, calls_kinds[nth.kind].lasts);
	if (nth.what == WHAT_STORE) {
		use_store(&used);
		*deaths = used.n_deaths;
		*full = used.n_full;
	} else {
		live(deaths, full);
	}
	(void)calls_disarm();
	nth.shared->child[nth.job].seen = calls_seen();
	exit(calls_failed() ? 0 : NOT_REACHED); /* a sanitizer looks for what was lost */
}

static pid_t start_try(unsigned job, uint64_t n) {
	pid_t pid;

	fflush(stdout);
	pid = fork();
	cr_assert(pid >= 0);
	if (pid > 0)
		return pid;
	nth.job = job;
	nth.n = n;
	try();
}

/* Whether it is in order. */
static bool end_try(int status, uint64_t n) {
	nth.n = n;
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == NOT_REACHED))
		return true;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
		printf("FAULT: the process ended with %s %d\nAgain: nth --only %s.%s.%llu\n", WIFSIGNALED(status) ? "signal" : "code",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), whats[nth.what], calls_kinds[nth.kind].name,
			(unsigned long long)n);
	return false;
}

static bool try_one(uint64_t n) {
	int status;

	cr_assert(waitpid(start_try(0, n), &status, 0) > 0);
	return end_try(status, n);
}

/* Number @i of @count, spread over 1 to @n_calls; the seed decides where in each part. */
static uint64_t choose(unsigned i, unsigned count, uint64_t n_calls) {
	uint64_t from = n_calls * i / count, to = n_calls * (i + 1) / count;
	uint64_t lot = (nth.seed + i) * 0x9e3779b97f4a7c15 >> 20;

	return 1 + from + lot % (to > from ? to - from : 1);
}

static bool try_many(struct result *result) {
	const bool all = nth.n_each == 0 || nth.n_each > result->n_calls || nth.what == WHAT_STORE; /* that is quick */
	const unsigned count = all ? (unsigned)result->n_calls : nth.n_each;
	unsigned started = 0, running = 0;
	pid_t pids[JOBS_MAX] = { 0 };
	uint64_t ns[JOBS_MAX];
	bool good = true;

	while (running > 0 || (good && started < count)) {
		int status;
		pid_t pid;

		for (unsigned job = 0; job < nth.n_jobs; job++)
			if (pids[job] == 0 && good && started < count) {
				ns[job] = choose(started++, count, result->n_calls);
				pids[job] = start_try(job, ns[job]);
				running++;
			}
		pid = waitpid(-1, &status, 0);
		for (unsigned job = 0; job < nth.n_jobs; job++)
			if (pids[job] == pid) {
				pids[job] = 0;
				running--;
				good &= end_try(status, ns[job]);
				result->n_tried++;
				result->n_deaths += nth.shared->child[job].n_deaths;
				result->n_full += nth.shared->child[job].n_full;
			}
	}
	return good;
}

static double seconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool try_kind(void) {
	struct result result = { 0 };
	double begun = seconds();

	if (!try_one(UINT64_MAX))
		return false;
	result.n_calls = nth.shared->child[0].seen;
	if (result.n_calls > 0 && !try_many(&result))
		return false;
	printf("%-8s  %-12s  %6u of %6llu failed: %5u times it ended and began again, %5u times no room; %.1f s\n",
		whats[nth.what], calls_kinds[nth.kind].name, result.n_tried, (unsigned long long)result.n_calls, result.n_deaths,
		result.n_full, seconds() - begun);
	return true;
}

static bool read_only(const char *text) {
	char what[16], kind[16];
	unsigned long long n;

	if (sscanf(text, "%15[^.].%15[^.].%llu", what, kind, &n) != 3)
		return false;
	for (nth.what = 0; nth.what < WHAT_N && strcmp(whats[nth.what], what) != 0; nth.what++)
		;
	for (nth.kind = 0; nth.kind < CALLS_KINDS && strcmp(calls_kinds[nth.kind].name, kind) != 0; nth.kind++)
		;
	nth.n = n;
	nth.only = true;
	return nth.what < WHAT_N && nth.kind < CALLS_KINDS;
}

static bool read_options(int argc, char **argv) {
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' }, { "each", required_argument, NULL, 'e' },
		{ "jobs", required_argument, NULL, 'j' }, { "only", required_argument, NULL, 'o' }, { 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned long long n = optarg ? strtoull(optarg, NULL, 10) : 0;

		switch (option) {
		case 's':
			nth.seed = n;
			break;
		case 'e':
			nth.n_each = (unsigned)n;
			break;
		case 'j':
			nth.n_jobs = (unsigned)n;
			break;
		case 'o':
			if (!read_only(optarg))
				return false;
			break;
		default:
			return false;
		}
	}
	return optind == argc && nth.n_jobs > 0 && nth.n_jobs <= JOBS_MAX;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	return remove(path);
}

/* OpenSSL fetches what it needs at its first use: some thousand allocations, of which we see nothing. */
static void warm_up(void) {
	uint8_t key[SEAL_KEY_LEN] = { 0 }, sealed[1 + SEAL_OVERHEAD], plain[1] = { 0 };
	struct hash hash;

	sha256(span_str("warm"), &hash);
	cr_assert_eq(seal(key, span_str(""), (struct span){ plain, 1 }, sealed), 0);
	cr_assert_eq(unseal(key, span_str(""), (struct span){ sealed, sizeof(sealed) }, plain), 0);
}

int main(int argc, char **argv) {
	double begun = seconds();
	bool good = true;

	nth.seed = (uint64_t)time(NULL);
	if (!read_options(argc, argv)) {
		fprintf(stderr, "Usage: nth [--seed N] [--each N] [--jobs N] [--only WHAT.CALL.N]\n");
		return 2;
	}
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 1);
	snprintf(nth.dir, sizeof(nth.dir), "%s/lienthong-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	cr_assert_not_null(mkdtemp(nth.dir));
	(void)setenv("TMPDIR", nth.dir, 1);
	nth.shared = mmap(NULL, sizeof(*nth.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(nth.shared != MAP_FAILED);
	warm_up();
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("nth --seed %llu --each %u\n", (unsigned long long)nth.seed, nth.n_each);
	if (nth.only)
		good = try_one(nth.n);
	for (nth.what = nth.only ? WHAT_N : 0; good && nth.what < WHAT_N; nth.what++)
		for (nth.kind = 0; good && nth.kind < CALLS_KINDS; nth.kind++)
			good = try_kind();
	(void)nftw(nth.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	if (good)
		printf("Whatever failed, what was promised holds; %.1f s\n", seconds() - begun);
	return good ? 0 : 1;
}
