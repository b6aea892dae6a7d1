/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * files - small files read and written whole
 */
#include <sys/types.h>

#include "proto/base.h"

/* At most @max bytes (-EFBIG beyond) of a file, or of standard input if @path is "-"; heap. 0 or -errno. */
int file_read(const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_len);
/*
 * Through a temporary file beside it, synced; replaces a file that was there, and nothing else; to standard output
 * if @path is "-". 0 or -errno.
 */
int file_write(const char *path, struct span bytes, mode_t mode);
/* Why one of them failed, for people. */
const char *file_error(int r);
