/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * pack - a directory with the parts of a backup as one file: tar (pax), compressed with zstd; the only
 * includer of <archive.h>
 *
 * What is read is from outside: only parts that are known by their names, once each, as plain files no
 * longer than they can be; nothing of the file says where anything is written.
 */

enum {
	PACK_MALFORMED = 1, /* cut off, altered, or never such a file */
};

/* The parts and "complete", which come last, to @fd. 0 or -errno. */
int pack_write(const char *folder, int fd);
/* Into a directory that is empty. 0, PACK_MALFORMED or -errno; then only a part may be there. */
int pack_read(int fd, const char *folder);
