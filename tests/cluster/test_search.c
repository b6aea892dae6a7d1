/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What must not be at the province is looked for in every byte that it has, and in every compressed frame among
 * them: who asked, and the text of what it may not read; after imports, an escalation, a request that was
 * granted, and backups.
 */
#include <criterion/criterion.h>
#include <ftw.h>
#include <unistd.h>
#include <zstd.h>

#include "tests/cluster/cli.h"
#include "tests/cluster/tree.h"

enum {
	PATIENT_MS = 30000,
	ROWS = 60,
	FILE_MAX = 64 << 20,
	FRAME_MAX = 8 << 20, /* looked at of one frame */
};

#define HEADER "number,received,organisation,kind,village,category,channel,people,urgent,text,asked_of," \
	       "petitioner,contact,address\n"
#define NAME "Khuất Thị Ngọc Diệp"
#define TELEPHONE "0987654321"
#define WITHHELD "Mương số bảy bị lấp, chưa ai ở trên đọc"
#define ESCALATED "Đê vỡ ở cống số ba"
#define GRANTED "Tỉnh hỏi về trạm bơm số chín"

static const char *looked_for;
static bool found;
static uint8_t *bytes, *frame;

static bool has(const uint8_t *in, size_t len) {
	return memmem(in, len, looked_for, strlen(looked_for)) != NULL;
}

/* Whether a frame that begins at @in has it, as far as it can be unpacked. */
static bool frame_has(const uint8_t *in, size_t len) {
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_inBuffer from = { in, len, 0 };
	ZSTD_outBuffer to = { frame, FRAME_MAX, 0 };
	size_t r = 1;

	while (r > 0 && !ZSTD_isError(r) && from.pos < from.size && to.pos < to.size)
		r = ZSTD_decompressStream(stream, &to, &from);
	ZSTD_freeDStream(stream);
	return has(frame, to.pos);
}

static int look_in(const char *path, const struct stat *st, int type, struct FTW *ftw) {
	static const uint8_t magic[] = { 0x28, 0xb5, 0x2f, 0xfd };
	const uint8_t *at;
	size_t n;
	FILE *f;

	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	n = fread(bytes, 1, FILE_MAX, f);
	cr_assert(feof(f), "%s is longer than this looks", path);
	fclose(f);
	found |= has(bytes, n);
	for (at = bytes; (at = memmem(at, (size_t)(bytes + n - at), magic, sizeof(magic))); at++)
		found |= frame_has(at, (size_t)(bytes + n - at));
	return 0;
}

static bool is_in(const char *directory, const char *text) {
	looked_for = text;
	found = false;
	cr_assert_eq(nftw(directory, look_in, 16, FTW_PHYS), 0, "%s", directory);
	return found;
}

static void write_register(const char *path) {
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	fputs(HEADER, f);
	for (unsigned i = 1; i <= ROWS; i++)
		fprintf(f, "%u,2024-03-%02u,women,petition,Thôn Đông,land,in-person,1,%s,\"%s (%u)\",UBND xã,%s %u,%s,Thôn Đông\n", i,
			1 + i % 28, i == 1 ? "yes" : "no", i == 1 ? ESCALATED : i == 2 ? GRANTED : WITHHELD, i,
			NAME, i, TELEPHONE);
	cr_assert_eq(fclose(f), 0);
}

static bool comes(const char *home, const char *const *args) {
	struct cli cli;
	int code = 1;

	for (unsigned waited = 0; code != 0 && waited < PATIENT_MS; waited += 100) {
		code = cli_run(&cli, home, args);
		if (code)
			fprintf(stderr, "%s", cli.err);
		cli_done(&cli);
		if (code)
			usleep(100000);
	}
	return code == 0;
}
#define COMES(home, ...) comes(home, (const char *const[]){ __VA_ARGS__, NULL })

/* The reference of the petition that the commune's own register has under @number. */
static void reference_of(const char *home, const char *text, char ret_reference[32]) {
	json_t *list = cli_json(home, (const char *const[]){ "petition", "list", "--json", NULL });
	json_t *row;
	size_t i;

	json_array_foreach (list, i, row)
		if (strstr(json_string_value(json_object_get(row, "text")), text))
			snprintf(ret_reference, 32, "%s", json_string_value(json_object_get(row, "reference")));
	json_decref(list);
}

Test(search, nothing_at_the_province_says_who_asked_or_what_it_may_not_read, .timeout = 300) {
	struct tree tree = { 0 };
	char rows[64], file[96], backups[64], copy[96], config[128], urgent[32] = "", asked[32] = "";
	const char *province, *district, *commune;

	bytes = malloc(FILE_MAX);
	frame = malloc(FRAME_MAX);
	tree_add(&tree, "Bắc Ninh", 27, 2, -1, true);
	tree_add(&tree, "Tiên Du", 260, 3, 0, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 1, false);
	province = tree.procs[0]->home;
	district = tree.procs[1]->home;
	commune = tree.procs[2]->home;
	proc_stop(tree.procs[1]);
	snprintf(config, sizeof(config), "listen: %s\nrules: [{name: seen, when: urgent, on: seen}]\n", tree.procs[1]->listen);
	proc_configure(tree.procs[1], config);
	proc_start(tree.procs[1]);
	proc_directory(rows);
	proc_directory(backups);
	snprintf(file, sizeof(file), "%s/rows.csv", rows);
	write_register(file);
	cr_assert(COMES(commune, "import", "petitions", file));
	cr_assert(COMES(commune, "import", "petitions", file));

	reference_of(commune, ESCALATED, urgent);
	reference_of(commune, GRANTED, asked);
	cr_expect(COMES(province, "petition", "show", urgent), "it is escalated");
	cr_assert(COMES(province, "request", asked, "--reason", "Dân hỏi tỉnh"));
	cr_assert(COMES(district, "request", "grant", asked));
	cr_expect(COMES(province, "petition", "show", asked), "it is granted");
	tree_open(&tree);
	cr_assert(tree_wait(&tree, PATIENT_MS));
	tree_close(&tree);
	snprintf(copy, sizeof(copy), "%s/province", backups);
	cr_assert(COMES(province, "backup", copy));

	for (size_t i = 0; i < 2; i++) {
		const char *at = i ? backups : province;

		cr_expect(is_in(at, ESCALATED), "%s: what was escalated is there, and found", at);
		cr_expect(is_in(at, GRANTED), "%s: what was granted is there, and found", at);
		cr_expect_not(is_in(at, WITHHELD), "%s", at);
		cr_expect_not(is_in(at, NAME), "%s", at);
		cr_expect_not(is_in(at, TELEPHONE), "%s", at);
	}
	snprintf(copy, sizeof(copy), "%s/district", backups);
	cr_assert(COMES(district, "backup", copy));
	snprintf(copy, sizeof(copy), "%s/commune", backups);
	cr_assert(COMES(commune, "backup", copy));
	cr_expect(is_in(district, WITHHELD), "one level up is detail");
	cr_expect(is_in(backups, WITHHELD));
	cr_expect_not(is_in(district, NAME));
	cr_expect_not(is_in(district, TELEPHONE));
	cr_expect_not(is_in(commune, NAME), "sealed, also where it was taken in");
	cr_expect_not(is_in(commune, TELEPHONE));
	cr_expect_not(is_in(backups, NAME));
	cr_expect_not(is_in(backups, TELEPHONE));
	cr_expect(is_in(rows, NAME), "the register that was imported is the clerk's to keep or burn");
	tree_done(&tree);
	proc_remove(rows);
	proc_remove(backups);
	free(bytes);
	free(frame);
}

/* The search itself: a word is found in what is compressed. */
Test(search, looks_into_compressed_frames) {
	char directory[64], path[96];
	uint8_t packed[512];
	size_t n;
	FILE *f;

	bytes = malloc(FILE_MAX);
	frame = malloc(FRAME_MAX);
	proc_directory(directory);
	snprintf(path, sizeof(path), "%s/frame", directory);
	n = ZSTD_compress(packed + 7, sizeof(packed) - 7, NAME NAME NAME " và " TELEPHONE TELEPHONE,
		strlen(NAME NAME NAME " và " TELEPHONE TELEPHONE), 3);
	cr_assert(!ZSTD_isError(n));
	memset(packed, 'x', 7);
	f = fopen(path, "w");
	cr_assert(f && fwrite(packed, 1, n + 7, f) == n + 7 && fclose(f) == 0);
	cr_expect(is_in(directory, NAME NAME));
	cr_expect_not(is_in(directory, WITHHELD));
	proc_remove(directory);
	free(bytes);
	free(frame);
}
