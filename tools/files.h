/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * files - read and written whole, or not at all
 */
#include <stdio.h>
#include <sys/types.h>

#include "proto/base.h"

/* At most @max bytes (-EFBIG beyond) of a file, or of standard input if @path is "-"; heap. 0 or -errno. */
int file_read(const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_len);
/*
 * Through a temporary file beside it, synced; replaces a file that was there, and nothing else; to standard output
 * if @path is "-". 0 or -errno.
 */
int file_write(const char *path, struct span bytes, mode_t mode);
/* A file that is only read. 0 or -errno. */
int file_open(const char *path, FILE **ret_file);

/* The same of what is too long to be held: begun, written on, and ended. */
struct file_new {
	const char *path; /* borrowed */
	char *temporary;
	int fd;
};
int file_begin(const char *path, struct file_new *ret_file); /* 0 or -errno */
int file_append(struct file_new *file, struct span bytes);   /* 0 or -errno */
/* After an error @r the file is as it was, which is returned. 0 or -errno. */
int file_end(struct file_new *file, int r, mode_t mode);
/* Why one of them failed, for people. */
const char *file_error(int r);
