/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/target.h
 * @brief Which image a device's CoAP request for firmware means.
 *
 * Layer: campaigns, pure.  Threads: reentrant, no state.  Memory: never allocates; results borrow
 * the message.  Limits: CAMP_TARGET_URI_MAX.  Security: input is hostile and never asserted on.
 * Spec: RFC7252#5.10.2, RFC3986#3.
 *
 *     GET /fw/ID, /fw/ID/TOKEN (or /download/…)            an image of ours
 *     GET /fw  or /download, Proxy-Uri http://…/fw/ID/TOKEN  the same, whatever the host
 *     GET /fw  or /download, Proxy-Uri of anything else      what a manifest names by this address
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coap/pdu.h"
#include "db/firmware.h"

/** Longer than the payload address of any manifest. */
#define CAMP_TARGET_URI_MAX 511

struct camp_target {
    int64_t image;                /**< 0: only the address is known */
    char token[DB_TOKEN_LEN + 1]; /**< "" = none was given */
    const char *uri;              /**< the whole Proxy-Uri, not terminated; NULL = none */
    size_t uri_len;
};

/**
 * @param ret  filled on success, untouched on error
 * @retval DR_ERR_PROTO        not a path or an address of a known form (4.00)
 * @retval DR_ERR_NOT_FOUND    no id of ours (4.04)
 * @retval DR_ERR_UNSUPPORTED  another scheme than coap, coaps, http, https (5.05)
 */
DR_CHECK dr_err_t camp_target_parse(const struct cx_pdu *pdu, struct camp_target *ret);
/** The same for an address alone. */
DR_CHECK dr_err_t camp_target_parse_uri(const char *uri, size_t len, struct camp_target *ret);
