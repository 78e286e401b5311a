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

enum hal_net { HAL_NET_UDP, HAL_NET_TCP };

/**
 * Open the one flow of this device; closes an older one. A TCP connection may still be under way
 * when it returns: hal_net_send() then takes nothing.
 * @retval false  the name or route is not there
 */
bool hal_net_open(enum hal_net kind, const char *host, uint16_t port);
void hal_net_close(void);
/** @return bytes taken (all of a datagram), 0 = try again later, -1 = the flow is broken */
int hal_net_send(const void *buf, size_t len);
/** Never waits. @return bytes of one datagram or of the stream, 0 = none there, -1 = broken */
int hal_net_recv(void *buf, size_t cap);
/** Sleep until the flow has something, at most @p ms. */
void hal_idle(uint32_t ms);
/** The address of this device on the flow, for people and object 4; "" when there is none. */
void hal_net_address(char *buf, size_t cap);

/** Unix time in seconds, 0 while unknown. */
int64_t hal_wall_time(void);
void hal_wall_time_set(int64_t unix_s);

/** The demonstration sensor, in thousandths of a degree Celsius. */
int32_t hal_temperature_milli(void);
/** One line for people, without its end; never secrets. */
void hal_log(const char *line);
