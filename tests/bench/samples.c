/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proto/record.h"
#include "tests/bench/bench.h"
#include "tools/csvfile.h"

/* The columns of deploy/samples. */
enum column {
	COLUMN_VILLAGE = 4,
	COLUMN_PEOPLE = 7,
	COLUMN_URGENT = 8,
	COLUMN_TEXT = 9,
	COLUMN_ASKED_OF = 10,
	COLUMN_N,
};

static const uint64_t received_ms = 1717200000000; /* one month for all: their counts share rows */

static int read_whole(const char *path, struct span *ret_bytes) {
	FILE *file = fopen(path, "re");
	uint8_t *bytes = NULL;
	size_t len = 0;
	struct stat st;

	if (!file)
		return fail("cannot read %s", path);
	if (fstat(fileno(file), &st) == 0)
		bytes = malloc((size_t)st.st_size + 1);
	if (bytes)
		len = fread(bytes, 1, (size_t)st.st_size, file);
	(void)fclose(file);
	*ret_bytes = (struct span){ bytes, len };
	return bytes ? 0 : fail("no memory");
}

static uint32_t number_of(struct span digits) {
	uint32_t n = 0;

	for (size_t i = 0; i < digits.len && digits.data[i] >= '0' && digits.data[i] <= '9'; i++)
		n = n * 10 + (digits.data[i] - '0');
	return n;
}

static int take_file(struct bench *bench, const char *path) {
	struct csvfile *file = &bench->files[bench->n_files];
	struct petition *grown;
	struct span bytes;
	int r;

	if (read_whole(path, &bytes))
		return -1;
	r = csvfile_parse(bytes, file); /* copies */
	free((void *)bytes.data);
	if (r)
		return fail("%s is not as it should be", path);
	bench->n_files++;
	grown = reallocarray(bench->petitions, bench->n_petitions + file->n_rows, sizeof(*grown));
	if (!grown)
		return fail("no memory");
	bench->petitions = grown;
	for (size_t i = 1; i < file->n_rows; i++) {
		const struct span *cells = &file->cells[file->rows[i].first];
		size_t k = bench->n_petitions;

		if (file->rows[i].n != COLUMN_N)
			return fail("%s: line %zu has too few cells", path, i + 1);
		bench->petitions[bench->n_petitions++] = (struct petition){
			.legal_kind = 1 + k % (LEGAL_N - 1),
			.category = 1 + k % (CATEGORY_N - 1),
			.channel = 1 + k % (CHANNEL_N - 1),
			.urgent = span_eq(cells[COLUMN_URGENT], span_str("yes")),
			.people = number_of(cells[COLUMN_PEOPLE]),
			.received_ms = received_ms,
			.village = cells[COLUMN_VILLAGE],
			.text = cells[COLUMN_TEXT],
			.asked_of = cells[COLUMN_ASKED_OF],
		};
	}
	return 0;
}

int samples_load(struct bench *bench, const char *dir) {
	char pattern[1024];
	glob_t found;
	int r = 0;

	bench->files = calloc(SAMPLE_FILES_MAX, sizeof(*bench->files));
	if (!bench->files)
		return fail("no memory");
	(void)snprintf(pattern, sizeof(pattern), "%s/*-petitions.csv", dir);
	if (glob(pattern, 0, NULL, &found) != 0)
		return fail("no samples in %s", dir);
	for (size_t i = 0; r == 0 && i < found.gl_pathc && i < SAMPLE_FILES_MAX; i++)
		r = take_file(bench, found.gl_pathv[i]);
	globfree(&found);
	return r;
}

void samples_done(struct bench *bench) {
	for (size_t i = 0; i < bench->n_files; i++)
		csvfile_done(&bench->files[i]);
	free(bench->files);
	free(bench->petitions);
}

struct petition sample(const struct bench *bench, uint64_t i, char number[24]) {
	/* a stride without a common factor: neighbours differ in village and in what is asked */
	struct petition petition = bench->petitions[i * 7919 % bench->n_petitions];

	(void)snprintf(number, 24, "%llu/2024", (unsigned long long)i + 1);
	petition.number = span_str(number);
	return petition;
}

void sample_draft(const struct bench *bench, uint64_t i, struct writer *w) {
	uint8_t body[RECORD_MAX];
	char number[24];
	struct petition petition = sample(bench, i, number);
	struct writer b;

	writer_init(&b, body, sizeof(body));
	petition_encode(&petition, &b);
	control_write_draft(w, &(struct draft){ .kind = KIND_PETITION,
		.organisation = ORGANISATION_FRONT, .lane = 1, .body = writer_span(&b) });
}
