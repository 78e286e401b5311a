/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/hal.h
 * @brief What a board must supply: flash, time, randomness, network, reset.
 *
 * Layer: client, below client/core.  Threads: one loop; nothing here is called from an interrupt.
 * Memory: callers own all buffers.
 * Limits: HAL_FLASH_UNIT is the same on every port.
 * Security: hal_random() must never return predictable bytes: a port without a source stops in it.
 *
 * Power-cut promises of the flash: a unit or sector that is not being written keeps its content; a
 * unit whose programming was cut holds any mix of old and new bits; a sector whose erasing was cut
 * holds any mix of old bytes and 0xff. Nothing is promised about order except that a function that
 * returned is done.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bytes that are programmed at once, and only once between two erasures. */
#define HAL_FLASH_UNIT 8

struct hal_flash {
    uint32_t size;   /**< bytes in all, a multiple of sector */
    uint32_t sector; /**< bytes that are erased at once */
};

/** The geometry; never changes while the program runs. */
void hal_flash_geometry(struct hal_flash *ret);
/** @retval false  out of range or a hardware fault */
bool hal_flash_read(uint32_t addr, void *buf, size_t len);
/**
 * Program whole units. @p addr and @p len are multiples of HAL_FLASH_UNIT; the units are blank (all
 * 0xff). A port may skip a unit that shall hold only 0xff.
 * @retval false  out of range or a hardware fault
 */
bool hal_flash_program(uint32_t addr, const void *buf, size_t len);
/** Erase the sector that begins at @p addr. */
bool hal_flash_erase(uint32_t addr);

/** Monotonic counter in hardware, 0 where there is none. */
uint32_t hal_counter_get(void);
/** Never lowers it; does nothing where there is none. */
void hal_counter_raise(uint32_t value);

/** Milliseconds since start; never goes back. */
uint64_t hal_time_ms(void);
/** Fill @p buf with random bytes, or stop the machine. */
void hal_random(void *buf, size_t len);
/** Start again from the boot decision. Does not return. */
_Noreturn void hal_reset(void);

/** Open the one UDP flow of this device. @retval false  the name or route is not there */
bool hal_net_open(const char *host, uint16_t port);
void hal_net_close(void);
/** @retval false  not sent; the caller treats it as lost */
bool hal_net_send(const void *buf, size_t len);
/** One datagram, waiting at most @p timeout_ms. @return bytes, 0 when none came */
size_t hal_net_recv(void *buf, size_t cap, uint32_t timeout_ms);

/** The demonstration sensor, in thousandths of a degree Celsius. */
int32_t hal_temperature_milli(void);
/** One line for people, without its end; never secrets. */
void hal_log(const char *line);
