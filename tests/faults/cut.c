/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * cut [--seed N] [--states N] [--rounds N] [--jobs N] [--break WHAT] [--state HOME.STEP.CHOICE]
 * cut --notes FILE --look COMMAND [...]: the same of a disk that was noted elsewhere (calls.h). The command is given the
 * directory, and "done" where the power went after the end; it ends with 0 if it is in order.
 *
 * Three offices live (life.h); what their disks are told is noted. Then the power goes after every step, and what is on
 * the disk is everything that was synced, and of the rest any part: each write whole, torn or not at all, each name
 * changed or not. In every such state a node is started (homes.c). Ends with 1, the fault and the command that
 * repeats it, if a promise is broken or the node does not go on.
 *
 * What a disk is taken to do: a sector of 512 bytes is written whole or not at all; what fsync() and fdatasync() of a
 * file returned for stays, of a directory its names; nothing else stays, in whatever order it came. LMDB relies on the
 * first: the 120 bytes of its meta page lie in one sector.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/faults/life.h"

enum {
	SECTOR = 512,
	SMALL = 5,       /* so many writes: every choice among them */
	LOTS = 24,       /* of more, so many drawn by lot, */
	TORN = 3,        /* and of each step so many with the last write torn */
	JOBS_MAX = 64,
};

/* What is on a disk. */
struct bytes {
	uint8_t *data;
	size_t len, cap;
};

struct names {
	struct {
		char name[DISK_NAME_MAX];
		uint32_t file;
	} list[64];
	size_t n;
};

struct image {
	struct bytes files[DISK_FILES_MAX];
	struct names dirs[DISK_FILES_MAX];
};

/* One state: where the power goes, and what becomes of the steps that were not synced. */
struct state {
	unsigned home;
	size_t step;     /* so many were told */
	unsigned choice;
};

/* How what is looked for may be made to happen: each must be found. */
enum breaking {
	BREAK_NOTHING,
	BREAK_SYNC,      /* as with MDB_NOSYNC */
	BREAK_META_SYNC, /* as with MDB_NOMETASYNC */
	BREAK_KEYS,      /* the files of keys are not synced */
	BREAK_NAMES,     /* nor are directories */
	BREAK_ACK,       /* it is acknowledged before it is committed */
	BREAK_SECTOR,    /* sectors are torn too */
	BREAK_N,
};

static const char *const breakings[BREAK_N] = { "nothing", "sync", "meta-sync", "keys", "names", "ack", "sector" };

/* Shared by all processes. */
struct shared {
	struct state now[JOBS_MAX];
	unsigned n_states[JOBS_MAX], n_none[JOBS_MAX];
	size_t n_known;
	uint64_t known[1 << 20]; /* end states that were seen */
};

static struct cut {
	uint64_t seed;
	unsigned n_states, n_rounds, n_jobs;
	enum breaking breaking;
	const char *notes, *look; /* NULL: three offices live */
	bool only;           /* that state alone */
	struct state one;
	uint64_t n_all;      /* states that there are */
	uint64_t share;      /* of which so many in 2^32 are looked at */
	char dir[64];
	struct life life;
	struct shared *shared;
	unsigned job;
} cut = { .seed = 0, .n_states = 2000, .n_rounds = 8, .n_jobs = 2 };

void faults_found(const char *file, int line, const char *what, const char *format, ...) {
	const struct state *state = cut.shared ? &cut.shared->now[cut.job] : NULL;
	va_list args;

	printf("FAULT at %s:%d: %s: ", file, line, what);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	if (cut.notes)
		printf("\nafter %zu steps of %zu, choice %u", state ? state->step : 0,
			cut.life.n_homes ? cut.life.homes[0].disk->n_steps : 0, state ? state->choice : 0);
	else if (state && state->step)
		printf("\nin the home of the %s, after %zu steps. Again: cut --seed %llu --rounds %u --break %s --state %u.%zu.%u",
			cut.life.homes[state->home].name, state->step, (unsigned long long)cut.seed, cut.n_rounds,
			breakings[cut.breaking], state->home, state->step, state->choice);
	else
		printf("\nAgain: cut --seed %llu --rounds %u --break %s", (unsigned long long)cut.seed, cut.n_rounds,
			breakings[cut.breaking]);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static uint64_t draw(uint64_t *random) {
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return *random * 0x2545f4914f6cdd1dULL >> 16;
}

static uint64_t scramble(uint64_t n) {
	n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
	n = (n ^ n >> 27) * 0x94d049bb133111eb;
	return n ^ n >> 31;
}

/* Images */

static void grow(struct bytes *bytes, size_t len) {
	if (len > bytes->cap) {
		bytes->cap = len + len / 2 + 4096;
		bytes->data = realloc(bytes->data, bytes->cap);
		cr_assert_not_null(bytes->data);
	}
	if (len > bytes->len) {
		memset(bytes->data + bytes->len, 0, len - bytes->len);
		bytes->len = len;
	}
}

static void set_name(struct names *names, const char *name, uint32_t file) {
	size_t i;

	for (i = 0; i < names->n && strcmp(names->list[i].name, name) != 0; i++)
		;
	cr_assert_lt(i, N_ELEMENTS(names->list));
	if (file == DISK_NONE) {
		if (i < names->n)
			names->list[i] = names->list[--names->n];
		return;
	}
	strcpy(names->list[i].name, name);
	names->list[i].file = file;
	names->n += i == names->n;
}

/* @torn: only from @from to before @to of its bytes. */
static void apply(struct image *image, const struct disk_step *step, size_t from, size_t to) {
	struct bytes *bytes = &image->files[step->file];

	switch (step->kind) {
	case DISK_WRITE:
		grow(bytes, step->at + to);
		if (to > from)
			memcpy(bytes->data + step->at + from, step->bytes + from, to - from);
		break;
	case DISK_TRUNCATE:
		grow(bytes, step->at);
		bytes->len = step->at;
		break;
	case DISK_NAME:
		if (step->from_dir != DISK_NONE)
			set_name(&image->dirs[step->from_dir], step->from, DISK_NONE);
		set_name(&image->dirs[step->file], step->name, step->target);
		break;
	case DISK_SYNC:
		break;
	}
}

static void copy(struct image *to, const struct image *from, uint32_t n_files) {
	for (uint32_t i = 0; i < n_files; i++) {
		to->files[i].len = 0;
		grow(&to->files[i], from->files[i].len);
		if (from->files[i].len > 0)
			memcpy(to->files[i].data, from->files[i].data, from->files[i].len);
		to->dirs[i] = from->dirs[i];
	}
}

/* Nobody relies on what is in LMDB's lock: it is written through a map, and what is there may be anything. */
static void spoil_lock(struct bytes *bytes, uint64_t random) {
	if (random % 2)
		for (size_t i = 0; i < bytes->len; i++)
			bytes->data[i] = (uint8_t)scramble(random + i / 8);
}

static void lay_out(const struct disk *disk, struct image *image, uint32_t dir, const char *path, uint64_t random) {
	for (size_t i = 0; i < image->dirs[dir].n; i++) {
		const uint32_t file = image->dirs[dir].list[i].file;
		char name[PATH_MAX];
		int fd;

		snprintf(name, sizeof(name), "%s/%s", path, image->dirs[dir].list[i].name);
		if (disk->files[file].is_dir) {
			cr_assert_eq(mkdir(name, 0700), 0, "%s", name);
			lay_out(disk, image, file, name, random);
			continue;
		}
		if (disk->files[file].is_lock)
			spoil_lock(&image->files[file], random);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		cr_assert(fd >= 0 && write(fd, image->files[file].data, image->files[file].len) ==
			(ssize_t)image->files[file].len, "%s", name);
		(void)close(fd);
	}
}

/* Which steps are synced. */

static bool syncs(const struct disk *disk, const struct disk_step *step) {
	if (step->kind != DISK_SYNC || cut.breaking == BREAK_SYNC)
		return false;
	if (cut.breaking == BREAK_KEYS && disk->files[step->file].is_keys)
		return false;
	return cut.breaking != BREAK_NAMES || !disk->files[step->file].is_dir;
}

static bool is_synced(const struct disk_step *step) {
	return step->synced && cut.breaking != BREAK_SYNC && cut.breaking != BREAK_META_SYNC;
}

/* The disk so far: what stays, and the steps of which nobody knows. */
struct front {
	const struct disk *disk;
	struct image *image;
	const struct disk_step **loose;
	size_t n_loose, cap_loose;
	size_t step;
};

static void let_loose(struct front *front, const struct disk_step *step) {
	if (front->n_loose == front->cap_loose) {
		front->cap_loose = 2 * front->cap_loose + 64;
		front->loose = realloc(front->loose, front->cap_loose * sizeof(*front->loose));
		cr_assert_not_null(front->loose);
	}
	front->loose[front->n_loose++] = step;
}

/* A file has another name for good: that it once got the one before does not come back. */
static bool is_over(const struct disk_step *step, const struct disk_step *renamed) {
	return step->kind == DISK_NAME && step < renamed && renamed->from_dir == step->file &&
		strcmp(step->name, renamed->from) == 0;
}

static void settle_file(struct front *front, uint32_t file) {
	size_t n = 0;

	for (size_t i = 0; i < front->n_loose; i++) {
		bool stays = front->loose[i]->file != file;

		for (size_t k = i + 1; stays && k < front->n_loose; k++)
			stays = front->loose[k]->file != file || !is_over(front->loose[i], front->loose[k]);
		if (stays)
			front->loose[n++] = front->loose[i];
		else
			apply(front->image, front->loose[i], 0, front->loose[i]->len);
	}
	front->n_loose = n;
}

/* A write that is synced by itself stays once the next step comes: until then it may be lost, or torn. */
static void advance(struct front *front) {
	const struct disk_step *last = front->step ? &front->disk->steps[front->step - 1] : NULL;
	const struct disk_step *step = &front->disk->steps[front->step++];

	if (last && last->kind == DISK_WRITE && is_synced(last)) {
		apply(front->image, last, 0, last->len);
		front->n_loose--;
	}
	if (syncs(front->disk, step))
		settle_file(front, step->file);
	else if (step->kind != DISK_SYNC)
		let_loose(front, step);
}

/* Choices */

static bool can_tear(const struct disk_step *step) {
	return step->kind == DISK_WRITE && (step->len > SECTOR || cut.breaking == BREAK_SECTOR);
}

static bool is_promise_at(const struct home *home, size_t at) {
	for (size_t i = 0; i < home->n_promises; i++)
		if (home->promises[i].at == at || home->promises[i].until == at)
			return true;
	return false;
}

/* How many states there are at the front. Those without the last step were there one step ago, but for promises. */
static unsigned n_choices(const struct front *front, const struct home *home) {
	const struct disk_step *last = &front->disk->steps[front->step - 1];
	const bool was_promised = is_promise_at(home, front->step);
	const size_t n = front->n_loose;

	if (last->kind == DISK_SYNC && !was_promised)
		return 0;
	if (n <= SMALL)
		return (1u << n) + (n && can_tear(last) ? TORN : 0);
	return (unsigned)(2 + 2 * n + LOTS + TORN);
}

enum fate {
	LOST,
	KEPT,
	TORN_UP,
};

static enum fate fate_of(size_t n, size_t i, unsigned choice, uint64_t *random) {
	if (n <= SMALL) {
		if (choice < 1u << n)
			return choice >> i & 1 ? KEPT : LOST;
		return i + 1 == n ? TORN_UP : draw(random) % 2 ? KEPT : LOST;
	}
	if (choice < 2)
		return choice ? KEPT : LOST;
	choice -= 2;
	if (choice < 2 * n) /* all but one, and only one */
		return (choice / 2 == i) == (choice % 2) ? KEPT : LOST;
	choice -= (unsigned)(2 * n);
	if (choice >= LOTS) /* the last one torn, and most of the others kept */
		return i + 1 == n ? TORN_UP : draw(random) % 8 ? KEPT : LOST;
	return draw(random) % 16 == 0 ? TORN_UP : draw(random) % 2 ? KEPT : LOST;
}

/* Sectors of a write stay or not, each for itself. */
static void tear(struct image *image, const struct disk_step *step, uint64_t *random) {
	const size_t unit = cut.breaking == BREAK_SECTOR ? 8 : SECTOR;

	for (size_t from = 0; from < step->len;) {
		size_t to = from + unit - (step->at + from) % unit;

		to = to < step->len ? to : step->len;
		if (draw(random) % 2)
			apply(image, step, from, to);
		from = to;
	}
}

static void note_end_state(const struct verdict *verdict) {
	struct shared *shared = cut.shared;
	const uint64_t hash = verdict->what | 1;

	for (size_t i = hash >> 8 & (N_ELEMENTS(shared->known) - 1);; i = (i + 1) & (N_ELEMENTS(shared->known) - 1)) {
		uint64_t none = 0;

		if (shared->known[i] == hash)
			return;
		if (__atomic_compare_exchange_n(&shared->known[i], &none, hash, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			__atomic_add_fetch(&shared->n_known, 1, __ATOMIC_SEQ_CST);
			return;
		}
		if (none == hash)
			return;
	}
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	return remove(path);
}

static struct verdict run_look(const struct home *home, const char *dir, size_t at) {
	char command[PATH_MAX];
	int status;

	snprintf(command, sizeof(command), "%s %s %s", cut.look, dir, at >= home->disk->n_steps ? "done" : "");
	fflush(stdout);
	status = system(command);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", command);
	return (struct verdict){ .what = at >= home->disk->n_steps };
}

static void look_at_state(const struct front *front, struct image *image, const struct state *state) {
	const struct home *home = &cut.life.homes[state->home];
	uint64_t random = scramble(cut.seed ^ (uint64_t)state->home << 56 ^ (uint64_t)state->step << 16 ^ state->choice) | 1;
	const struct disk_step *last = &front->disk->steps[front->step - 1];
	size_t at = front->step;
	struct verdict verdict;
	char dir[PATH_MAX / 8];

	cut.shared->now[cut.job] = *state;
	copy(image, front->image, front->disk->n_files);
	for (size_t i = 0; i < front->n_loose; i++) {
		enum fate fate = fate_of(front->n_loose, i, state->choice, &random);

		if (fate != KEPT && front->loose[i] == last && is_synced(last))
			at = front->step - 1; /* the power goes in the middle of it: what was promised afterwards was not yet */
		if (fate == TORN_UP && can_tear(front->loose[i]))
			tear(image, front->loose[i], &random);
		else if (fate != LOST)
			apply(image, front->loose[i], 0, front->loose[i]->len);
	}
	snprintf(dir, sizeof(dir), "%s/%u", cut.dir, cut.job);
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	cr_assert_eq(mkdir(dir, 0700), 0);
	lay_out(front->disk, image, 0, dir, random);
	verdict = cut.look ? run_look(home, dir, at) : home_check(home, dir, at, cut.life.cores->now_ms);
	note_end_state(&verdict);
	cut.shared->n_states[cut.job]++;
	cut.shared->n_none[cut.job] += verdict.no_office;
}

/* Whether this process looks at it, of those that the share is drawn from. */
static bool is_mine(const struct state *state) {
	uint64_t lot;

	if (cut.only)
		return state->home == cut.one.home && state->step == cut.one.step && state->choice == cut.one.choice;
	lot = scramble(scramble(cut.seed + state->home) ^ (uint64_t)state->step << 20 ^ state->choice);
	return (lot & UINT32_MAX) < cut.share && (lot >> 32) % cut.n_jobs == cut.job;
}

/* Goes through all states of a home; counts them, or looks at them. */
static void go_through(unsigned number, bool look) {
	const struct home *home = &cut.life.homes[number];
	struct front front = { .disk = home->disk, .image = calloc(1, sizeof(struct image)) };
	struct image *image = calloc(1, sizeof(*image));

	cr_assert(front.image && image);
	while (front.step < home->disk->n_steps) {
		struct state state = { number, front.step + 1, 0 };
		unsigned n;

		advance(&front);
		n = front.step > home->disk->n_first ? n_choices(&front, home) : 0;
		cut.n_all += n;
		for (; look && state.choice < n; state.choice++)
			if (is_mine(&state))
				look_at_state(&front, image, &state);
	}
	for (size_t i = 0; i < DISK_FILES_MAX; i++) {
		free(front.image->files[i].data);
		free(image->files[i].data);
	}
	free(front.loose);
	free(front.image);
	free(image);
}

static void go_through_all(bool look) {
	cut.n_all = 0;
	for (unsigned i = 0; i < cut.life.n_homes; i++)
		if (!cut.only || i == cut.one.home)
			go_through(i, look);
}

/* Of a process that ended by a signal. */
static void report_death(unsigned job, int status) {
	cut.job = job;
	faults_found(__FILE__, __LINE__, "a process", "it ended with %s %d", WIFSIGNALED(status) ? "signal" : "code",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Whether all of them found it in order. */
static bool work(void) {
	pid_t pids[JOBS_MAX];
	int failed = 0;

	for (unsigned job = 0; job < cut.n_jobs; job++) {
		fflush(stdout);
		pids[job] = fork();
		cr_assert(pids[job] >= 0);
		if (pids[job] == 0) {
			cut.job = job;
			go_through_all(true);
			fflush(stdout);
			_exit(0);
		}
	}
	for (unsigned job = 0; job < cut.n_jobs; job++) {
		int status;

		cr_assert_eq(waitpid(pids[job], &status, 0), pids[job]);
		if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
			report_death(job, status);
		failed |= WEXITSTATUS(status);
	}
	return !failed;
}

static double seconds(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(double begun) {
	size_t n_steps = 0, n_promises = 0;
	unsigned n = 0, n_none = 0;

	for (size_t i = 0; i < cut.life.n_homes; i++) {
		n_steps += cut.life.homes[i].disk->n_steps;
		n_promises += cut.life.homes[i].n_promises;
	}
	for (unsigned job = 0; job < cut.n_jobs; job++) {
		n += cut.shared->n_states[job];
		n_none += cut.shared->n_none[job];
	}
	printf("%zu homes, %zu steps, %zu promises; %u states of %llu that there are, %zu different ends, %u before there "
	       "was an office; %.1f s\n",
		cut.life.n_homes, n_steps, n_promises, n, (unsigned long long)cut.n_all, cut.shared->n_known, n_none,
		seconds() - begun);
	if (cut.breaking == BREAK_NOTHING)
		printf("Whatever was promised holds in each, and each goes on.\n");
	else
		printf("Nothing was found, though %s is broken.\n", breakings[cut.breaking]);
}

static bool read_options(int argc, char **argv) {
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' }, { "states", required_argument, NULL, 'n' },
		{ "rounds", required_argument, NULL, 'r' }, { "jobs", required_argument, NULL, 'j' },
		{ "break", required_argument, NULL, 'b' }, { "state", required_argument, NULL, 'o' },
		{ "notes", required_argument, NULL, 't' }, { "look", required_argument, NULL, 'l' }, { 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned long long n = optarg ? strtoull(optarg, NULL, 10) : 0;

		switch (option) {
		case 's':
			cut.seed = n;
			break;
		case 'n':
			cut.n_states = (unsigned)n;
			break;
		case 'r':
			cut.n_rounds = (unsigned)n;
			break;
		case 'j':
			cut.n_jobs = (unsigned)n;
			break;
		case 'b':
			for (cut.breaking = 0; cut.breaking < BREAK_N && strcmp(breakings[cut.breaking], optarg) != 0; cut.breaking++)
				;
			break;
		case 't':
			cut.notes = optarg;
			break;
		case 'l':
			cut.look = optarg;
			break;
		case 'o':
			cut.only = sscanf(optarg, "%u.%zu.%u", &cut.one.home, &cut.one.step, &cut.one.choice) == 3;
			if (!cut.only)
				return false;
			break;
		default:
			return false;
		}
	}
	return optind == argc && !cut.notes == !cut.look && cut.n_jobs > 0 && cut.n_jobs <= JOBS_MAX && cut.breaking < BREAK_N;
}

/* One home, of which is promised at the end that it is made. */
static void take_notes(void) {
	static struct promise made = { .kind = PROMISE_MADE, .until = SIZE_MAX };
	struct home *home = &cut.life.homes[cut.life.n_homes++];

	snprintf(home->name, sizeof(home->name), "notes");
	home->disk = disk_load(cut.notes);
	made.at = home->disk->n_steps;
	home->promises = &made;
	home->n_promises = 1;
}

int main(int argc, char **argv) {
	struct life_plan plan = { .notes = true };
	double begun = seconds();
	bool good;

	cut.seed = (uint64_t)time(NULL);
	if (!read_options(argc, argv)) {
		fprintf(stderr, "Usage: cut [--seed N] [--states N] [--rounds N] [--jobs N] [--break WHAT] [--state HOME.STEP.CHOICE]\n");
		return 2;
	}
	if (cut.only)
		cut.n_jobs = 1;
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 1);
	snprintf(cut.dir, sizeof(cut.dir), "%s/lienthong-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	cr_assert_not_null(mkdtemp(cut.dir));
	(void)setenv("TMPDIR", cut.dir, 1);
	cut.shared = mmap(NULL, sizeof(*cut.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(cut.shared != MAP_FAILED);
	if (!cut.notes)
		printf("cut --seed %llu --rounds %u --break %s\n", (unsigned long long)cut.seed, cut.n_rounds, breakings[cut.breaking]);
	calls_seed(cut.seed * 0x9e3779b97f4a7c15 | 1);
	plan.rounds = cut.n_rounds;
	plan.early = cut.breaking == BREAK_ACK;
	if (cut.notes)
		take_notes();
	else
		life_live(&cut.life, &plan);
	go_through_all(false);
	cut.share = cut.only || cut.n_all <= cut.n_states ? UINT64_C(1) << 32 : ((uint64_t)cut.n_states << 32) / cut.n_all;
	good = work();
	if (good)
		report(begun);
	else if (cut.only)
		printf("The state is left in %s, and what became of it at the start.\n", cut.dir);
	if (!cut.notes)
		life_done(&cut.life);
	if (good || !cut.only)
		(void)nftw(cut.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return good ? 0 : 1;
}
