/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <getopt.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum {
	EXIT_USAGE = 2,
};

double clock_s(void) {
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void pause_us(unsigned us) {
	(void)nanosleep(&(struct timespec){ 0, (long)us * 1000 }, NULL);
}

static int compare(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double median(double *values, size_t n) {
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

void progress(const char *format, ...) {
	va_list args;

	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
}

int fail(const char *format, ...) {
	va_list args;

	va_start(args, format);
	(void)fputs("  failed: ", stderr);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	return -1;
}

static struct row *add_row(struct bench *bench, const char *figure) {
	struct row *row = &bench->rows[bench->n_rows];

	if (bench->n_rows < BENCH_ROWS_MAX - 1)
		bench->n_rows++;
	*row = (struct row){ 0 };
	(void)snprintf(row->figure, sizeof(row->figure), "%s", figure);
	return row;
}

void report(struct bench *bench, const char *figure, double value, const char *unit,
	const char *beside, double limit) {
	struct row *row = add_row(bench, figure);

	row->value = value;
	row->limit = limit;
	(void)snprintf(row->unit, sizeof(row->unit), "%s", unit);
	(void)snprintf(row->beside, sizeof(row->beside), "%s", beside);
}

void report_missing(struct bench *bench, const char *figure, const char *why) {
	struct row *row = add_row(bench, figure);

	row->value = NAN;
	(void)snprintf(row->beside, sizeof(row->beside), "%s", why);
}

static void print_row(const struct row *row) {
	if (isnan(row->value)) {
		(void)printf("%-56s %12s %-12s %s\n", row->figure, "-", "", row->beside);
		return;
	}
	(void)printf("%-56s %12.*f %-12s", row->figure, row->value < 1000 ? 2 : 0, row->value, row->unit);
	if (row->limit > 0)
		(void)printf(" %-30s %12.*f %7.2f", row->beside, row->limit < 1000 ? 2 : 0, row->limit,
			row->value / row->limit);
	(void)putchar('\n');
}

static void print_processor(void) {
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "model name", 10) == 0) {
			(void)printf("processor:   %s", line + strcspn(line, ":") + 2);
			break;
		}
	if (file)
		(void)fclose(file);
	(void)printf("cores:       %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
}

static void print_machine(const struct bench *bench) {
	struct utsname name;
	struct statfs fs;

	print_processor();
	if (uname(&name) == 0)
		(void)printf("kernel:      %s %s\n", name.sysname, name.release);
	if (statfs(bench->dir, &fs) == 0)
		(void)printf("file system: %s (statfs type %#lx)\n",
			fs.f_type == 0xef53 ? "ext2/3/4" : fs.f_type == 0x58465342 ? "xfs" :
			fs.f_type == 0x9123683e ? "btrfs" : fs.f_type == 0x01021994 ?
			"tmpfs: nothing is synced, the figures mean little" : "other",
			(unsigned long)fs.f_type);
	(void)printf("petitions:   %zu sample rows over and over, %.0f bytes a record as encoded; "
		"%s\n\n", bench->n_petitions, bench->limits.plain_bytes, bench->quick ?
		"--quick: one run, a tenth of the records" : "median of 3 runs where nothing else is said");
	(void)printf("%-56s %12s %-12s %-30s %12s %7s\n", "figure", "measured", "",
		"beside, in the same run", "", "ratio");
}

static const struct {
	const char *name;
	int (*run)(struct bench *bench);
} parts[] = {
	{ "intake", bench_intake },
	{ "drain", bench_drain },
	{ "latency", bench_latency },
	{ "memory", bench_memory },
};

static int run_parts(struct bench *bench, char **names, int n_names) {
	int r = bench_limits(bench);

	for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
		bool wanted = n_names == 0;

		for (int k = 0; k < n_names; k++)
			wanted |= strcmp(names[k], parts[i].name) == 0;
		if (wanted)
			r |= parts[i].run(bench);
	}
	print_machine(bench);
	for (size_t i = 0; i < bench->n_rows; i++)
		print_row(&bench->rows[i]);
	return r;
}

int main(int argc, char **argv) {
	static const struct option options[] = {
		{ "daemon", required_argument, NULL, 'd' },
		{ "samples", required_argument, NULL, 's' },
		{ "dir", required_argument, NULL, 'D' },
		{ "parent-netns", required_argument, NULL, 'p' },
		{ "child-netns", required_argument, NULL, 'c' },
		{ "quick", no_argument, NULL, 'q' },
		{ NULL, 0, NULL, 0 },
	};
	struct bench bench = { 0 };
	const char *samples = NULL;
	int c, r;

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'd':
			bench.daemon = optarg;
			break;
		case 's':
			samples = optarg;
			break;
		case 'D':
			bench.dir = optarg;
			break;
		case 'p':
			bench.netns[0] = optarg;
			break;
		case 'c':
			bench.netns[1] = optarg;
			break;
		case 'q':
			bench.quick = true;
			break;
		default:
			return EXIT_USAGE;
		}
	if (!bench.daemon || !samples || !bench.dir || strlen(bench.dir) > 60 ||
		!bench.netns[0] != !bench.netns[1]) {
		(void)fputs("usage: bench --daemon PATH --samples DIR --dir DIR (at most 60 bytes) "
			    "[--parent-netns NAME --child-netns NAME] [--quick] "
			    "[intake] [drain] [latency] [memory]\n", stderr);
		return EXIT_USAGE;
	}
	bench.context = zmq_ctx_new();
	r = bench.context ? samples_load(&bench, samples) : fail("no memory");
	if (r == 0)
		r = run_parts(&bench, argv + optind, argc - optind);
	samples_done(&bench);
	if (bench.context)
		(void)zmq_ctx_term(bench.context);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
