/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/rand.h
 * @brief Unpredictable bytes from the kernel, and a seeded generator that repeats itself.
 *
 * Layer: base.  Threads: dr_rand_* any thread (a pool each); a dr_prng belongs to one owner.
 * Memory: a fixed pool per thread.  Limits: none.
 * Security: dr_rand_* for keys, tokens, CIDs; dr_prng never for secrets.  Spec: none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** Fill @p out from the kernel's generator. Does not fail: without randomness the process aborts.
 */
void dr_rand_bytes(void *out, size_t len);
uint32_t dr_rand_u32(void);
uint64_t dr_rand_u64(void);

/** xoshiro256**: the same seed gives the same numbers, for simulation, tests and jitter. */
struct dr_prng {
    uint64_t s[4];
};

void dr_prng_init(struct dr_prng *r, uint64_t seed);
uint64_t dr_prng_u64(struct dr_prng *r);
/** 0 <= result < @p n; @p n > 0. */
uint32_t dr_prng_below(struct dr_prng *r, uint32_t n);
/** 0 <= result < 1. */
double dr_prng_double(struct dr_prng *r);
void dr_prng_bytes(struct dr_prng *r, void *out, size_t len);
