/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ports/posix/nor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/hal.h"

static uint8_t random_byte(struct nor *nor)
{
    nor->seed = nor->seed * 1664525u + 1013904223u;
    return (uint8_t)(nor->seed >> 24);
}

static bool in_range(const struct nor *nor, uint32_t addr, size_t len)
{
    return len <= nor->size && addr <= nor->size - len;
}

bool nor_read(const struct nor *nor, uint32_t addr, void *buf, size_t len)
{
    if (!in_range(nor, addr, len)) {
        return false;
    }
    memcpy(buf, nor->mem + addr, len);
    return true;
}

static void broken(const char *rule, uint32_t addr)
{
    fprintf(stderr, "flash: %s at 0x%x\n", rule, (unsigned)addr);
    abort();
}

static void cut(struct nor *nor, uint8_t *to, const uint8_t *from, uint32_t len)
{
    uint32_t edge = nor->tear_from == 0 || nor->tear_from >= len ? len / 2 : nor->tear_from;

    for (uint32_t i = 0; i < len; i++) {
        uint8_t mask = 0;
        switch (nor->tear) {
        case NOR_TEAR_HEAD:
            mask = i < edge ? 0xff : 0;
            break;
        case NOR_TEAR_TAIL:
            mask = i >= edge ? 0xff : 0;
            break;
        case NOR_TEAR_BITS:
            mask = random_byte(nor);
            break;
        case NOR_TEAR_WHOLE:
            mask = 0xff;
            break;
        default:
            break;
        }
        uint8_t next = from == NULL ? 0xff : from[i];
        to[i] = (uint8_t)((to[i] & ~mask) | (next & mask));
    }
    nor->on_cut(nor);
    abort();
}

bool nor_program(struct nor *nor, uint32_t addr, const void *buf, size_t len)
{
    const uint8_t *from = buf;

    if (!in_range(nor, addr, len)) {
        return false;
    }
    if (addr % HAL_FLASH_UNIT != 0 || len % HAL_FLASH_UNIT != 0) {
        broken("part of a unit programmed", addr);
    }
    for (; len > 0; addr += HAL_FLASH_UNIT, from += HAL_FLASH_UNIT, len -= HAL_FLASH_UNIT) {
        static const uint8_t blank[HAL_FLASH_UNIT] = {0xff, 0xff, 0xff, 0xff,
                                                      0xff, 0xff, 0xff, 0xff};
        if (memcmp(from, blank, HAL_FLASH_UNIT) == 0) {
            continue;
        }
        if (memcmp(nor->mem + addr, blank, HAL_FLASH_UNIT) != 0) {
            broken("unit programmed twice", addr);
        }
        if (++nor->writes == nor->cut_at) {
            cut(nor, nor->mem + addr, from, HAL_FLASH_UNIT);
        }
        memcpy(nor->mem + addr, from, HAL_FLASH_UNIT);
    }
    return true;
}

bool nor_erase(struct nor *nor, uint32_t addr)
{
    if (!in_range(nor, addr, nor->sector)) {
        return false;
    }
    if (addr % nor->sector != 0) {
        broken("erasing off a sector's start", addr);
    }
    if (++nor->writes == nor->cut_at) {
        cut(nor, nor->mem + addr, NULL, nor->sector);
    }
    memset(nor->mem + addr, 0xff, nor->sector);
    return true;
}
