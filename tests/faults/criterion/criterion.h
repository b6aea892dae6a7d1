/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * In place of Criterion, for programs that use the tests' helpers (cores.h, lives.h) outside of a test: what is not as
 * it must be ends the process, after faults_found() has said how to get there again.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

__attribute__((format(printf, 4, 5), noreturn)) void faults_found(const char *file, int line, const char *what,
	const char *format, ...);

#define FAULTS_MUST(condition, ...) \
	do { \
		if (!(condition)) \
			faults_found(__FILE__, __LINE__, #condition, " " __VA_ARGS__); \
	} while (0)

#define cr_assert(condition, ...) FAULTS_MUST(condition, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) FAULTS_MUST((a) == (b), __VA_ARGS__)
#define cr_assert_leq(a, b, ...) FAULTS_MUST((a) <= (b), __VA_ARGS__)
#define cr_assert_lt(a, b, ...) FAULTS_MUST((a) < (b), __VA_ARGS__)
#define cr_assert_geq(a, b, ...) FAULTS_MUST((a) >= (b), __VA_ARGS__)
#define cr_assert_gt(a, b, ...) FAULTS_MUST((a) > (b), __VA_ARGS__)
#define cr_assert_not_null(a, ...) FAULTS_MUST((a) != NULL, __VA_ARGS__)
#define cr_assert_fail(...) FAULTS_MUST(false, __VA_ARGS__)
#define cr_expect cr_assert
#define cr_expect_eq cr_assert_eq
