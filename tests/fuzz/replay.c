/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * replay - runs a fuzz target over its corpus where libFuzzer is not at hand
 *
 * Every file of the directory given is run as it is, cut off at every length, and with each byte
 * changed in a few ways, always alike. Long files are sampled: the work per file is bounded.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base.h"
#include "tests/fuzz/fuzz.h"

enum {
	FILE_LEN_MAX = 1024 * 1024,
	PLACES_MAX = 1024, /* of one file that are cut at or changed */
};

/* On the heap and no longer than it is, so that reading past the end is seen. */
static bool run(const uint8_t *data, size_t len) {
	uint8_t *copy = malloc(len ? len : 1);

	if (!copy)
		return false;
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	return true;
}

static bool run_all(uint8_t *data, size_t len) {
	static const uint8_t flips[] = { 0x01, 0x02, 0x10, 0x40, 0x80, 0xff };
	size_t stride = 1 + len / PLACES_MAX;
	bool ok = run(data, len);

	for (size_t i = 0; i < len && ok; i += stride) {
		ok = run(data, i);
		for (size_t j = 0; j < N_ELEMENTS(flips) && ok; j++) {
			data[i] ^= flips[j];
			ok = run(data, len);
			data[i] ^= flips[j];
		}
	}
	return ok;
}

static bool replay_file(const char *path) {
	static uint8_t data[FILE_LEN_MAX];
	FILE *file = fopen(path, "rb");
	bool ok = false;

	if (file) {
		size_t len = fread(data, 1, sizeof(data), file);

		ok = !ferror(file) && feof(file) && run_all(data, len);
		fclose(file);
	}
	if (!ok)
		fprintf(stderr, "%s: cannot be replayed\n", path);
	return ok;
}

int main(int argc, char **argv) {
	struct dirent **entries;
	int n_entries, n_files = 0;
	bool ok = true;

	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	n_entries = scandir(argv[1], &entries, NULL, alphasort);
	if (n_entries < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	for (int i = 0; i < n_entries; i++) {
		char path[4096];

		if (entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
			ok = replay_file(path) && ok;
			n_files++;
		}
		free(entries[i]);
	}
	free(entries);
	printf("%d files\n", n_files);
	return ok && n_files > 0 ? 0 : 1;
}
