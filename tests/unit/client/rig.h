/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/client/rig.h
 * @brief A device of plain memory for the client's tests: flash that can be cut, images, a cheap
 * signer.
 */
#pragma once

#include <setjmp.h>

#include "client/core/boot.h"
#include "client/core/kvs.h"
#include "client/ports/posix/nor.h"

#ifndef RIG_SECTOR
/* a sector of exactly one header: a torn erasure cannot spoil the body and spare the header */
#define RIG_SECTOR    512
#define RIG_SLOT      4096
#define RIG_IMAGE_MAX 2048
#endif
#define RIG_FLASH (2 * RIG_SLOT + 2 * 8192)

struct rig {
    uint8_t mem[RIG_FLASH];
    struct nor nor;
    jmp_buf off; /**< power goes: the flash jumps here */
    uint32_t counter;
};

struct rig_image {
    uint8_t raw[RIG_IMAGE_MAX];
    uint32_t len;
};

extern struct rig rig;
extern const struct cl_trust rig_trust;

/** Blank flash, power on, no cut planned, all rules on. */
void rig_reset(void);
/** Plan a cut in the @p nth write from now. */
void rig_cut(uint64_t nth, enum nor_tear tear, uint32_t tear_from, uint32_t seed);
void rig_image_make(struct rig_image *img, uint32_t version, uint32_t counter, uint32_t body_len,
                    uint32_t flags);

/** Switch it on, again after each loss of power, until power_on() says that nothing is left to do.
 */
void rig_live(bool (*power_on)(void), int boots_max);

/** True: fails the test; in a child of rig_turns_red(): ends the child. */
void rig_require(bool ok, const char *what, const char *file, int line);
#define REQUIRE(cond, what) rig_require((cond), (what), __FILE__, __LINE__)

/** Whether scenario() fails or aborts in a child process once @p rule is switched off. */
bool rig_turns_red(enum cl_rule rule, void (*scenario)(void));
