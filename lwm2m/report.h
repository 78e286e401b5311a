/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/report.h
 * @brief Small rules of reporting and queue mode: which notification is newer, how long a device
 * stays awake.
 *
 * Layer: lwm2m, pure.  Threads: reentrant, no state.  Memory: none.  Limits: none.
 * Security: numbers come from the network and are only compared.  Spec: RFC7641#3.4,
 * LWM2M-1.2-CORE#6.5.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/register.h"

#define LWM2M_OBSERVE_WINDOW_MS 128000
#define LWM2M_AWAKE_MS          93000 /**< MAX_TRANSMIT_WAIT with the default CoAP times */
#define LWM2M_AWAKE_PELION_MS                                                                      \
    4000 /**< Pelion's client closes its radio this long after the last traffic */

/**
 * Is the notification with observe number @p next, received at @p next_ms, newer than the one with
 * @p last at @p last_ms? Both numbers have 24 bits. Over TCP order is kept by the transport: do not
 * ask.
 */
bool lwm2m_observe_newer(uint32_t last, uint64_t last_ms, uint32_t next, uint64_t next_ms);

/**
 * Milliseconds that a device listens after its last uplink or response; UINT32_MAX for one that
 * never sleeps.
 * @param profile_ms  what the operator or the device's profile says, 0 = nothing
 * @param ack_timeout_ms, random_factor_pct, max_retransmit  CoAP times in use towards the device
 * (2000, 150, 4)
 */
uint32_t lwm2m_awake_ms(struct lwm2m_binding binding, uint32_t profile_ms, uint32_t ack_timeout_ms,
                        uint32_t random_factor_pct, uint32_t max_retransmit);
