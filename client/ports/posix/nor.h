/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/ports/posix/nor.h
 * @brief NOR flash rules over plain memory: erase sectors, units programmed once, cuts of power.
 *
 * Layer: client port.  Threads: one.  Memory: the caller's, perhaps a mapped file.
 * Limits: a unit of HAL_FLASH_UNIT bytes.  Security: test vehicle; breaking a rule aborts the
 * program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What a cut leaves of the unit or sector that was being written. */
enum nor_tear {
    NOR_TEAR_NOTHING,
    NOR_TEAR_HEAD, /**< done up to tear_from (0 = half) */
    NOR_TEAR_TAIL, /**< done from tear_from (0 = half) */
    NOR_TEAR_BITS, /**< each bit old or new */
    NOR_TEAR_WHOLE,
    NOR_TEARS
};

struct nor {
    uint8_t *mem; /**< borrowed */
    uint32_t size, sector;
    uint64_t writes; /**< units programmed and sectors erased so far */
    uint64_t cut_at; /**< the cut happens in this one, counted from 1; 0 = never */
    enum nor_tear tear;
    uint32_t tear_from; /**< offset in the unit or sector; beyond its end counts as half */
    uint32_t seed;      /**< of the random bits */
    void (*on_cut)(struct nor *nor); /**< must not return */
};

bool nor_read(const struct nor *nor, uint32_t addr, void *buf, size_t len);
bool nor_program(struct nor *nor, uint32_t addr, const void *buf, size_t len);
bool nor_erase(struct nor *nor, uint32_t addr);
