/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * fuzz - what every fuzz target defines; libFuzzer or replay.c calls it
 */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* 0; a property that fails aborts */
