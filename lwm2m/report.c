/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/report.h"

#define SEQ_MASK 0xffffffU
#define SEQ_HALF (1U << 23)

/* spec: RFC7641#3.4 */
bool lwm2m_observe_newer(uint32_t last, uint64_t last_ms, uint32_t next, uint64_t next_ms)
{
    uint32_t v1 = last & SEQ_MASK, v2 = next & SEQ_MASK;

    if (next_ms > last_ms && next_ms - last_ms > LWM2M_OBSERVE_WINDOW_MS) {
        return true;
    }
    return (v1 < v2 && v2 - v1 < SEQ_HALF) || (v1 > v2 && v1 - v2 > SEQ_HALF);
}

uint32_t lwm2m_awake_ms(struct lwm2m_binding binding, uint32_t profile_ms, uint32_t ack_timeout_ms,
                        uint32_t random_factor_pct, uint32_t max_retransmit)
{
    if (!binding.queue) {
        return UINT32_MAX;
    }
    if (profile_ms > 0) {
        return profile_ms;
    }
    /* MAX_TRANSMIT_WAIT = ACK_TIMEOUT * (2^(MAX_RETRANSMIT + 1) - 1) * ACK_RANDOM_FACTOR */
    uint32_t shift = max_retransmit > 15 ? 16 : max_retransmit + 1;
    uint64_t wait = (uint64_t)ack_timeout_ms * ((1U << shift) - 1);
    if (wait > UINT32_MAX) {
        return UINT32_MAX - 1;
    }
    wait = wait * random_factor_pct / 100;
    return wait >= UINT32_MAX ? UINT32_MAX - 1 : (uint32_t)wait;
}
