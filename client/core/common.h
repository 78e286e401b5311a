/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/common.h
 * @brief Errors, byte order and the switch of safety rules of the MCU client.
 *
 * Layer: client/core.  Threads: reentrant.  Memory: none.  Limits: none.
 * Security: the rule switch exists only in test builds (CL_RULE_HOOKS).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum cl_err {
    CL_OK = 0,
    CL_ERR_INVAL = -1,    /**< malformed or out of range */
    CL_ERR_NOENT = -2,    /**< not there */
    CL_ERR_SPACE = -3,    /**< does not fit */
    CL_ERR_IO = -4,       /**< flash or network failed */
    CL_ERR_AUTH = -5,     /**< signature or digest is wrong */
    CL_ERR_OLD = -6,      /**< version or security counter too low */
    CL_ERR_STATE = -7,    /**< not now */
    CL_ERR_DENIED = -8,   /**< write-once, or an operation that the resource does not have */
    CL_ERR_LATER = -9,    /**< of a callback: the answer follows with cl_done() */
    CL_ERR_FORMAT = -10,  /**< content format not supported */
    CL_ERR_TIMEOUT = -11, /**< no answer in time */
    CL_ERR_BUSY = -12,    /**< no room now, may be tried again */
    CL_ERR_CLOSED = -13,  /**< the association ended */
    CL_ERR_REFUSED = -14, /**< answered with an error code */
} cl_err_t;

#define CL_CHECK __attribute__((warn_unused_result))

/** Safety rules that the tests switch off one at a time, to see that a test turns red. */
enum cl_rule {
    CL_RULE_NONE,
    CL_RULE_HEADER_FIRST,       /**< an install erases the header before anything else */
    CL_RULE_HEADER_LAST,        /**< the header is written after the body */
    CL_RULE_DIGEST,             /**< the body is hashed before each start */
    CL_RULE_SIGNATURE,          /**< the header's signature counts */
    CL_RULE_TRIES,              /**< three trials, then rejected */
    CL_RULE_FLOOR,              /**< security counter never goes back */
    CL_RULE_TORN_CONFIRM,       /**< a torn confirmation is a confirmation */
    CL_RULE_STORE_NEWEST,       /**< the store area with the newer sequence wins */
    CL_RULE_STORE_TAIL,         /**< a torn tail of the store is never written over */
    CL_RULE_STORE_COMMIT,       /**< an area's header is written after its records */
    CL_RULE_MANIFEST_SIGNATURE, /**< a manifest's signature counts */
    CL_RULE_VENDOR,             /**< vendor and class are those of the device */
    CL_RULE_VERSION,            /**< a manifest's version is newer */
    CL_RULE_BEFORE_ERASE,       /**< the image's header is checked before a slot is erased */
    CL_RULE_PAYLOAD_DIGEST,     /**< the payload has the manifest's digest before it is asked for */
    CL_RULE_CONFIRM_LATE,       /**< a trial is confirmed only after it registered */
    CL_RULE_RESUME_ERASE,       /**< what was torn is erased before a download goes on */
    CL_RULE_AUTHORISE,          /**< nothing is erased before the application allows it */
};

#ifdef CL_RULE_HOOKS
extern enum cl_rule cl_rule_off;
#define CL_RULE(r) (cl_rule_off != (r))
#else
#define CL_RULE(r) ((void)(r), true)
#endif

static inline uint16_t cl_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t cl_get32(const uint8_t *p)
{
    return (uint32_t)cl_get16(p) | (uint32_t)cl_get16(p + 2) << 16;
}

static inline uint64_t cl_get64(const uint8_t *p)
{
    return (uint64_t)cl_get32(p) | (uint64_t)cl_get32(p + 4) << 32;
}

static inline void cl_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void cl_put32(uint8_t *p, uint32_t v)
{
    cl_put16(p, (uint16_t)v);
    cl_put16(p + 2, (uint16_t)(v >> 16));
}

static inline void cl_put64(uint8_t *p, uint64_t v)
{
    cl_put32(p, (uint32_t)v);
    cl_put32(p + 4, (uint32_t)(v >> 32));
}

/** Serial number arithmetic: a is later than b, also across the wrap. */
static inline bool cl_later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

static inline bool cl_blank(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0xff) {
            return false;
        }
    }
    return true;
}
